"""Samples to batches: in the order of the step, decoded and tokenised in threads."""

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
from sightline.models.xclip.processor import VideoProcessor
from sightline.processing.image.reading import open_image
from sightline.processing.tokenizer import Ids
from sightline.processing.video import sampling
from sightline.train.augment import Augment
from sightline.train.batch import Batch
from sightline.train.nouns import CAPTION, Nouns
from sightline.train.sampler import Order

_PIECE = 16
"""Samples that a thread makes at a time: few, so that the threads end together."""
_AHEAD = 2
"""Batches that are made before they are asked for."""


class Loader:
    """Batches of a data set for a model. `stream` may begin at any step, and gives the same each time.

    The order is `Order`'s; which of its captions a sample has, which part of it is seen and whether mirrored depend on
    the seed, the epoch and the sample's key alone. `batch` is the whole batch's, of which rank `rank` of `world`
    processes gets its share of rows. Each sample comes with `captions` of its captions, all if it has fewer. `crop`,
    `flip`, `color`: see `Augment`; without them pixels are exactly as the processor makes them of the whole picture.
    A model for film gets as many frames as its processor says, of a picture so many times the same.

    With `nouns` each caption is followed by prompts of nouns in it, and `extras["nouns"]` (T,) holds each text's noun's
    number, -1 for a caption.

    A sample that can't be read is left out of its batch, counted in `Batch.skipped`, its reason kept in `unreadable`.
    `workers`: threads; None is one for each core. Threads and no processes: Pillow decodes and resizes without Python's
    lock, nothing has to be pickled or copied, and there is nobody left behind when a run is broken off.
    Raises `UsageError`.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        processor: Processor,
        *,
        batch: int,
        seed: int = 0,
        captions: int = 1,
        crop: tuple[float, float] | None = None,
        flip: bool = False,
        color: float = 0.0,
        nouns: Nouns | None = None,
        workers: int | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if not 1 <= batch <= len(samples):
            raise UsageError(
                f"a batch of {batch}, but there are {len(samples):,} samples: choose batch=, --batch from 2 to that"
            )
        if not 0 <= rank < world or batch % world:
            raise UsageError(f"batch={batch} does not divide among {world} processes, of which this is number {rank}")
        if captions < 1 or (workers is not None and workers < 1):
            raise UsageError(f"captions={captions}, workers={workers}: each at least 1")
        if seed < 0:
            raise UsageError(f"seed={seed}: at least 0")
        images = processor.image_processor
        self._is_video = isinstance(images, VideoProcessor)
        frames = images.num_frames if isinstance(images, VideoProcessor) else 1
        if frames is None:
            raise UsageError("no config.json beside this processor says how many frames the model takes")
        self._frames = frames
        self._samples, self._batch, self._seed, self._captions = samples, batch, seed, captions
        self._nouns = nouns
        self._augment = Augment(images.profile, crop, flip, color)
        self._tokenizer = processor.tokenizer.tokenizer
        self._workers = workers or os.cpu_count() or 1
        self._order = Order([sample.file for sample in samples], batch, seed)
        self._mine = slice(rank * batch // world, (rank + 1) * batch // world)
        self.unreadable: dict[str, str] = {}

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which every sample comes once; no whole number, as batches run on over an epoch's end."""
        return len(self._samples) / self._batch

    def stream(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches of steps `start` to `stop` - 1. Raises `DataError` where nothing of a batch can be read."""
        pool = ThreadPoolExecutor(self._workers, "sightline-loader")
        pieces = (piece for step in range(start, stop) for piece in self._pieces(step))
        a_batch = -(-(self._mine.stop - self._mine.start) // _PIECE)
        with closing(ordered_map(self._fill, pieces, pool, _AHEAD * a_batch)) as done:
            for piece, _ in done:
                if piece.rows.stop == len(piece.draft.chosen):
                    yield self._finished(piece.draft)

    def _pieces(self, step: int) -> Iterator["_Piece"]:
        chosen = self._order.batch(step)[self._mine]
        shape = (3, *self._augment.size)
        pixels = np.empty((len(chosen), *((self._frames, *shape) if self._is_video else shape)), np.float32)
        draft = _Draft(step, chosen, pixels)
        for begin in range(0, len(chosen), _PIECE):
            yield _Piece(draft, slice(begin, min(begin + _PIECE, len(chosen))))

    def _fill(self, piece: "_Piece") -> None:
        draft, said = piece.draft, list[tuple[int, str, int]]()
        for row in range(piece.rows.start, piece.rows.stop):
            epoch, number = draft.chosen[row]
            sample = self._samples[number]
            key = int.from_bytes(blake2b(sample.key.encode("utf-8", "replace"), digest_size=8).digest())
            rng = np.random.default_rng([self._seed, epoch, key])
            count = min(self._captions, len(sample.captions))
            chosen = [sample.captions[i] for i in rng.permutation(len(sample.captions))[:count]]
            try:
                seen = self._augment(self._open(sample), rng)
            except (ImageError, DataError) as error:
                reason = f"{sample.media}: {error.reason}" if isinstance(error, ImageError) else str(error)
                draft.failed[row] = self.unreadable[sample.key] = reason
                continue
            values = self._augment.profile.normalize(seen)
            draft.pixels[row] = values if self._is_video else values[0]
            for caption in chosen:
                prompts = [] if self._nouns is None else self._nouns.prompts(caption, rng)
                said += [(row, text, number) for text, number in [(caption, CAPTION), *prompts]]
        for (row, _, noun), ids in zip(said, self._tokenizer.encode([text for _, text, _ in said]), strict=True):
            draft.texts.setdefault(row, []).append((ids, noun))

    def _open(self, sample: Sample) -> list[Image.Image]:
        if not sample.is_video:
            return [open_image(sample.content(), short_side=self._augment.short_side)] * self._frames
        if not self._is_video:
            raise ImageError(str(sample.media), "a film, and the model takes pictures")
        return sampling.sample_frames(sample.content(), self._frames, short_side=self._augment.short_side)

    def _finished(self, draft: "_Draft") -> Batch:
        good = [row for row in range(len(draft.chosen)) if row not in draft.failed]
        if not good:
            raise DataError(
                f"step {draft.step}: none of {len(draft.chosen)} samples can be read: {draft.failed[0]}, ..."
            )
        texts = [text for row in good for text in draft.texts[row]]
        ids, mask = self._tokenizer.pad([tokens for tokens, _ in texts])
        extras = {} if self._nouns is None else {"nouns": torch.tensor([noun for _, noun in texts])}
        owner = np.repeat(np.arange(len(good)), [len(draft.texts[row]) for row in good])
        pixels = draft.pixels if not draft.failed else draft.pixels[good]
        pixel_values, input_ids, attention_mask, owners = map(torch.from_numpy, (pixels, ids, mask, owner))
        return Batch(pixel_values, input_ids, attention_mask, owners, extras, len(draft.failed))


@dataclass(frozen=True)
class _Draft:
    """A batch in the making: of each row (epoch, sample), its pixels, and its texts with the numbers of their nouns, or
    why there are none."""

    step: int
    chosen: list[tuple[int, int]]
    pixels: NDArray[np.float32]
    texts: dict[int, list[tuple[Ids, int]]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Piece:
    """Some rows of a draft, for one thread."""

    draft: _Draft
    rows: slice
