"""Checkpoints whose preprocessing cannot fit their model are refused on opening, with the way out."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

import sightline
from sightline.checkpoint.hub import PACKAGED
from sightline.encoder import TextEncoder
from sightline.encoder.verify import verify
from sightline.errors import CheckpointError
from sightline.train import Recipe

SETTINGS = {
    "shapes are left": ({"do_center_crop": False, "size": {"shortest_edge": 64}}, "leaves images their shapes"),
    "nothing is resized": (
        {"do_center_crop": False, "do_resize": False},
        "set do_center_crop to true and crop_size to",
    ),
    "another crop": ({"crop_size": {"height": 32, "width": 32}}, "gives images of 32 x 32 pixels, but the model"),
    "no square": ({"crop_size": {"height": 64, "width": 48}}, "gives images of 48 x 64 pixels"),
    "another size": ({"do_center_crop": False, "size": {"height": 48, "width": 48}}, "set size to "),
    "the file that decides": ({"do_rescale": False}, "in its processor_config.json (in preprocessor_config.json if"),
    "no rescaling": ({"do_rescale": False}, "look at do_rescale"),
    "rescaled by 1": ({"rescale_factor": 1.0}, "where models take about -2 to 2"),
    "nothing left": ({"rescale_factor": 1e-9}, "look at do_rescale, rescale_factor"),
    "mean of bytes": ({"image_mean": [123.0, 117.0, 104.0], "image_std": [0.2, 0.2, 0.2]}, "image_mean and image_std"),
    "factor 0": ({"rescale_factor": 0}, "rescale_factor is 0, expected a number above 0"),
    "negative factor": ({"rescale_factor": -0.5}, "rescale_factor is -0.5"),
    "std 0": ({"image_std": [0.2, 0, 0.2]}, "expected numbers above 0"),
    "negative std": ({"image_std": [-0.2, 0.2, 0.2]}, "expected numbers above 0"),
    "two means": ({"image_mean": [0.5, 0.5]}, "expected three numbers"),
    "no number": ({"image_mean": ["a", 0.5, 0.5]}, "expected a number"),
}


def checkpoint(folder: Path, changes: dict[str, Any], model: str = "mini") -> Path:
    """A copy of a packaged model with other settings of its preprocessing."""
    shutil.copytree(PACKAGED / model, folder)
    for file in folder.glob("*processor_config.json"):
        data = json.loads(file.read_text())
        settings = data.get("image_processor", data)
        settings |= changes
        file.write_text(json.dumps(data))
    return folder


def start_training(folder: Path) -> None:
    Recipe(model=str(folder), data=["none.csv"], steps=1).start()


@pytest.mark.parametrize("opened", [sightline.load, TextEncoder, lambda folder: list(verify(folder)), start_training])
@pytest.mark.parametrize("kind", SETTINGS)
def test_preprocessing_that_cannot_fit_is_refused(tmp_path: Path, kind: str, opened) -> None:
    changes, says = SETTINGS[kind]
    with pytest.raises(CheckpointError) as caught:
        opened(checkpoint(tmp_path / "odd", changes))
    assert says in str(caught.value)
    assert "odd" in str(caught.value)
    assert "interpolate" not in str(caught.value), "the command line has no such option"


@pytest.mark.parametrize("model", ["mini-align", "mini-groupvit", "mini-xclip"])
def test_in_every_family(tmp_path: Path, model: str) -> None:
    sightline.load(model)
    with pytest.raises(CheckpointError, match="leaves images their shapes"):
        sightline.load(checkpoint(tmp_path / "odd", {"do_center_crop": False, "size": {"shortest_edge": 64}}, model))


def test_convolutions_take_any_size_of_one_shape(tmp_path: Path) -> None:
    sightline.load(checkpoint(tmp_path / "small", {"crop_size": {"height": 48, "width": 48}}, "mini-align"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"size": {"shortest_edge": 48}},
            "makes images 48 x 48 pixels and puts black borders around them, up to 64 x 64",
        ),
        ({"size": {"height": 64, "width": 40}}, "makes images 40 x 64 pixels and puts black borders around them"),
        ({"size": {"shortest_edge": 200}}, "the model sees 10% of a picture"),
        ({"size": {"shortest_edge": 72}}, None),
        ({"do_normalize": False}, None),
        ({"do_normalize": False, "do_rescale": False}, None),
    ],
)
def test_what_is_odd_but_fits_is_opened_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, Any], says: str | None
) -> None:
    with caplog.at_level(logging.WARNING, "sightline"):
        sightline.load(checkpoint(tmp_path / "odd", changes))
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (says is not None)
    assert says is None or says in said[0]
