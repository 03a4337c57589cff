"""The command line in this process, with the encoder of colors."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from sightline.cli.main import main
from support.encoders import fake_encoder
from support.images import COLORS


@pytest.fixture(autouse=True)
def colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sightline.encoder", fake_encoder())


class Ran(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs a command line; the index is that of $SIGHTLINE_INDEX, the working folder is empty."""
    monkeypatch.setenv("SIGHTLINE_INDEX", str(tmp_path / "index"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def call(*args: object) -> Ran:
        status = main([str(arg) for arg in args])
        return Ran(status, *capfd.readouterr())

    return call


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of single-colored pictures, the file's name the color's."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(COLORS):
        Image.new("RGB", (24 + number, 16), name).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def indexed(run: Callable[..., Ran], pictures: Path) -> Path:
    """The pictures, indexed."""
    assert run("index", pictures, "--model", "colors").status == 0
    return pictures
