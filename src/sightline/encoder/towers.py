"""A checkpoint's towers on a device, and how much they are given at a time."""

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sightline.encoder.engines.opening import open_engine
from sightline.encoder.inputs import FRAMES
from sightline.encoder.memory import BatchLimit, is_out_of_memory, way_out
from sightline.encoder.precision import Precision
from sightline.encoder.source import EncoderSource
from sightline.encoder.workers import Workers
from sightline.errors import SightlineError, UsageError
from sightline.logger import LOGGER
from sightline.models.preprocessing import oddities

if TYPE_CHECKING:
    import torch


class Towers(EncoderSource):
    """A checkpoint's files, and its towers, each opened on the device when it is first needed."""

    def __init__(
        self,
        name_or_folder: str | os.PathLike[str],
        device: "str | torch.device",
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
        if self.exported is not None and self.config.rescoring_rows:
            LOGGER.warning(
                f"{self.name}: an export, which gives vectors alone: searches and evaluations score by cosines"
            )
        self.engine = open_engine(self, device, precision)
        self._batch_size = batch_size
        self._workers = Workers(self.engine)
        self._image_limit, self._text_limit = BatchLimit(self.engine), BatchLimit(self.engine)

    @property
    def device(self) -> Any:
        """What the model computes on: `str` names it."""
        return self.engine.device

    @property
    def precision(self) -> Precision:
        """The name of the numbers that the model computes in."""
        return self.engine.precision

    @cached_property
    def _text(self) -> Any:
        return self._open(self.engine.open_text, "texts")

    @cached_property
    def _image(self) -> Any:
        return self._open(self.engine.open_image, "images")

    def _open(self, opened: Callable[[], Any], noun: str) -> Any:
        """A tower on the device."""
        try:
            tower = opened()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise SightlineError(
                f"{self.name}: not enough memory on {self.device} for the model: {way_out(self.engine)}"
            ) from error
        LOGGER.info(f"{self.name}: the tower for {noun} on {self.device} in {self.precision}")
        return tower

    @property
    def frames(self) -> int:
        """Frames by which a video, or a moment of it, is seen."""
        return FRAMES if self.config.frames == 1 else int(self.config.frames)

    @property
    def _inputs(self) -> int:
        """Inputs that a video gives to the tower: 1 for a video model, one a frame for an image model."""
        return self.frames // int(self.config.frames)

    @property
    def batch(self) -> int:
        """Inputs in a batch, images or whole videos: the `batch_size` of `load`, else 16 for a ViT-B/32 on a processor
        and four times that on a GPU. Where that exceeds a video's inputs it is a multiple of them, so that videos fill
        it."""
        if self._batch_size is not None:
            return self._batch_size
        most = max(1, self.engine.rows // int(self.config.image_rows))
        return most if most < self._inputs else most - most % self._inputs

    def _no_memory(self, name: str) -> SightlineError:
        return SightlineError(f"{name}: not enough memory on {self.device} for it alone: {way_out(self.engine)}")
