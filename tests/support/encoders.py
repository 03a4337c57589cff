"""An encoder without weights: a picture is the mean colors of a 4 x 4 grid, a text its bytes, both projected."""

import hashlib
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from sightline.errors import ImageError
from sightline.processing.image.reading import open_image
from sightline.processing.video.sampling import sample_frames


class Encoded(NamedTuple):
    """As `sightline.encoder.Encoded`."""

    item: Any
    facts: Any
    vector: Any
    extras: Any


class FakeEncoder:
    """Keeps the contract of `sightline.Encoder`, quickly and deterministically."""

    revision = None
    size_hint = 32
    frames = 4
    summary = 0

    def __init__(self, dim=32, name="fake", fingerprint="0" * 64):
        self.dim, self.name, self.fingerprint = dim, name, fingerprint
        self._projection = np.random.default_rng(7).standard_normal((48, dim))

    def encode_text(self, texts):
        seeds = [int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) for text in texts]
        rows = [np.random.default_rng(seed).standard_normal(self.dim) for seed in seeds]
        return _unit(np.array(rows).reshape(-1, self.dim))

    def encode_images(self, images):
        return np.concatenate([np.empty((0, self.dim), np.float32), *(self._encode(open_image(i)) for i in images)])

    def encode_videos(self, films):
        return np.stack([self._film(sample_frames(film, self.frames)) for film in films])

    def stream(self, items, read, is_video=lambda item: False, *, extras=False):
        items = iter(items)
        while chunk := list(islice(items, 16)):
            for item in chunk:
                try:
                    pixels, facts = read(item)
                    assert isinstance(pixels, list) == is_video(item)
                    vector = self._film(pixels) if is_video(item) else self._encode(pixels)[0]
                    yield Encoded(item, facts, vector, None)
                except ImageError as error:
                    yield Encoded(item, None, error, None)
                except OSError as error:
                    yield Encoded(item, None, ImageError(str(item), error.strerror or str(error)), None)

    def _film(self, frames):
        assert len(frames) == self.frames
        return _unit(np.mean([self._encode(frame) for frame in frames], axis=0))[0]

    def _encode(self, picture):
        grid = np.asarray(picture.resize((4, 4), Image.Resampling.BOX), np.float64).reshape(1, 48) / 255 - 0.5
        return _unit(grid @ self._projection + 1e-3)


def _unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
