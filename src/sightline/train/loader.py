"""Samples to batches: in the order of the sampler, decoded and tokenized in threads."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sightline.data import Sample
from sightline.encoder.pipeline import ordered_map
from sightline.errors import DataError, ImageError, UsageError
from sightline.models.processor import Processor
from sightline.processing.image.reading import open_image
from sightline.processing.tokenizer import Ids
from sightline.processing.video import sampling
from sightline.train.augment import Augment
from sightline.train.batch import Batch
from sightline.train.nouns import CAPTION, Nouns
from sightline.train.sampler import BatchSampler

_PIECE = 16
"""Samples that a thread prepares at a time: few, so that the threads end together."""
_AHEAD = 2
"""Batches that are prepared in advance."""


class Loader:
    """Batches of a data set for a model. `stream` may begin at any step, and gives the same batches each time.

    The order is `BatchSampler`'s. Which captions of a sample are taken, and how its image is augmented, depends on the
    seed, the epoch and the sample's key alone. `batch_size` is that of all `world_size` processes together, of which
    rank `rank` gets its rows. Each sample comes with `captions_per_image` of its captions, or all if it has fewer.
    `crop`, `flip`, `color_jitter`: see `Augment`; without them pixels are exactly the processor's. A model for videos
    gets as many frames as its processor says; an image is repeated as often.

    With `nouns` each caption is followed by prompts of its nouns, and `extras["nouns"]` (T,) holds the number of each
    text's noun, -1 for a caption.

    A sample that can't be read is left out of its batch and counted in `Batch.skipped`; `unreadable` holds the reason.
    `workers`: threads; None: as many as there are cores. Threads rather than processes, since Pillow decodes and
    resizes without Python's lock, nothing has to be pickled or copied, and no process is left behind by a broken run.
    Raises `UsageError`.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        processor: Processor,
        *,
        batch_size: int,
        seed: int = 0,
        captions_per_image: int = 1,
        crop: tuple[float, float] | None = None,
        flip: bool = False,
        color_jitter: float = 0.0,
        nouns: Nouns | None = None,
        workers: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"batch_size is {batch_size}: at least 1")
        if batch_size > len(samples):
            most = len(samples) // world_size * world_size
            raise UsageError(
                f"batch_size is {batch_size}, but there are only {len(samples):,} samples: --batch-size {most} takes "
                "all of them in each step, a smaller one some of them"
            )
        if not 0 <= rank < world_size or batch_size % world_size:
            raise UsageError(
                f"batch_size={batch_size} does not divide among {world_size} processes, of which this is number {rank}"
            )
        if captions_per_image < 1 or (workers is not None and workers < 1):
            raise UsageError(f"captions_per_image={captions_per_image}, workers={workers}: each at least 1")
        if seed < 0:
            raise UsageError(f"seed={seed}: at least 0")
        images = processor.image_processor
        if images.num_frames is None:
            raise UsageError("no config.json beside this processor says how many frames the model takes")
        self._takes_videos, self._frames = images.takes_videos, images.num_frames
        self._samples, self._batch_size, self._seed = samples, batch_size, seed
        self._captions_per_image, self._nouns = captions_per_image, nouns
        self._augment = Augment(images.profile, crop, flip, color_jitter)
        self._tokenizer = processor.tokenizer.tokenizer
        self._workers = workers or os.cpu_count() or 1
        self._sampler = BatchSampler([sample.file for sample in samples], batch_size, seed)
        self._local = slice(rank * batch_size // world_size, (rank + 1) * batch_size // world_size)
        self.unreadable: dict[str, str] = {}

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which every sample comes once; a fraction, as batches run on over an epoch's end."""
        return len(self._samples) / self._batch_size

    def stream(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches of steps `start` to `stop` - 1. Raises `DataError` where no sample of a batch can be read."""
        pool = ThreadPoolExecutor(self._workers, "sightline-loader")
        pieces = (piece for step in range(start, stop) for piece in self._pieces(step))
        pieces_per_batch = -(-(self._local.stop - self._local.start) // _PIECE)
        with closing(ordered_map(self._fill, pieces, pool, _AHEAD * pieces_per_batch)) as filled:
            for piece, _ in filled:
                if piece.rows.stop == len(piece.draft.samples):
                    yield self._finished(piece.draft)

    def _pieces(self, step: int) -> Iterator["_Piece"]:
        samples = self._sampler.batch(step)[self._local]
        shape = (3, *self._augment.size)
        pixels = np.empty((len(samples), *((self._frames, *shape) if self._takes_videos else shape)), np.float32)
        draft = _Draft(step, samples, pixels)
        for start in range(0, len(samples), _PIECE):
            yield _Piece(draft, slice(start, min(start + _PIECE, len(samples))))

    def _fill(self, piece: "_Piece") -> None:
        draft, texts = piece.draft, list[tuple[int, str, int]]()  # row, text, number of its noun
        for row in range(piece.rows.start, piece.rows.stop):
            epoch, number = draft.samples[row]
            sample = self._samples[number]
            key = int.from_bytes(blake2b(sample.key.encode("utf-8", "replace"), digest_size=8).digest())
            rng = np.random.default_rng([self._seed, epoch, key])
            count = min(self._captions_per_image, len(sample.captions))
            captions = [sample.captions[i] for i in rng.permutation(len(sample.captions))[:count]]
            try:
                frames = self._augment(self._open(sample), rng)
            except (ImageError, DataError) as error:
                reason = f"{sample.media}: {error.reason}" if isinstance(error, ImageError) else str(error)
                draft.failed[row] = self.unreadable[sample.key] = reason
                continue
            values = self._augment.profile.normalize(frames)
            draft.pixels[row] = values if self._takes_videos else values[0]
            for caption in captions:
                prompts = [] if self._nouns is None else self._nouns.prompts(caption, rng)
                texts += [(row, text, noun) for text, noun in [(caption, CAPTION), *prompts]]
        for (row, _, noun), ids in zip(texts, self._tokenizer.encode([text for _, text, _ in texts]), strict=True):
            draft.texts.setdefault(row, []).append((ids, noun))

    def _open(self, sample: Sample) -> list[Image.Image]:
        if not sample.is_video:
            return [open_image(sample.content(), short_side=self._augment.short_side)] * self._frames
        if not self._takes_videos:
            raise ImageError(str(sample.media), "a video, and the model takes images")
        return sampling.sample_frames(sample.content(), self._frames, short_side=self._augment.short_side)

    def _finished(self, draft: "_Draft") -> Batch:
        rows = [row for row in range(len(draft.samples)) if row not in draft.failed]
        if not rows:
            raise DataError(
                f"step {draft.step}: none of {len(draft.samples)} samples can be read: {draft.failed[0]}, ..."
            )
        texts = [text for row in rows for text in draft.texts[row]]
        ids, mask = self._tokenizer.pad([tokens for tokens, _ in texts])
        extras = {} if self._nouns is None else {"nouns": torch.tensor([noun for _, noun in texts])}
        owner = np.repeat(np.arange(len(rows)), [len(draft.texts[row]) for row in rows])
        pixels = draft.pixels if not draft.failed else draft.pixels[rows]
        pixel_values, input_ids, attention_mask, owners = map(torch.from_numpy, (pixels, ids, mask, owner))
        return Batch(pixel_values, input_ids, attention_mask, owners, extras, len(draft.failed))


@dataclass(frozen=True)
class _Draft:
    """A batch while it is filled. By row: (epoch, number) of its sample, its pixels, and its texts with the numbers of
    their nouns, or the reason why the sample cannot be read."""

    step: int
    samples: list[tuple[int, int]]
    pixels: NDArray[np.float32]
    texts: dict[int, list[tuple[Ids, int]]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Piece:
    """Rows of a draft that a thread fills."""

    draft: _Draft
    rows: slice
