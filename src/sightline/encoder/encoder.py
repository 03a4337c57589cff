"""A checkpoint as a function from files and strings to unit vectors."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cached_property, partial
from typing import Any, Generic, Literal, NamedTuple, TypeVar, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sightline.encoder.hardware import pick_device, pick_dtype
from sightline.encoder.inputs import (
    FRAMES,
    ImageInput,
    Missing,
    VideoInput,
    check_images,
    check_videos,
    video_frames,
)
from sightline.encoder.lists import place
from sightline.encoder.memory import BatchLimit, TooLarge, is_out_of_memory, way_out
from sightline.encoder.pipeline import ahead, batches
from sightline.encoder.precision import Precision
from sightline.encoder.source import EncoderSource, Vectors
from sightline.encoder.workers import Workers
from sightline.errors import ImageError, SightlineError, UsageError
from sightline.logger import LOGGER
from sightline.models.preprocessing import oddities
from sightline.models.tower import Segments, Tower
from sightline.processing.image.reading import open_image
from sightline.processing.image.sources import is_image_source, source_name
from sightline.processing.video.moments import Moment, moments
from sightline.processing.video.reader import VideoSource
from sightline.progress import Progress, ProgressCallback, check_callback, no_progress

T = TypeVar("T")
F = TypeVar("F")
Extras = NDArray[np.float16]
Read = Callable[[T], tuple[Image.Image | Sequence[Image.Image], F]]
Errors = Literal["raise", "skip"]

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
    batch_size: int | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
) -> "Encoder":
    """Opens a checkpoint for encoding: a folder, a Hub name, or "mini", the small model in the package.

    `device`: "auto" takes a GPU if the machine has one; else "cpu", "cuda", "cuda:1", "mps" or "xpu". `precision`
    "auto" takes bfloat16 where the hardware has it, else float32. `batch_size`: images (or whole videos), or texts, in
    a batch; None: as many as suit the model and the device. Another batch size changes vectors in their last bits only,
    so that an index may be made with several. Raises `CheckpointError` (of the Hub: `HubError`), `UsageError`.
    """
    source = {"revision": revision, "local_files_only": local_files_only}
    return Encoder(name_or_folder, device, precision, batch_size, **source)


class Encoded(NamedTuple, Generic[T, F]):
    """An item of a stream with the facts that `read` returned of it and its unit vector (dim,), or the error of reading
    it. `extras`, float16 (rows, dim), are the rows that are kept beside the vector, if the stream was to yield them."""

    item: T
    facts: F | None
    vector: Vectors | ImageError
    extras: Extras | None


class Readable(NamedTuple):
    """What `encode_images` and `encode_videos` return with `errors="skip"`.

    `vectors` float32 (m, dim) of the m items that could be read; `rows` int64 (m,), ascending: their places in the list
    that was given (`paths[rows[0]]` is that of `vectors[0]`; with pandas, `table.iloc[rows]`). `skipped`: place in the
    list -> the error of reading it.
    """

    vectors: Vectors
    rows: NDArray[np.int64]
    skipped: dict[int, ImageError]


class Encoder(EncoderSource):
    """Made by `load`. Each tower is opened when it is first needed, so a search by words never reads the other.

    `precision` is the name of the type that the model computes in: "float32", "bfloat16" or "float16". Where memory
    runs out, the batch is halved and computed again, and the encoder keeps to the smaller one; the logger is told.
    Vectors made before that may differ from later ones in their last bits. If a single item is too much,
    `SightlineError` names it.
    """

    def __init__(
        self,
        name_or_folder: str | os.PathLike[str],
        device: str | torch.device,
        precision: Precision,
        batch_size: int | None = None,
        **source: Any,
    ) -> None:
        is_count = isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool) and batch_size > 0
        if batch_size is not None and not is_count:
            raise UsageError(f"batch_size is {batch_size!r}: give a whole number of at least 1")
        super().__init__(name_or_folder, **source)
        for oddity in oddities(self.profile):
            LOGGER.warning(f"{self.name}: {oddity}")
        self.device = pick_device(device)
        self._dtype = pick_dtype(precision, self.device)
        self.precision = cast(Precision, str(self._dtype).removeprefix("torch."))
        self._batch_size = batch_size
        self._workers = Workers(self.device)
        self._image_limit, self._text_limit = BatchLimit(self.device), BatchLimit(self.device)

    def __repr__(self) -> str:
        return f'Encoder("{self.name}", dim={self.dim}, device="{self.device}", precision="{self.precision}")'

    @cached_property
    def _text(self) -> Tower:
        return self._open(self.family.text, "texts")

    @cached_property
    def _image(self) -> Tower:
        return self._open(self.family.image, "images")

    def _open(self, kind: type[Tower], noun: str) -> Tower:
        """A tower on the device."""
        try:
            tower = kind.for_encoding(self.path, self._dtype).to(self.device)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise SightlineError(
                f"{self.name}: not enough memory on {self.device} for the model: {way_out(self.device)}"
            ) from error
        LOGGER.info(f"{self.name}: the tower for {noun} on {self.device} in {self.precision}")
        return tower

    def encode_text(self, texts: Iterable[str], *, progress: ProgressCallback = no_progress) -> Vectors:
        """n strings -> float32 (n, dim), rows of unit length. Text beyond the model's length is cut, its end kept, and
        the logger is told how many were. `texts`: a list, an array, a column of a table, a generator."""
        return _unit(self.embed_text(texts, progress=progress))

    def embed_text(
        self, texts: Iterable[str], *, project: bool = True, progress: ProgressCallback = no_progress
    ) -> Vectors:
        """n strings -> float32 (n, dim), before `encode_text` scales the rows to unit length: what `Rescorer` takes.

        With `project=False` the tower's pooled states before its projection, (n, state_dim). Progress comes in the
        stage "reading texts".
        """
        check_callback(progress)
        tokens = self.tokens(texts)
        tower = self._text  # opened once here, before the threads use it
        forward = tower.embed if project else partial(tower.embed, project=False)
        vectors = np.empty((len(tokens), self.dim if project else tower.state_dim), np.float32)

        def embed(rows: list[int], size: int) -> Vectors:
            ids, mask = self.tokenizer.pad([tokens[i] for i in rows], None)
            return self._workers.run(forward, torch.int64, ids, mask)[0]

        def embed_group(rows: list[int]) -> Vectors:
            try:
                return np.concatenate(self._text_limit.split(rows, len(rows), embed))
            except TooLarge as error:
                number = place(rows[error.position], len(tokens))
                raise self._no_memory(f"{number}, a text of {len(tokens[rows[error.position]])} tokens") from error

        # Texts of about one length share a batch: padding to the longest of all texts would be most of the work.
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        groups = list(batches(order, self._workers.share(len(order), self._batch_size or TEXT_BATCH)))
        done = 0
        for rows, embedded in self._workers.map(embed_group, groups):
            vectors[rows] = embedded
            done += len(rows)
            progress(Progress("reading texts", done, len(tokens)))
        return vectors

    @overload
    def encode_images(
        self,
        images: Iterable[ImageInput],
        *,
        orient: bool = ...,
        exact: bool = ...,
        errors: Literal["raise"] = ...,
        progress: ProgressCallback = ...,
    ) -> Vectors: ...

    @overload
    def encode_images(
        self,
        images: Iterable[ImageInput],
        *,
        orient: bool = ...,
        exact: bool = ...,
        errors: Literal["skip"],
        progress: ProgressCallback = ...,
    ) -> Readable: ...

    def encode_images(
        self,
        images: Iterable[ImageInput],
        *,
        orient: bool = True,
        exact: bool = False,
        errors: Errors = "raise",
        progress: ProgressCallback = no_progress,
    ) -> Vectors | Readable:
        """n images -> float32 (n, dim), rows of unit length.

        `images`: a list, an array of paths, a column of a table, a generator of what `open_image` takes (paths, bytes,
        open files, PIL images, arrays and tensors of one image each), or a batch of images, an array or tensor
        (n, H, W, 3) or (n, 3, H, W). `orient=False` ignores the orientation in EXIF, as the reference's processors do;
        `exact` decodes large JPEGs whole, where by default a reduced scale is taken that keeps 1.5 times the model's
        side. A video model sees an image as a still video.

        An image that cannot be read, or None in its place, raises `ImageError`, which names it and its place in the
        list; with `errors="skip"` it is left out, and a `Readable` comes back: `vectors, rows, skipped`. What is no
        image at all is a `UsageError` either way. Progress comes in the stage "encoding".
        """

        def read(image: ImageInput) -> Image.Image:
            return open_image(image, orient=orient) if exact else self.open_image(image, orient=orient)

        return self._rows(check_images(images), read, 1, errors, progress)

    @overload
    def encode_videos(
        self, videos: Iterable[VideoInput], *, errors: Literal["raise"] = ..., progress: ProgressCallback = ...
    ) -> Vectors: ...

    @overload
    def encode_videos(
        self, videos: Iterable[VideoInput], *, errors: Literal["skip"], progress: ProgressCallback = ...
    ) -> Readable: ...

    def encode_videos(
        self, videos: Iterable[VideoInput], *, errors: Errors = "raise", progress: ProgressCallback = no_progress
    ) -> Vectors | Readable:
        """n videos -> float32 (n, dim), rows of unit length. `errors` and `progress` as in `encode_images`.

        A video is a path, bytes or an open file, (path, start, end) in seconds, or its frames: an array or tensor
        (T, H, W, 3) or (T, 3, H, W), or a list of images. Of a file `frames` are sampled, one of each equal part. An
        image model sees a video as the normalized mean of its frames' unit vectors; a video model takes as many frames
        as its checkpoint says, and `UsageError` says how many if a list of another length is given. Raises `VideoError`
        naming the first video that cannot be read.
        """
        checked = check_videos(videos, None if self._image.frames == 1 else self._image.frames)
        return self._rows(checked, self.sample_frames, self._inputs, errors, progress)

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

    def _rows(
        self, items: list[T], read: Callable[[T], Any], weight: int, errors: Errors, progress: ProgressCallback
    ) -> Vectors | Readable:
        """The items' vectors; `weight` is how many inputs each gives to the tower."""
        if errors not in ("raise", "skip"):
            raise UsageError(f'errors is {errors!r}: choose "raise" or "skip"')
        check_callback(progress)

        def read_item(item: T) -> tuple[Any, None]:
            if isinstance(item, Missing):
                raise ImageError("None", "there is nothing in its place")
            return read(item), None

        vectors, rows, skipped = np.empty((len(items), self.dim), np.float32), list[int](), dict[int, ImageError]()
        batch = self._workers.share(len(items) * weight, self.batch)
        groups = list(batches(items, batch, lambda item: weight))
        with closing(self._stream(groups, read_item, batch, self._image.embed)) as stream:
            for row, encoded in enumerate(stream):
                error = encoded.vector
                if not isinstance(error, ImageError):
                    vectors[len(rows)] = error
                    rows.append(row)
                elif errors == "raise":
                    number = f"{place(row, len(items))}, " if len(items) > 1 else ""
                    raise type(error)(f"{number}{error.source}", error.reason) from error
                else:
                    skipped[row] = error
                progress(Progress("encoding", row + 1, len(items), skipped=len(skipped)))
        if errors == "raise":
            return vectors
        return Readable(vectors[: len(rows)], np.array(rows, np.int64), skipped)

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
        try:
            parts = self._image_limit.split(inputs, batch, partial(self._forward, forward))
        except TooLarge as error:
            ends = np.cumsum([0 if isinstance(pixels, ImageError) else len(pixels) for _, _, pixels in prepared])
            item = prepared[int(np.searchsorted(ends, error.position, "right"))][0]
            raise self._no_memory(_name(item)) from error
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
        on a batch's shape (decision 0001)."""
        filled = np.zeros((batch, *inputs.shape[1:]), np.uint8)
        filled[: len(inputs)] = inputs
        values = self.profile.normalize(filled.reshape(-1, *inputs.shape[2:]))
        if len(values) > batch:
            values = values.reshape(batch, -1, *values.shape[1:])
        return [output[: len(inputs)] for output in self._workers.run(forward, self._dtype, values)]

    def segments(self, pixels: NDArray[np.float32]) -> Segments:
        """Normalized pixels (n, 3, height, width) of any size -> the groups that they fall into, on the processor.
        For models that have `regions`."""

        def forward(part: NDArray[np.float32], size: int) -> Segments:
            with torch.inference_mode(), self._workers.turn:
                segments = self._image.segments(torch.from_numpy(part).to(self.device, self._dtype))
                return Segments(segments.images.cpu(), segments.groups.cpu(), segments.shares.cpu(), segments.scale)

        try:
            parts = self._image_limit.split(pixels, len(pixels), forward)
        except TooLarge as error:
            raise self._no_memory(f"an image of {pixels.shape[3]} x {pixels.shape[2]} pixels") from error
        images, groups, shares, scales = zip(*((p.images, p.groups, p.shares, p.scale) for p in parts), strict=True)
        return Segments(torch.cat(images), torch.cat(groups), torch.cat(shares), scales[0])

    def _no_memory(self, name: str) -> SightlineError:
        return SightlineError(f"{name}: not enough memory on {self.device} for it alone: {way_out(self.device)}")

    @property
    def batch(self) -> int:
        """Inputs in a batch, images or whole videos: the `batch_size` of `load`, else 16 for a ViT-B/32 on a processor
        and four times that on a GPU. Where that exceeds a video's inputs it is a multiple of them, so that videos fill
        it."""
        if self._batch_size is not None:
            return self._batch_size
        rows = ROWS if self.device.type == "cpu" else 4 * ROWS
        most = max(1, rows // self._image.rows)
        return most if most < self._inputs else most - most % self._inputs


def _name(item: object) -> str:
    """What messages call an item of a stream."""
    path = getattr(item, "path", None) or getattr(item, "media", None)
    return str(path) if path is not None else source_name(item) if is_image_source(item) else str(item)[:80]


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
