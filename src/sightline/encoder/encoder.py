"""A checkpoint as a function from files and strings to unit vectors."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cached_property, partial
from typing import Any, Generic, NamedTuple, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sightline.encoder.hardware import pick_device, pick_dtype
from sightline.encoder.inputs import FRAMES, ImageInput, VideoInput, check_images, check_videos, video_frames
from sightline.encoder.pipeline import ahead, batches
from sightline.encoder.precision import Precision
from sightline.encoder.source import EncoderSource, Vectors
from sightline.encoder.workers import Workers
from sightline.errors import ImageError, UsageError
from sightline.models.tower import Segments, Tower
from sightline.processing.image.reading import open_image
from sightline.processing.video.moments import Moment, moments
from sightline.processing.video.reader import VideoSource

T = TypeVar("T")
F = TypeVar("F")
Extras = NDArray[np.float16]
Read = Callable[[T], tuple[Image.Image | Sequence[Image.Image], F]]

DEFAULT_MODEL = "openai/clip-vit-base-patch32"
ROWS = 800
"""Tokens in a batch of images, for one core: enough for its matrix units, few enough for its cache, and few enough that
a large model's first batch comes soon."""
TEXT_BATCH = 64


def load(
    name_or_folder: str | os.PathLike[str] = DEFAULT_MODEL,
    *,
    device: str | torch.device = "auto",
    precision: Precision = "auto",
    revision: str | None = None,
    local_files_only: bool = False,
) -> "Encoder":
    """Opens a checkpoint for encoding: a folder, a Hub name, or "mini", the small model in the package.

    `device` "auto" takes a GPU if the machine has one; `precision` "auto" takes bfloat16 where the hardware has it,
    else float32. Raises `CheckpointError` (of the Hub: `HubError`), `UsageError`.
    """
    return Encoder(name_or_folder, device, precision, revision=revision, local_files_only=local_files_only)


class Encoded(NamedTuple, Generic[T, F]):
    """An item of a stream with the facts that `read` returned of it and its unit vector (dim,), or the error of reading
    it. `extras`, float16 (rows, dim), are the rows that are kept beside the vector, if the stream was to yield them."""

    item: T
    facts: F | None
    vector: Vectors | ImageError
    extras: Extras | None


