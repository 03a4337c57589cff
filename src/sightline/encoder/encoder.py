"""A checkpoint as a function from files and strings to unit vectors."""

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sightline.encoder.hardware import cores, one_core_threads, pick_device, pick_dtype
from sightline.encoder.pipeline import ahead, batches, ordered_map
from sightline.encoder.source import Source, Vectors
from sightline.encoder.videos import FRAMES, Film, check_video, video_frames
from sightline.errors import ImageError, UsageError
from sightline.models.tower import Segments, Tower
from sightline.processing.image.reading import open_image

T = TypeVar("T")
F = TypeVar("F")
R = TypeVar("R")
Picture = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any]
Extras = NDArray[np.float16]

DEFAULT_MODEL = "openai/clip-vit-base-patch32"
ROWS = 800
"""Tokens in a batch of pictures, a core's share: enough for its matrix units, few enough for its cache, and, with large
models, for whoever waits for a first result or for an end."""
TEXT_BATCH = 64


def load(
    name_or_folder: str | os.PathLike[str] = DEFAULT_MODEL,
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    revision: str | None = None,
    local_files_only: bool = False,
) -> "Encoder":
    """Opens a checkpoint for encoding: a folder, a Hub name, or "mini", the small model in the package.

    `device` "auto" takes a GPU if there is one; `dtype` "auto" takes bfloat16 where the hardware has it, else
    float32. Raises `CheckpointError` (of the Hub: `HubError`), `UsageError`.
    """
    return Encoder(name_or_folder, device, dtype, revision=revision, local_files_only=local_files_only)


class Encoded(NamedTuple, Generic[T, F]):
    """An item of a stream with what `read` said of it, its unit vector (dim,), or the error for which it has none, and
    the rows that are kept beside the vector, float16 (rows, dim), where they were asked for."""

    item: T
    facts: F | None
    vector: Vectors | ImageError
    extras: Extras | None


@dataclass(frozen=True)
class _Prepared(Generic[T, F]):
    """An item's inputs to the tower, (inputs, frames of each, height, width, 3), or the error of reading it."""

    item: T
    facts: F | None
    inputs: NDArray[np.uint8] | ImageError


