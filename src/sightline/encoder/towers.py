"""A checkpoint's towers on a device, and how much they are given at a time."""

import os
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch

from sightline.encoder.compiled import Forward, Programs, helps
from sightline.encoder.hardware import pick_device, pick_dtype
from sightline.encoder.inputs import FRAMES
from sightline.encoder.memory import BatchLimit, is_out_of_memory, way_out
from sightline.encoder.precision import Precision
from sightline.encoder.source import EncoderSource
from sightline.encoder.workers import Workers
from sightline.errors import SightlineError, UsageError
from sightline.logger import LOGGER
from sightline.models.preprocessing import oddities
from sightline.models.tower import Tower

ROWS = 800
"""Tokens in a batch of images, for one core: enough for its matrix units, few enough for its cache, and few enough that
a large model's first batch comes soon."""


class Towers(EncoderSource):
    """A checkpoint's files, and its towers, each opened on the device when it is first needed."""

    def __init__(
        self,
        name_or_folder: str | os.PathLike[str],
        device: str | torch.device,
        precision: Precision,
        batch_size: int | None = None,
        compile: bool = False,
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
        self._programs = Programs(self.name) if compile and helps(self.device) else None
        if compile and self._programs is None:
            LOGGER.warning(f"{self.name}: not compiled, as this processor's own kernels are at least as quick")
        self._workers = Workers(self.device)
        self._image_limit, self._text_limit = BatchLimit(self.device), BatchLimit(self.device)

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

    @property
    def frames(self) -> int:
        """Frames by which a video, or a moment of it, is seen."""
        return FRAMES if self._image.frames == 1 else self._image.frames

    @property
    def _inputs(self) -> int:
        """Inputs that a video gives to the tower: 1 for a video model, one a frame for an image model."""
        return self.frames // self._image.frames

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

    def _for_batches(self, forward: Forward, key: str) -> Forward:
        """A function of the image tower as whole batches go through it: compiled, if that was asked for."""
        return forward if self._programs is None else self._programs.of(forward, key)

    def _no_memory(self, name: str) -> SightlineError:
        return SightlineError(f"{name}: not enough memory on {self.device} for it alone: {way_out(self.device)}")
