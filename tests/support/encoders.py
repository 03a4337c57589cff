"""Encoders without weights, which keep the contract of `sightline.Encoder`: quick and deterministic."""

import hashlib
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageColor

import sightline.encoder
from sightline.errors import HubError, ImageError
from sightline.processing.image.reading import open_image
from sightline.processing.video.moments import moments
from sightline.processing.video.sampling import sample_frames
from sightline.vectors import unit


class Encoded(NamedTuple):
    """As `sightline.encoder.Encoded`."""

    item: Any
    facts: Any
    vector: Any
    extras: Any


class FakeEncoder:
    """An image is the mean colors of a 4 x 4 grid, projected; a video its mean frame; a text its bytes' hash."""

    revision = None
    size_hint = 32
    frames = 4
    rescoring, regions, precision, is_fast = 0, None, "float32", False

    def __init__(self, dim=32, name="fake", fingerprint="0" * 64):
        self.dim, self.name, self.fingerprint = dim, name, fingerprint
        self._projection = np.random.default_rng(7).standard_normal((48, dim))

    def encode_text(self, texts):
        rows = [self._text(text) for text in texts]
        return unit(np.array(rows, np.float32).reshape(-1, self.dim))

    def encode_images(self, images):
        return np.concatenate([np.empty((0, self.dim), np.float32), *(self._encode(open_image(i)) for i in images)])

    def encode_videos(self, videos):
        return np.stack([self._video(sample_frames(video, self.frames)) for video in videos])

    def open_image(self, image):
        return open_image(image, short_side=self.size_hint)

    def sample_frames(self, video, short_side=0):
        return sample_frames(video, self.frames, short_side=max(self.size_hint, short_side))

    def moments(self, video, short_side=0):
        return moments(video, self.frames, max(self.size_hint, short_side))

    def stream(self, items, read, is_video=lambda item: False, *, extras=False):
        for item in items:
            try:
                pixels, facts = read(item)
                assert isinstance(pixels, list) == is_video(item)
                vector = self._video(pixels) if is_video(item) else self._encode(pixels)[0]
                yield Encoded(item, facts, vector, None)
            except ImageError as error:
                yield Encoded(item, None, error, None)
            except OSError as error:
                yield Encoded(item, None, ImageError(str(item), error.strerror or str(error)), None)

    def _text(self, text):
        seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
        return np.random.default_rng(seed).standard_normal(self.dim)

    def _encode(self, image):
        """The vector (1, dim) of an open image."""
        grid = np.asarray(image.resize((4, 4), Image.Resampling.BOX), np.float64).reshape(1, 48) / 255 - 0.5
        return unit(grid @ self._projection + 1e-3)

    def _video(self, frames):
        assert len(frames) == self.frames
        return unit(np.mean([self._encode(frame) for frame in frames], axis=0))[0]


class ColorEncoder(FakeEncoder):
    """An image is its mean color, a text the color that it names."""

    size_hint, frames, usable = 16, 2, True

    def __init__(self, name="colors"):
        super().__init__(3, name, f"fingerprint of {name}")

    def _text(self, text):
        return ImageColor.getrgb(text)

    def _encode(self, image):
        return unit(np.asarray(image).mean(axis=(0, 1)).reshape(1, 3))

    def _video(self, frames):
        return unit(np.mean([np.asarray(frame).mean(axis=(0, 1)) for frame in frames], axis=0))


class NameEncoder(FakeEncoder):
    """Each text and each file name has a fixed direction; no file is opened. `asked` lists what was encoded."""

    def __init__(self):
        super().__init__(16, "names", "f00d")
        self.asked = []

    def _text(self, text):
        self.asked.append(text)
        return np.random.default_rng(list(text.encode())).normal(size=self.dim)

    def encode_images(self, images):
        assert not any(Path(image).suffix == ".mp4" for image in images)
        return self.encode_text([Path(image).name for image in images])

    def encode_videos(self, videos):
        assert all(Path(video).suffix.lower() == ".mp4" for video in videos)
        return self.encode_text([Path(video).name for video in videos])


def fake_encoder():
    """`sightline.encoder` with two models, "colors" and "others"; without a name it is as offline."""

    def load(name="openai/clip-vit-base-patch32", revision=None, **options):
        if name not in ("colors", "others"):
            raise HubError(f"{name}: not in the cache, and no network", "offline")
        return ColorEncoder(name)

    fake = ModuleType("sightline.encoder")
    fake.load, fake.Encoder, fake.TextEncoder = load, ColorEncoder, load
    fake.__path__ = sightline.encoder.__path__  # the modules in it stay
    return fake
