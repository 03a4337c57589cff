"""A checkpoint as a function from files and strings to unit vectors."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.encoder.image_batches import Encoded, ImageBatches, Read
from sightline.encoder.inputs import ImageInput, Missing, VideoInput, check_images, check_videos, video_frames
from sightline.encoder.lists import place
from sightline.encoder.memory import TooLarge
from sightline.encoder.pipeline import ahead, batches
from sightline.encoder.precision import Precision
from sightline.encoder.readable import Errors, Readable, check_errors, collect
from sightline.encoder.source import Noun, Vectors
from sightline.encoder.text_batches import for_threads
from sightline.errors import ImageError, UsageError
from sightline.processing.image.reading import open_image
from sightline.processing.video.moments import Moment, moments
from sightline.processing.video.reader import VideoSource
from sightline.progress import Progress, ProgressCallback, check_callback, no_progress

if TYPE_CHECKING:
    import torch

    from sightline.encoder.fast import Fast
    from sightline.models.tower import Segments

T = TypeVar("T")
F = TypeVar("F")

DEFAULT_MODEL = "openai/clip-vit-base-patch32"


def load(
    name_or_folder: str | os.PathLike[str] = DEFAULT_MODEL,
    *,
    device: "str | torch.device" = "auto",
    precision: Precision = "auto",
    batch_size: int | None = None,
    compile: bool = False,
    revision: str | None = None,
    local_files_only: bool = False,
) -> "Encoder":
    """Opens a checkpoint for encoding: a folder, a Hub name, or "mini", the small model in the package.

    `device`: "auto" takes a GPU if the machine has one; else "cpu", "cuda", "cuda:1", "mps" or "xpu". `precision`
    "auto" takes bfloat16 where the hardware has it, else float32; "fast" takes for each tower the quickest that this
    machine has and whose vectors of drawn images, or texts, have a mean cosine of at least 0.999 to those in float32:
    a check of seconds, made once and noted in the user's cache. `batch_size`: images (or whole videos), or texts, in
    a batch; None: as many as suit the model and the device. Another batch size changes vectors in their last bits only,
    so that an index may be made with several. `compile`: whole batches of images go through a tower that torch compiles
    before the first one (up to a minute; seconds from the second time on); texts, and images that fill no batch, don't
    wait for it and are computed as without. Where it cannot help, the logger is told and nothing is compiled. Raises
    `CheckpointError` (of the Hub: `HubError`), `UsageError`.
    """
    source = {"revision": revision, "local_files_only": local_files_only}
    return Encoder(name_or_folder, device, precision, batch_size, compile, **source)


class Encoder(ImageBatches):
    """Made by `load`. Each tower is opened when it is first needed, so a search by words never reads the other.

    Where memory runs out, the batch is halved and computed again, and the encoder keeps to the smaller one; the logger
    is told. Vectors made before that may differ from later ones in their last bits. If a single item is too much,
    `SightlineError` names it.
    """

    def __repr__(self) -> str:
        engine = "" if self.exported is None else f', engine="{self.engine.name}"'
        numbers = f'device="{self.device}", precision="{self.engine.precision}"'
        return f'Encoder("{self.name}", dim={self.dim}, {numbers}{engine})'

    @property
    def is_fast(self) -> bool:
        """Whether precisions are chosen by the rules and checks of "fast"."""
        return self.engine.precision == "fast"

    @cached_property
    def _fast(self) -> "dict[Noun, Fast]":
        from sightline.encoder.fast import Fast  # needs torch, which exports do without

        return {noun: Fast(self, noun) for noun in get_args(Noun)}

    def _chosen(self, noun: Noun) -> str:
        return self._fast[noun].precision if self.is_fast else self.engine.precision

    def note_cosine(self, cosine: float) -> None:
        """Note the mean cosine to float32 of images in the precision that "fast" chose. Below 0.999 another takes its
        place."""
        before = self.precision
        self._fast["images"].add(before, cosine)
        if self.precision != before:
            self.__dict__.pop("_image", None)

    def encode_text(self, texts: Iterable[str], *, progress: ProgressCallback = no_progress) -> Vectors:
        """n strings -> float32 (n, dim), rows of unit length. Text beyond the model's length is cut, its end kept, and
        the logger is told how many were. `texts`: a list, an array, a column of a table, a generator."""
        return self.engine.unit_rows(self.embed_text(texts, progress=progress))

    def embed_text(
        self, texts: Iterable[str], *, project: bool = True, progress: ProgressCallback = no_progress
    ) -> Vectors:
        """n strings -> float32 (n, dim), before `encode_text` scales the rows to unit length: what `Rescorer` takes.

        With `project=False` the tower's pooled states before its projection, (n, state_dim). Progress comes in the
        stage "reading texts".
        """
        check_callback(progress)
        if not project and self.exported is not None:
            raise self.vectors_only("states before the projection need")
        tokens = self.tokens(texts)
        tower = self._text  # opened once here, before the threads use it
        forward = tower.embed if project else partial(tower.embed, project=False)
        vectors = np.empty((len(tokens), self.dim if project else tower.state_dim), np.float32)

        def embed(rows: list[int], size: int) -> Vectors:
            ids, mask = self.tokenizer.pad([tokens[i] for i in rows], None)
            return self.engine.run(forward, ids, mask)[0]

        def embed_group(rows: list[int]) -> Vectors:
            try:
                return np.concatenate(self._text_limit.split(rows, len(rows), embed))
            except TooLarge as error:
                number = place(rows[error.position], len(tokens))
                raise self._no_memory(f"{number}, a text of {len(tokens[rows[error.position]])} tokens") from error

        # Texts of about one length share a batch: padding to the longest of all texts would be most of the work.
        groups = self._text_groups([len(ids) for ids in tokens])
        done = 0
        for rows, embedded in self._workers.map(embed_group, groups):
            vectors[rows] = embedded
            done += len(rows)
            progress(Progress("reading texts", done, len(tokens)))
        return self.check_finite(vectors, self.text_precision)

    def _text_groups(self, lengths: list[int]) -> list[list[int]]:
        """The places of texts of these lengths in batches, a share for each thread."""
        return for_threads(lengths, self.text_tokens, self._workers.count, self._batch_size)

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

        A video is a path, bytes or an open file (also of an animated image), (path, start, end) in seconds, or its
        frames: an array or tensor (T, H, W, 3) or (T, 3, H, W), or a list of images. Of a file `frames` are sampled,
        one of each equal part. An image model sees a video as the normalized mean of its frames' unit vectors; a
        video model takes as many frames as its checkpoint says, and `UsageError` says how many if a list of another
        length is given. Raises `VideoError` naming the first video that cannot be read.
        """
        checked = check_videos(videos, None if self.config.frames == 1 else int(self.config.frames))
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
        whatever stands beside it. Raises `UsageError` if `extras` and `project=False` come together, and for either of
        them of an export.
        """
        if extras and not project:
            raise UsageError("extras stand beside projected vectors: ask for extras or for project=False, not for both")
        if self.exported is not None and (extras or not project):
            raise self.vectors_only(f"{'rows beside vectors' if extras else 'states before the projection'} need")
        tower = self._image  # opened once here, before the threads use it
        forward: Callable[..., Any] = tower.embed if project else partial(tower.embed, project=False)
        if extras:
            forward = tower.embed_with_extras
        forward = self._for_batches(forward, f"{extras} {project}")
        groups = batches(items, self.batch, lambda item: self._inputs if is_video(item) else 1)
        with closing(ahead(groups, self._workers.count)) as ready:
            yield from self._stream(ready, read, self.batch, forward)

    def _rows(
        self, items: list[T], read: Callable[[T], Any], weight: int, errors: Errors, progress: ProgressCallback
    ) -> Vectors | Readable:
        """The items' vectors; `weight` is how many inputs each gives to the tower."""
        check_errors(errors)
        check_callback(progress)

        def read_item(item: T) -> tuple[Any, None]:
            if isinstance(item, Missing):
                raise ImageError("None", "there is nothing in its place")
            return read(item), None

        batch = self._workers.share(len(items) * weight, self.batch)
        groups = list(batches(items, batch, lambda item: weight))
        forward: Callable[..., Any] = self._image.embed
        if batch == self.batch:
            forward = self._for_batches(forward, "False True")
        with closing(self._stream(groups, read_item, batch, forward)) as stream:
            encoded = collect(stream, len(items), self.dim, errors, progress)
        self.check_finite(encoded.vectors if isinstance(encoded, Readable) else encoded, self.precision)
        return encoded

    def segments(self, pixels: NDArray[np.float32]) -> "Segments":
        """Normalized pixels (n, 3, height, width) of any size -> the groups that they fall into, on the processor.
        For models that have `regions`."""

        def forward(part: NDArray[np.float32], size: int) -> "Segments":
            segments: Segments = self.engine.segments(self._image, part)
            return segments

        try:
            parts = self._image_limit.split(pixels, len(pixels), forward)
        except TooLarge as error:
            raise self._no_memory(f"an image of {pixels.shape[3]} x {pixels.shape[2]} pixels") from error
        return parts[0].joined(parts)
