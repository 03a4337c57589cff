"""Scenes and videos are what they were: the packaged models learned from them, and their golden values rest on them."""

import hashlib
from collections.abc import Iterable

import numpy as np
import PIL
import pytest

from sightline.scenes import Scene, SceneVideo, sample, sample_video, unseen, unseen_video

SCENES = [draw(5, index) for index in range(10) for draw in (sample, unseen)]
VIDEOS = [draw(5, index) for index in range(5) for draw in (sample_video, unseen_video)]


def digest(parts: Iterable[bytes | str]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode() if isinstance(part, str) else part)
    return total.hexdigest()[:16]


def words(drawn: Scene | SceneVideo) -> str:
    return repr((drawn, drawn.captions))


def test_layouts_and_captions() -> None:
    assert digest(map(words, SCENES)) == "db01dfb6577c5baf"
    assert digest(map(words, VIDEOS)) == "b38ca2189f86d7ca"


@pytest.mark.skipif((PIL.__version__, np.__version__) != ("13.0.0", "2.4.6"), reason="others may round otherwise")
def test_pixels() -> None:
    assert digest(scene.draw(48).tobytes() + scene.mask(48).tobytes() for scene in SCENES) == "f4c736743cf5b61b"
    assert digest(frame.tobytes() for video in VIDEOS for frame in video.frames(4, 48)) == "ca579a39aa81aad6"
