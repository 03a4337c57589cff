"""Images and videos through an image tower: read by several threads, in batches of one shape, in order."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.encoder.memory import TooLarge
from sightline.encoder.source import Vectors
from sightline.encoder.towers import Towers
from sightline.errors import ImageError
from sightline.processing.image.sources import is_image_source, source_name

T = TypeVar("T")
F = TypeVar("F")
Extras = NDArray[np.float16]
Read = Callable[[T], tuple[Image.Image | Sequence[Image.Image], F]]


class Encoded(NamedTuple, Generic[T, F]):
    """An item of a stream with the facts that `read` returned of it and its unit vector (dim,), or the error of reading
    it. `extras`, float16 (rows, dim), are the rows that are kept beside the vector, if the stream was to yield them."""

    item: T
    facts: F | None
    vector: Vectors | ImageError
    extras: Extras | None


class ImageBatches(Towers):
    """A checkpoint's image tower, and what it is given of images and videos that are read on the way."""

    def _stream(
        self, groups: Iterable[list[T]], read: Read[T, F], batch: int, forward: Callable[..., Any]
    ) -> Generator[Encoded[T, F]]:
        with closing(self._workers.map(lambda group: self._encode(group, read, batch, forward), groups)) as done:
            for _, encoded in done:
                yield from encoded

    def _prepare(self, item: T, read: Read[T, F]) -> tuple[F | None, NDArray[np.uint8] | ImageError]:
        """An item's facts and its inputs to the tower, (inputs, frames of each, height, width, 3), or the error of
        reading it."""
        try:
            content, facts = read(item)
            images = [content] if isinstance(content, Image.Image) else content
            pixels = np.stack([self.profile.resize_and_crop(image) for image in images])
        except ImageError as error:
            return None, error
        except OSError as error:
            return None, ImageError(str(item), error.strerror or str(error))
        except MemoryError:
            return None, ImageError(str(item), "not enough memory to read it")
        frames = int(self.config.frames)
        if len(pixels) == 1:  # an image is a still video
            pixels = np.repeat(pixels, frames, axis=0)
        return facts, pixels.reshape(-1, frames, *pixels.shape[1:])

    def _encode(self, group: list[T], read: Read[T, F], batch: int, forward: Callable[..., Any]) -> list[Encoded[T, F]]:
        """A group of items through the tower; `forward` returns vectors, or vectors and extras."""
        prepared = [(item, *self._prepare(item, read)) for item in group]
        readable = [pixels for _, _, pixels in prepared if not isinstance(pixels, ImageError)]
        inputs = np.concatenate(readable) if readable else np.empty(0, np.uint8)
        try:
            parts = self._image_limit.split(inputs, batch, partial(self._forward, forward))
        except TooLarge as error:
            ends = np.cumsum([0 if isinstance(pixels, ImageError) else len(pixels) for _, _, pixels in prepared])
            item = prepared[int(np.searchsorted(ends, error.position, "right"))][0]
            raise self._no_memory(_name(item)) from error
        outputs = [np.concatenate(output) for output in zip(*parts, strict=True)]
        vectors = self.engine.unit_rows(outputs[0]) if readable else np.empty(0, np.float32)
        encoded, start = [], 0
        for item, facts, pixels in prepared:
            if isinstance(pixels, ImageError):
                encoded.append(Encoded(item, facts, pixels, None))
                continue
            stop = start + len(pixels)
            middle = start + len(pixels) // 2  # of a video that an image model sees, the middle frame
            rows = outputs[1][middle].astype(np.float16) if len(outputs) > 1 else None
            encoded.append(Encoded(item, facts, _mean(vectors[start:stop]), rows))
            start = stop
        return encoded

    def _forward(self, forward: Callable[..., Any], inputs: NDArray[np.uint8], batch: int) -> list[Vectors]:
        """(n, frames, height, width, 3) through the tower. Filled up with black to a whole batch: an engine's sums may
        depend on a batch's shape (decision 0001)."""
        filled = np.zeros((batch, *inputs.shape[1:]), np.uint8)
        filled[: len(inputs)] = inputs
        pixels = filled.reshape(-1, *inputs.shape[2:])
        bytes_too = self._image.takes_bytes
        values: NDArray[Any] = np.moveaxis(pixels, -1, 1) if bytes_too else self.profile.normalize(pixels)
        if self.config.takes_videos:
            values = values.reshape(batch, -1, *values.shape[1:])
        return [output[: len(inputs)] for output in self.engine.run(forward, values)]


def _name(item: object) -> str:
    """What messages call an item of a stream."""
    path = getattr(item, "path", None) or getattr(item, "media", None)
    return str(path) if path is not None else source_name(item) if is_image_source(item) else str(item)[:80]


def _mean(vectors: Vectors) -> Vectors:
    """The normalized mean (dim,) of unit vectors (n, dim)."""
    if len(vectors) == 1:
        return np.asarray(vectors[0])
    mean = vectors.mean(axis=0, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)
