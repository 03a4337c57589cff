"""Errors as they travel between processes."""

import copy
import inspect
import multiprocessing
import pickle
import pkgutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest

import sightline
from sightline import load_image
from sightline.errors import (
    CheckpointError,
    CheckpointMissing,
    HubError,
    ImageError,
    SightlineError,
    UnknownArgument,
    UsageError,
)
from sightline.evaluate.result import Result, whole
from sightline.index.lance_errors import reading, writing


def kinds(of: type[SightlineError] = SightlineError) -> Iterator[type[SightlineError]]:
    """A class of errors and all that inherit from it, wherever in the package they are."""
    yield of
    for kind in of.__subclasses__():
        yield from kinds(kind)


for module in pkgutil.walk_packages(sightline.__path__, "sightline."):
    if not module.name.endswith("__main__") and "pretrained" not in module.name:
        import_module(module.name)
KINDS = sorted({kind for kind in kinds() if kind.__module__.startswith("sightline.")}, key=lambda kind: kind.__name__)


def test_all_kinds_are_looked_at() -> None:
    assert {"ImageError", "VideoError", "HubError", "Stopped", "UsageError"} <= {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_being_copied(kind: type[SightlineError], again: object) -> None:
    takes = inspect.signature(kind.__init__).parameters.values()
    count = 1 if any(p.kind is p.VAR_POSITIONAL for p in takes) else len(takes) - 1
    error = kind(*[f"argument {number}" for number in range(count)])
    error.add_note("a note")
    found = again(error)
    assert type(found) is kind
    assert found is not error
    assert (str(found), found.args, vars(found)) == (str(error), error.args, vars(error))
    assert "argument 0" in str(found)


@pytest.mark.system
def test_an_unreadable_picture_in_a_pool_of_processes_is_its_error(tmp_path: Path) -> None:
    missing = tmp_path / "missing.jpg"
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        answer = pool.map_async(load_image, [missing])
        with pytest.raises(ImageError, match="no such file") as raised:
            answer.get(timeout=60)
    assert (raised.value.source, raised.value.reason) == (str(missing), "no such file")
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("forkserver")) as executor,
        pytest.raises(ImageError, match="no such file"),
    ):
        executor.submit(load_image, missing).result(timeout=60)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (CheckpointError("a message"), OSError),
        (CheckpointMissing("a message"), OSError),
        (HubError("a message", "offline"), OSError),
        (UsageError("a message"), ValueError),
        (UnknownArgument("a message"), TypeError),
        (ImageError("a.jpg", "broken"), OSError),
        (ImageError("a.jpg", "broken"), ValueError),
    ],
)
def test_errors_are_of_the_system_s_kinds_with_their_own_words(error: SightlineError, kind: type[Exception]) -> None:
    assert isinstance(error, kind)
    message = "a.jpg: broken" if isinstance(error, ImageError) else "a message"
    assert (str(error), error.args) == (message, (message,))
    assert getattr(error, "errno", None) is None
    assert getattr(error, "strerror", None) is None


@pytest.mark.parametrize("error", [CheckpointError("ours"), UsageError("ours")])
def test_handlers_of_the_system_s_errors_let_ours_pass(error: SightlineError, tmp_path: Path) -> None:
    result = Result(
        kind="retrieval",
        figures={},
        model="m",
        model_fingerprint="",
        data="d",
        data_fingerprint="",
        precision="float32",
    )
    for guard in (reading(tmp_path), writing(tmp_path), whole(result)):
        with pytest.raises(type(error), match=r"^ours$"), guard:
            raise error


def test_a_picture_that_cannot_be_read_is_caught_as_by_others(tmp_path):
    """Pillow says OSError of a broken file, the reference's processors ValueError of pixels that are no picture."""
    (tmp_path / "a.png").write_text("hello")
    for expected in (OSError, ValueError, ImageError):
        with pytest.raises(expected, match=r"a\.png: not an image"):
            load_image(tmp_path / "a.png")
