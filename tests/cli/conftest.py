"""The command line in this process, with an encoder that sees nothing but colors."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageColor

from sightline.cli.main import main
from sightline.errors import HubError, ImageError
from sightline.processing.image.reading import open_image
from sightline.processing.video.sampling import sample_frames
from support.encoders import Encoded


class Colors:
    """The contract of the real encoder. A picture is its mean color, a text the color that it names."""

    dim, size_hint, frames, summary, revision, usable = 3, 16, 2, 0, None, True

    def __init__(self, name: str) -> None:
        self.name, self.fingerprint = name, f"fingerprint of {name}"

    def _unit(self, rgb: Any) -> Any:
        vector = np.asarray(rgb, np.float32)
        return vector / np.linalg.norm(vector)

    def encode_text(self, texts: Any) -> Any:
        return np.stack([self._unit(ImageColor.getrgb(text)) for text in texts])

    def encode_images(self, images: Any) -> Any:
        return np.stack([one.vector for one in self.stream(images, lambda image: (open_image(image), None))])

    def encode_videos(self, films: Any) -> Any:
        return np.stack([self._seen(sample_frames(film, self.frames)) for film in films])

    def _seen(self, frames: Any) -> Any:
        return self._unit(np.mean([np.asarray(frame).mean(axis=(0, 1)) for frame in frames], axis=0))

    def stream(self, items: Any, read: Any, *more: Any, **named: Any) -> Any:
        for item in items:
            try:
                pixels, facts = read(item)
                yield Encoded(item, facts, self._seen(pixels if isinstance(pixels, list) else [pixels]), None)
            except ImageError as error:
                yield Encoded(item, None, error, None)
            except OSError as error:
                yield Encoded(item, None, ImageError(str(item), error.strerror or str(error)), None)


def fake_encoder() -> Any:
    """`sightline.encoder` with two models, "colors" and "others"; without a name it is as offline."""

    def load(name: str = "openai/clip-vit-base-patch32", revision: str | None = None) -> Colors:
        if name not in ("colors", "others"):
            raise HubError(f"{name}: not in the cache, and no network", "offline")
        return Colors(name)

    fake: Any = ModuleType("sightline.encoder")
    fake.load, fake.Encoder, fake.Words = load, Colors, load
    return fake


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


NAMES = ("red", "orange", "yellow", "lime", "blue", "purple", "white")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of single-colored pictures, the file's name the color's."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        Image.new("RGB", (24 + number, 16), name).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def indexed(run: Callable[..., Ran], pictures: Path) -> Path:
    """The pictures, indexed."""
    assert run("index", pictures, "--model", "colors").status == 0
    return pictures
