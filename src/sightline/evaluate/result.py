"""The result of an evaluation, with all that is needed to trust it and to repeat it."""

import dataclasses
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from sightline.distribution import VERSION
from sightline.errors import SightlineError, UsageError
from sightline.files import json_text, write_json, write_text

Settings = Mapping[str, Any]
"""Choices that decide the figures beside model and data: a split, templates, a mode."""


@dataclass(frozen=True)
class Skipped:
    """An image or video that could not be read, and why. It counts nowhere."""

    source: str
    reason: str


def _command() -> str:
    """The command line, the program without its folder."""
    program = os.path.basename(sys.argv[0])  # noqa: PTH119 (which takes any name)
    return shlex.join(["sightline" if program == "__main__.py" else program, *sys.argv[1:]])


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "sightline": VERSION,
        **{name: version(name) for name in ("torch", "numpy")},
    }


@dataclass(frozen=True, kw_only=True)
class Result:
    """One evaluation of one model on one data set; all of it can be written as JSON.

    `kind` is the evaluation's command, `figures` are the numbers of its table (shares from 0 to 1), `intervals` the
    ends of the 95% intervals of those of them that are means over samples, drawn from `seed`. `samples` are
    columns with the outcome for each sample, so that two results can be compared sample by sample; `details` what a
    report shows beyond that (figures of each class, curves), of the form that the evaluation's `...Details` documents.
    `precision` is the dtype that the model computed in. `seed` is None if nothing is drawn at random. `selection`: the
    record of a checkpoint that was chosen by data, None for others.
    """

    kind: str
    figures: Mapping[str, float]
    model: str
    model_fingerprint: str
    data: str
    data_fingerprint: str
    precision: str
    seed: int | None = None
    settings: Settings = field(default_factory=dict)
    samples: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    skipped: Sequence[Skipped] = ()
    intervals: Mapping[str, Sequence[float]] = field(default_factory=dict)
    selection: Mapping[str, Any] | None = None
    command: str = field(default_factory=_command)
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    versions: Mapping[str, str] = field(default_factory=_versions)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes JSON, whole or not at all."""
        save_results(path, [self])

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """A result that `save` wrote. Raises `UsageError` for any other file, and for one with several results."""
        results = open_results(path)
        if len(results) > 1:
            raise UsageError(f"{path}: holds {len(results)} results where one is wanted")
        return cls(**vars(results[0]))


@contextmanager
def whole(*results: Result) -> Iterator[None]:
    """Raises `UsageError` where something that a result's file should hold is missing or strange."""
    try:
        yield
    except SightlineError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        names = " or ".join(f"{result.kind} of {result.model} on {result.data}" for result in results)
        raise UsageError(
            f"something is missing or strange in the {names} ({type(error).__name__}: {error}): evaluate again"
        ) from error


def save_results(path: str | os.PathLike[str], results: Sequence[Result]) -> None:
    """Writes JSON, whole or not at all: an object for each result, one a line if there are several."""
    try:
        if len(results) == 1:
            write_json(Path(path), dataclasses.asdict(results[0]))
        else:
            lines = (json_text(dataclasses.asdict(result), sort_keys=True) for result in results)
            write_text(Path(path), "".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise UsageError(f"{path}: cannot be written there ({error.strerror or error})") from error


def open_results(path: str | os.PathLike[str]) -> list[Result]:
    """The results that `save_results` wrote, at least one. Raises `UsageError` for any other file."""
    try:
        rest = Path(path).read_text(encoding="utf-8").strip()
        found: list[Result] = []
        while rest or not found:
            data, end = json.JSONDecoder().raw_decode(rest)
            skipped = [Skipped(**item) for item in data.pop("skipped")]
            found.append(Result(**data, skipped=skipped))
            rest = rest[end:].lstrip()
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file or folder") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path}: no result of an evaluation; `sightline eval ... --json` writes one") from error
    return found
