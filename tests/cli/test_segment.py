"""`sightline segment`, with a real model of random weights."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sightline.segment.segmenter  # noqa: F401 (before the fixtures of this folder put another encoder in its place)
from sightline import scenes
from support.checkpoints import groupvit_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return groupvit_checkpoint(tmp_path_factory.mktemp("groupvit"))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "photo.png"
    scenes.sample(3).draw(120).crop((0, 0, 120, 80)).save(file)
    return file


def test_shares_labels_and_the_painted_picture(
    run: Callable,
    picture: Path,
    checkpoint: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "painted.png"
    ran = run("segment", picture, "red circle", "sky", "a dog", "--model", checkpoint, "--out", out)
    assert ran.status == 0, ran.err
    lines = ran.out.splitlines()
    assert sorted(line.split("%")[1].strip() for line in lines) == ["a dog", "red circle", "sky"]
    assert sum(float(line.split("%")[0]) for line in lines) == pytest.approx(100, abs=0.2)
    labels = np.asarray(Image.open(tmp_path / "painted.labels.png"))
    assert labels.shape == (80, 120)
    with Image.open(out) as painted:
        assert painted.width >= 640
    again = run(
        "segment", picture, "red circle", "sky", "a dog", "--model", checkpoint, "--out", out,
        "--background", "0.9", "--mode", "transformers", "--json",
    )  # fmt: skip
    assert again.status == 0, again.err
    shares = [json.loads(line) for line in again.out.splitlines()]
    assert shares[-1]["class"] is None
    assert sum(line["share"] for line in shares) == pytest.approx(1)


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["PICTURE", "cat"], 2, "'cat' alone tells nothing apart"),
        (["PICTURE"], 2, "WORD"),
        (["PICTURE", "cat", "cat"], 2, "'cat' is given twice"),
        (["PICTURE", "cat", "dog", "--mode", "good"], 2, "--mode good: choose paper or transformers"),
        (["PICTURE", "cat", "dog", "--background", "2"], 2, "background is 2"),
        (["PICTURE", "cat", "dog", "--out", "PICTURE"], 2, "choose another name"),
        (["nothing.jpg", "cat", "dog"], 2, "no such file or folder"),
        (["BROKEN", "cat", "dog"], 1, "broken.jpg"),
    ],
)
def test_errors(
    run: Callable,
    picture: Path,
    checkpoint: Path,
    tmp_path: Path,
    args: list,
    status: int,
    message: str,
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    places = {"PICTURE": picture, "BROKEN": tmp_path / "broken.jpg"}
    ran = run("segment", *(places.get(arg, arg) for arg in args), "--model", checkpoint)
    assert (ran.status, ran.out) == (status, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1