class Encoder(Source):
    """Made by `load`. Each tower is opened when it is first needed, so a search by words never reads the other."""

    def __init__(
        self, name_or_folder: str | os.PathLike[str], device: str | torch.device, dtype: str | torch.dtype, **where: Any
    ) -> None:
        super().__init__(name_or_folder, **where)
        self.device = pick_device(device)
        self.dtype = pick_dtype(dtype, self.device)
        # One batch at a time on a GPU: it has no use for more, and Apple's does not bear several threads.
        self._turn: AbstractContextManager[object] = nullcontext() if self.device.type == "cpu" else Lock()

    @property
    def precision(self) -> str:
        """The numbers in which vectors are computed: "float32", "bfloat16" ..."""
        return str(self.dtype).removeprefix("torch.")

    @cached_property
    def _text(self) -> Tower:
        return self.family.text.for_encoding(self.path, self.dtype).to(self.device)

    @cached_property
    def _image(self) -> Tower:
        return self.family.image.for_encoding(self.path, self.dtype).to(self.device)

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """n strings -> float32 (n, dim), rows of unit length. Text beyond the model's length is cut, its end kept."""
        return _unit(self.embed_text(texts))

    def embed_text(self, texts: Sequence[str], *, project: bool = True) -> Vectors:
        """What `encode_text` gives before it is brought to unit length: what a `Rescorer` takes.

        With `project=False` the tower's pooled states before its projection, (n, state_dim).
        """
        tokens = self.tokens(texts)
        tower = self._text  # opened here, not by each of the workers
        through = tower.embed if project else partial(tower.embed, project=False)
        vectors = np.empty((len(tokens), self.dim if project else tower.state_dim), np.float32)

        def embed(rows: list[int]) -> Vectors:
            ids, mask = self.tokenizer.pad([tokens[i] for i in rows], None)
            return self._run(through, torch.int64, ids, mask)[0]

        # Texts of one length share a batch: padding to the longest of all would be most of the work.
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        for rows, found in self._spread(embed, list(batches(order, self._share(len(order), TEXT_BATCH)))):
            vectors[rows] = found
        return vectors

    def encode_images(self, images: Iterable[Picture], *, orient: bool = True, exact: bool = False) -> Vectors:
        """n pictures (paths, bytes, PIL, arrays (H, W, 3)) -> float32 (n, dim), rows of unit length.

        `orient=False` ignores the orientation in EXIF, as the reference's processors do; `exact` decodes large JPEGs
        whole, where else a reduced scale is taken that keeps 1.5 times the model's side. A model for film sees a
        picture as a still film. Raises `ImageError` naming the first that cannot be read.
        """
        if isinstance(images, (str, bytes, os.PathLike, Image.Image)) or getattr(images, "ndim", 4) < 4:
            raise UsageError("encode_images takes a list of pictures, not one")
        pictures = list(images)
        for picture in pictures:
            if not isinstance(picture, (str, bytes, os.PathLike, Image.Image, np.ndarray)):
                raise UsageError(
                    f"a {type(picture).__name__} is no picture: give a path, bytes, a PIL image or an array"
                )

        def read(image: Picture) -> Image.Image:
            return open_image(image, orient=orient, short_side=None if exact else self.size_hint)

        return self._rows(pictures, read, 1)

    def encode_videos(self, films: Iterable[Film]) -> Vectors:
        """n films -> float32 (n, dim), rows of unit length.

        A film is a path or bytes, (path, start, end) in seconds, or its frames: an array (T, H, W, 3) or a list of
        pictures. Of a file `frames` are sampled, one of each equal part. A model for pictures sees a film as the
        normalized mean of its frames' unit vectors; one for film takes as many frames as its checkpoint says, and
        `UsageError` says how many if other than so many are given. Raises `VideoError` naming the first film that
        cannot be read.
        """
        if isinstance(films, (str, bytes, os.PathLike, Image.Image, np.ndarray)):
            raise UsageError("encode_videos takes a list of films, not one")
        given = list(films)
        for film in given:
            check_video(film, None if self._image.frames == 1 else self._image.frames)
        return self._rows(given, lambda film: video_frames(film, self.frames, self.size_hint), self._inputs)

    def stream(
        self,
        items: Iterable[T],
        read: Callable[[T], tuple[Image.Image | Sequence[Image.Image], F]],
        is_video: Callable[[T], bool] = lambda item: False,
        *,
        extras: bool = False,
        project: bool = True,
    ) -> Generator["Encoded[T, F]"]:
        """Each item encoded, in order; one that cannot be read comes with its `ImageError` in the vector's place.

        `read` returns an item's picture or, where it `is_video`, its `frames` frames, and facts of any kind about it,
        which come out beside the vector; it runs in threads and may raise `ImageError` or `OSError`. `extras`: for
        models that have `rescoring` or `regions`, also the rows that are kept beside the vector. With `project=False`
        the vector is the tower's pooled state before its projection, (state_dim,), of unit length. `items` are made in
        a thread of their own, so that it may take time to make them, as it does to cut a video. Pictures and videos
        share batches, of which a few are in memory at a time. An item's vector is the same, bit for bit, whatever
        stands beside it.
        """
        tower = self._image  # opened here, not by each of the workers
        through: Callable[..., Any] = tower.embed if project else partial(tower.embed, project=False)
        if extras:
            through = tower.embed_with_extras
        groups = batches(items, self.batch, lambda item: self._inputs if is_video(item) else 1)
        with closing(ahead(groups, self._workers)) as ready:
            yield from self._stream(ready, read, self.batch, through)

    @property
    def frames(self) -> int:
        """Frames that stand for a film, or for a moment of one."""
        return FRAMES if self._image.frames == 1 else self._image.frames

    @property
    def _inputs(self) -> int:
        """Inputs that a film gives to the tower: itself, or each frame."""
        return self.frames // self._image.frames

    def _rows(self, items: list[T], read: Callable[[T], Any], weight: int) -> Vectors:
        """The items' vectors (n, dim); `weight` is how many inputs each gives to the tower."""
        vectors = np.empty((len(items), self.dim), np.float32)
        batch = self._share(len(items) * weight, self.batch)
        groups = list(batches(items, batch, lambda item: weight))
        with closing(self._stream(groups, lambda item: (read(item), None), batch, self._image.embed)) as stream:
            for row, encoded in enumerate(stream):
                if isinstance(encoded.vector, ImageError):
                    raise encoded.vector
                vectors[row] = encoded.vector
        return vectors

    def _stream(
        self,
        groups: Iterable[list[T]],
        read: Callable[[T], tuple[Image.Image | Sequence[Image.Image], F]],
        batch: int,
        through: Callable[..., Any],
    ) -> Generator["Encoded[T, F]"]:
        def encode(group: list[T]) -> list[Encoded[T, F]]:
            return self._encode([self._prepare(item, read) for item in group], batch, through)

        with closing(self._spread(encode, groups)) as done:
            for _, group in done:
                yield from group

    def _prepare(
        self, item: T, read: Callable[[T], tuple[Image.Image | Sequence[Image.Image], F]]
    ) -> "_Prepared[T, F]":
        """An item's inputs to the tower and its facts, or why it has none."""
        try:
            content, facts = read(item)
            pictures = [content] if isinstance(content, Image.Image) else content
            pixels = np.stack([self.profile.resize_and_crop(picture) for picture in pictures])
        except ImageError as error:
            return _Prepared(item, None, error)
        except OSError as error:
            return _Prepared(item, None, ImageError(str(item), error.strerror or str(error)))
        except MemoryError:
            return _Prepared(item, None, ImageError(str(item), "not enough memory to read it"))
        frames = self._image.frames
        if len(pixels) == 1:  # a picture is a still video
            pixels = np.repeat(pixels, frames, axis=0)
        return _Prepared(item, facts, pixels.reshape(-1, frames, *pixels.shape[1:]))

    def _encode(self, group: "list[_Prepared[T, F]]", batch: int, through: Callable[..., Any]) -> "list[Encoded[T, F]]":
        """A group of prepared items through the tower; `through` gives vectors, or vectors and extras."""
        readable = [one.inputs for one in group if not isinstance(one.inputs, ImageError)]
        inputs = np.concatenate(readable) if readable else np.empty(0, np.uint8)
        parts = [self._pixels(through, inputs[cut : cut + batch], batch) for cut in range(0, len(inputs), batch)]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        vectors = _unit(columns[0]) if readable else np.empty(0, np.float32)
        encoded, start = [], 0
        for one in group:
            if isinstance(one.inputs, ImageError):
                encoded.append(Encoded(one.item, one.facts, one.inputs, None))
                continue
            stop = start + len(one.inputs)
            vector = _mean(vectors[start:stop])
            middle = start + len(one.inputs) // 2  # of a video that a model for pictures sees, the middle frame's
            rows = columns[1][middle].astype(np.float16) if len(columns) > 1 else None
            encoded.append(Encoded(one.item, one.facts, vector, rows))
            start = stop
        return encoded

    def _pixels(self, through: Callable[..., Any], inputs: NDArray[np.uint8], batch: int) -> list[Vectors]:
        """(n, frames, height, width, 3) through the tower. Filled up with black to a whole batch: torch's sums depend
        on a batch's shape."""
        whole = np.zeros((batch, *inputs.shape[1:]), np.uint8)
        whole[: len(inputs)] = inputs
        values = self.profile.normalize(whole.reshape(-1, *inputs.shape[2:]))
        if len(values) > batch:
            values = values.reshape(batch, -1, *values.shape[1:])
        return [found[: len(inputs)] for found in self._run(through, self.dtype, values)]

    def segments(self, pixels: NDArray[np.float32]) -> Segments:
        """Normalized pixels (n, 3, height, width) of any size -> the groups that they fall into, on the processor.
        For models that have `regions`."""
        with torch.inference_mode(), self._turn:
            seen = self._image.segments(torch.from_numpy(pixels).to(self.device, self.dtype))
            return Segments(seen.images.cpu(), seen.groups.cpu(), seen.shares.cpu(), seen.scale)

    @property
    def batch(self) -> int:
        """Pictures, or films for a model that takes them whole, in a batch: 16 for a ViT-B/32 on a processor, four
        times that on a GPU. More than a film's frames are a multiple of them, so that films fill it."""
        rows = ROWS if self.device.type == "cpu" else 4 * ROWS
        most = max(1, rows // self._image.rows)
        return most if most < self._inputs else most - most % self._inputs

    def _share(self, count: int, most: int) -> int:
        """How many of `count` items make a batch, so that there is one for each worker."""
        return max(1, min(most, -(-count // self._workers)))

    @property
    def _workers(self) -> int:
        """Threads that read, decode and compute, each a batch of its own.

        On a processor each computes on one core: that is quicker than all cores at one batch, where the steps between
        the products wait for one another and for whoever decodes. On a GPU they take turns at the model.
        """
        return cores() if self.device.type == "cpu" else min(8, os.cpu_count() or 1)

    def _spread(self, work: Callable[[list[T]], R], groups: Iterable[list[T]]) -> Generator[tuple[list[T], R]]:
        """Each group and what `work` makes of it, in order."""
        if isinstance(groups, list) and len(groups) < 2:  # for one, all cores
            yield from ((group, work(group)) for group in groups)
            return
        workers = self._workers
        with closing(ordered_map(work, groups, one_core_threads(workers), workers + 1)) as done:
            yield from done

    def _run(self, through: Callable[..., Any], dtype: torch.dtype, *inputs: NDArray[Any]) -> list[Vectors]:
        """A batch through a tower: all that comes out, in float32 whatever the model's dtype."""
        with torch.inference_mode(), self._turn:
            found = through(*(torch.from_numpy(array).to(self.device, dtype) for array in inputs))
            return [tensor.float().cpu().numpy() for tensor in (found if isinstance(found, tuple) else (found,))]


def _unit(rows: Vectors) -> Vectors:
    """Of unit length each."""
    unit: Vectors = torch.nn.functional.normalize(torch.from_numpy(rows), dim=-1).numpy()
    return unit


def _mean(vectors: Vectors) -> Vectors:
    """Of unit vectors (n, dim), as one, (dim,)."""
    if len(vectors) == 1:
        return np.asarray(vectors[0])
    mean = vectors.mean(axis=0, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)
