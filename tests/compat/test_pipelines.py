"""Pipelines, beside the reference's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tests.support.images import image

import sightline
from sightline.checkpoint.names import PACKAGED
from sightline.errors import UsageError

PLAIN: dict[str, Any] = {"device": "cpu", "dtype": torch.float32}
LABELS = ["a red circle", "a blue square", "two green triangles"]
pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Paths of three pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        image(number, (40 + 30 * number, 60)).save(path)
    return [str(path) for path in paths]


def close(mine: Any, theirs: Any) -> None:
    """The same lists, keys and words; scores, and states by their norm, to float32's five digits, as elsewhere."""
    if isinstance(theirs, dict):
        assert mine.keys() == theirs.keys()
        for key, value in theirs.items():
            close(mine[key], value)
    elif isinstance(theirs, list) and isinstance(theirs[0], list) and not isinstance(theirs[0][0], dict):
        a, b = np.array(mine), np.array(theirs)
        assert a.shape == b.shape
        assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b)
    elif isinstance(theirs, list):
        assert len(mine) == len(theirs)
        for a, b in zip(mine, theirs, strict=True):
            close(a, b)
    elif isinstance(theirs, float):
        assert mine == pytest.approx(theirs, rel=1e-5, abs=1e-6)
    else:
        assert mine == theirs


@pytest.mark.parametrize("name", ["mini", "mini-align", "mini-groupvit"])
def test_zero_shot_as_the_reference(name: str, pictures: list[str]) -> None:
    task, folder = "zero-shot-image-classification", str(PACKAGED / name)
    mine, theirs = (library.pipeline(task, model=folder, **PLAIN) for library in (sightline, transformers))
    for given in (pictures[0], pictures, image(5, (50, 70))):
        close(mine(given, candidate_labels=LABELS), theirs(given, candidate_labels=LABELS))
    template = "{}, drawn"
    close(
        mine(pictures, candidate_labels=LABELS, hypothesis_template=template, batch_size=2),
        theirs(pictures, candidate_labels=LABELS, hypothesis_template=template),
    )


def test_states_as_the_reference(pictures: list[str]) -> None:
    task, folder = "image-feature-extraction", PACKAGED / "mini"
    theirs = transformers.pipeline(
        task,
        model=transformers.CLIPVisionModel.from_pretrained(folder, dtype=torch.float32),
        image_processor=transformers.AutoImageProcessor.from_pretrained(folder),
        device="cpu",
    )
    open_model = sightline.CLIPVisionModel.from_pretrained(folder, dtype=torch.float32)
    processor = sightline.CLIPProcessor.from_pretrained(folder)
    for mine in (
        sightline.pipeline(task, model=folder, **PLAIN),  # of a whole model, its vision tower
        sightline.pipeline(task, model=open_model, processor=processor),
    ):
        for options in ({}, {"pool": True}):
            close(mine(pictures[0], **options), theirs(pictures[0], **options))
            close(mine(pictures, **options), theirs(pictures, **options))
        always = sightline.pipeline(task, model=mine.model, image_processor=mine.image_processor, pool=True)
        assert always(pictures[0]) == mine(pictures[0], pool=True)
        assert torch.is_tensor(mine(pictures[0], return_tensors=True))


def test_a_generator_is_answered_as_it_comes(pictures: list[str]) -> None:
    asked = []

    def images() -> Iterator[str]:
        for path in pictures:
            asked.append(path)
            yield path

    zero_shot = sightline.pipeline("zero-shot-image-classification", model="mini")
    answers = zero_shot(images(), candidate_labels=LABELS)
    first = next(answers)
    assert asked == pictures[:1]
    assert [first, *answers] == [zero_shot(path, candidate_labels=LABELS) for path in pictures]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda _: sightline.pipeline("text-generation", model="mini"), "there is zero-shot-image-classification"),
        (lambda _: sightline.pipeline("image-feature-extraction"), "needs model="),
        (lambda _: sightline.pipeline("zero-shot-image-classification", model="mini-xclip"), "takes a model of images"),
        (lambda zero_shot: zero_shot(None, candidate_labels=LABELS), "needs an image"),
        (lambda zero_shot: zero_shot(image(0, (9, 9)), candidate_labels=[]), "candidate_labels is empty"),
        (lambda zero_shot: zero_shot(image(0, (9, 9)), candidate_labels=LABELS, hypothesis_template="x"), "no {}"),
        (lambda zero_shot: zero_shot(image(0, (9, 9)), candidate_label=LABELS), "did you mean candidate_labels"),
        (lambda zero_shot: zero_shot([], candidate_labels=LABELS, batch_size=0), "expected 1 or more"),
    ],
)
def test_wrong_calls_say_what_to_write(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call(sightline.pipeline("zero-shot-image-classification", model="mini"))


def test_what_is_saved_opens_in_both(tmp_path: Path, pictures: list[str]) -> None:
    task = "zero-shot-image-classification"
    mine = sightline.pipeline(task, model="mini", **PLAIN)
    mine.save_pretrained(tmp_path)
    for library in (sightline, transformers):
        again = library.pipeline(task, model=str(tmp_path), **PLAIN)
        close(again(pictures, candidate_labels=LABELS), mine(pictures, candidate_labels=LABELS))
