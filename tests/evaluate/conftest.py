"""Drawn scenes as data sets, and the packaged models."""

import io
import json
from pathlib import Path

import pytest

import sightline
from sightline import scenes
from support import datasets as sets


def png(picture) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="session")
def drawn():
    """Twelve scenes."""
    return scenes.distinct(12, 3)


@pytest.fixture(scope="session")
def shard(tmp_path_factory: pytest.TempPathFactory, drawn) -> Path:
    """The scenes with one to three captions each, the fifth cut short."""
    files = []
    for number, scene in enumerate(drawn):
        content = png(scene.draw(64))
        said = {"captions": scene.captions[: 1 + number % 3]}
        files += [
            (f"{number:02d}.png", content[:200] if number == 4 else content),
            (f"{number:02d}.json", json.dumps(said).encode()),
        ]
    return sets.tar(tmp_path_factory.mktemp("drawn") / "scenes.tar", files)


@pytest.fixture(scope="session")
def mini():
    return sightline.load("mini", precision="float32")


@pytest.fixture(scope="session")
def mini_xclip():
    return sightline.load("mini-xclip", precision="float32")