class Encoder(EncoderSource):
    """Made by `load`. Each tower is opened when it is first needed, so a search by words never reads the other.

    `precision` is the name of the type that the model computes in: "float32", "bfloat16" or "float16".
    """

    def __init__(
        self, name_or_folder: str | os.PathLike[str], device: str | torch.device, precision: Precision, **source: Any
    ) -> None:
        super().__init__(name_or_folder, **source)
        self.device = pick_device(device)
        self._dtype = pick_dtype(precision, self.device)
        self.precision = cast(Precision, str(self._dtype).removeprefix("torch."))
        self._workers = Workers(self.device)

    @cached_property
    def _text(self) -> Tower:
        return self.family.text.for_encoding(self.path, self._dtype).to(self.device)

    @cached_property
    def _image(self) -> Tower:
        return self.family.image.for_encoding(self.path, self._dtype).to(self.device)

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """n strings -> float32 (n, dim), rows of unit length. Text beyond the model's length is cut, its end kept."""
        return _unit(self.embed_text(texts))

    def embed_text(self, texts: Sequence[str], *, project: bool = True) -> Vectors:
        """n strings -> float32 (n, dim), before `encode_text` scales the rows to unit length: what `Rescorer` takes.

        With `project=False` the tower's pooled states before its projection, (n, state_dim).
        """
        tokens = self.tokens(texts)
        tower = self._text  # opened once here, before the threads use it
        forward = tower.embed if project else partial(tower.embed, project=False)
        vectors = np.empty((len(tokens), self.dim if project else tower.state_dim), np.float32)

        def embed(rows: list[int]) -> Vectors:
            ids, mask = self.tokenizer.pad([tokens[i] for i in rows], None)
            return self._workers.run(forward, torch.int64, ids, mask)[0]

        # Texts of about one length share a batch: padding to the longest of all texts would be most of the work.
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        groups = list(batches(order, self._workers.share(len(order), TEXT_BATCH)))
        for rows, embedded in self._workers.map(embed, groups):
            vectors[rows] = embedded
        return vectors

    def encode_images(self, images: Iterable[ImageInput], *, orient: bool = True, exact: bool = False) -> Vectors:
        """n images (paths, bytes, PIL, arrays (H, W, 3)) -> float32 (n, dim), rows of unit length.

        `orient=False` ignores the orientation in EXIF, as the reference's processors do; `exact` decodes large JPEGs
        whole, where by default a reduced scale is taken that keeps 1.5 times the model's side. A video model sees an
        image as a still video. Raises `ImageError` naming the first image that cannot be read.
        """

        def read(image: ImageInput) -> Image.Image:
            return open_image(image, orient=orient) if exact else self.open_image(image, orient=orient)

        return self._rows(check_images(images), read, 1)

    def encode_videos(self, videos: Iterable[VideoInput]) -> Vectors:
        """n videos -> float32 (n, dim), rows of unit length.

        A video is a path or bytes, (path, start, end) in seconds, or its frames: an array (T, H, W, 3) or a list of
        images. Of a file `frames` are sampled, one of each equal part. An image model sees a video as the normalized
        mean of its frames' unit vectors; a video model takes as many frames as its checkpoint says, and `UsageError`
        says how many if a list of another length is given. Raises `VideoError` naming the first video that cannot be
        read.
        """
        checked = check_videos(videos, None if self._image.frames == 1 else self._image.frames)
        return self._rows(checked, self.sample_frames, self._inputs)

    def open_image(self, image: ImageInput, *, orient: bool = True) -> Image.Image:
        """The image, "RGB" and upright, decoded at the least scale that the model needs. Raises `ImageError`."""
        return open_image(image, orient=orient, short_side=self.size_hint)

    def sample_frames(self, video: VideoInput, short_side: int = 0) -> list[Image.Image]:
        """The `frames` by which the model sees a video, their short side not reduced below `short_side`, nor below what
        the model needs. Raises `VideoError`."""
        return video_frames(video, self.frames, max(self.size_hint, short_side))

    def moments(self, video: VideoSource, short_side: int = 0) -> Iterator[Moment]:
        """The moments of a video, each with its `frames`, decoded as by `sample_frames`. Raises `VideoError`."""
        return moments(video, self.frames, max(self.size_hint, short_side))

    def stream(
        self,
        items: Iterable[T],
        read: Read[T, F],
        is_video: Callable[[T], bool] = lambda item: False,
        *,
        extras: bool = False,
        project: bool = True,
    ) -> Generator[Encoded[T, F]]:
        """Each item encoded, in order; an item that cannot be read comes with its `ImageError` in the vector's place.

        `read` returns an item's image, or the `frames` frames of an item that `is_video`, and facts of any kind about
        it, which are yielded beside the vector; it runs in threads and may raise `ImageError` or `OSError`. `extras`:
        for models that have `rescoring` or `regions`, also yield the rows that are kept beside the vector. With
        `project=False` the vector is the tower's pooled state before its projection, (state_dim,), of unit length.
        `items` are made in a separate thread, so that it may take time to make them, as it does to cut a video. Images
        and videos share batches, of which a few are in memory at a time. An item's vector is the same, bit for bit,
        whatever stands beside it. Raises `UsageError` if `extras` and `project=False` come together.
        """
        if extras and not project:
            raise UsageError("extras stand beside projected vectors: ask for extras or for project=False, not for both")
        tower = self._image  # opened once here, before the threads use it
        forward: Callable[..., Any] = tower.embed if project else partial(tower.embed, project=False)
        if extras:
            forward = tower.embed_with_extras
        groups = batches(items, self.batch, lambda item: self._inputs if is_video(item) else 1)
        with closing(ahead(groups, self._workers.count)) as ready:
            yield from self._stream(ready, read, self.batch, forward)

    @property
    def frames(self) -> int:
        """Frames by which a video, or a moment of it, is seen."""
        return FRAMES if self._image.frames == 1 else self._image.frames

    @property
    def _inputs(self) -> int:
        """Inputs that a video gives to the tower: 1 for a video model, one a frame for an image model."""
        return self.frames // self._image.frames

    def _rows(self, items: list[T], read: Callable[[T], Any], weight: int) -> Vectors:
        """The items' vectors (n, dim); `weight` is how many inputs each gives to the tower."""
        vectors = np.empty((len(items), self.dim), np.float32)
        batch = self._workers.share(len(items) * weight, self.batch)
        groups = list(batches(items, batch, lambda item: weight))
        with closing(self._stream(groups, lambda item: (read(item), None), batch, self._image.embed)) as stream:
            for row, encoded in enumerate(stream):
                if isinstance(encoded.vector, ImageError):
                    raise encoded.vector
                vectors[row] = encoded.vector
        return vectors

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
        frames = self._image.frames
        if len(pixels) == 1:  # an image is a still video
            pixels = np.repeat(pixels, frames, axis=0)
        return facts, pixels.reshape(-1, frames, *pixels.shape[1:])

    def _encode(self, group: list[T], read: Read[T, F], batch: int, forward: Callable[..., Any]) -> list[Encoded[T, F]]:
        """A group of items through the tower; `forward` returns vectors, or vectors and extras."""
        prepared = [(item, *self._prepare(item, read)) for item in group]
        readable = [pixels for _, _, pixels in prepared if not isinstance(pixels, ImageError)]
        inputs = np.concatenate(readable) if readable else np.empty(0, np.uint8)
        parts = [self._forward(forward, inputs[start : start + batch], batch) for start in range(0, len(inputs), batch)]
        outputs = [np.concatenate(output) for output in zip(*parts, strict=True)]
        vectors = _unit(outputs[0]) if readable else np.empty(0, np.float32)
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
        """(n, frames, height, width, 3) through the tower. Filled up with black to a whole batch: torch's sums depend
        on a batch's shape."""
        filled = np.zeros((batch, *inputs.shape[1:]), np.uint8)
        filled[: len(inputs)] = inputs
        values = self.profile.normalize(filled.reshape(-1, *inputs.shape[2:]))
        if len(values) > batch:
            values = values.reshape(batch, -1, *values.shape[1:])
        return [output[: len(inputs)] for output in self._workers.run(forward, self._dtype, values)]

    def segments(self, pixels: NDArray[np.float32]) -> Segments:
        """Normalized pixels (n, 3, height, width) of any size -> the groups that they fall into, on the processor.
        For models that have `regions`."""
        with torch.inference_mode(), self._workers.turn:
            segments = self._image.segments(torch.from_numpy(pixels).to(self.device, self._dtype))
            return Segments(segments.images.cpu(), segments.groups.cpu(), segments.shares.cpu(), segments.scale)

    @property
    def batch(self) -> int:
        """Inputs in a batch, images or whole videos: 16 for a ViT-B/32 on a processor, four times that on a GPU. Where
        it exceeds a video's inputs it is a multiple of them, so that videos fill it."""
        rows = ROWS if self.device.type == "cpu" else 4 * ROWS
        most = max(1, rows // self._image.rows)
        return most if most < self._inputs else most - most % self._inputs


def _unit(rows: Vectors) -> Vectors:
    """Each row scaled to length 1, as torch sums it: indexes hold these bits."""
    unit: Vectors = torch.nn.functional.normalize(torch.from_numpy(rows), dim=-1).numpy()
    return unit


def _mean(vectors: Vectors) -> Vectors:
    """The normalized mean (dim,) of unit vectors (n, dim)."""
    if len(vectors) == 1:
        return np.asarray(vectors[0])
    mean = vectors.mean(axis=0, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)
