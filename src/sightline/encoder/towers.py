"""A checkpoint's towers on a device, and how much they are given at a time."""

import os
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from sightline.encoder.engines.engine import Engine
from sightline.encoder.engines.opening import open_engine
from sightline.encoder.inputs import FRAMES
from sightline.encoder.memory import BatchLimit, is_out_of_memory, way_out
from sightline.encoder.precision import Precision
from sightline.encoder.source import EncoderSource, Noun
from sightline.encoder.workers import Workers
from sightline.errors import SightlineError, UsageError
from sightline.logger import LOGGER
from sightline.models.preprocessing import oddities

if TYPE_CHECKING:
    import torch

    from sightline.encoder.compiled import Forward, Programs
    from sightline.models.tower import Tower


class Side(NamedTuple):
    """A tower, and the dtype of the pixels that it is given (texts are token ids, int64, at any rate)."""

    tower: "Tower"
    dtype: "torch.dtype"


class Towers(EncoderSource):
    """A checkpoint's files, and its towers, each opened on the device when it is first needed."""

    def __init__(
        self,
        name_or_folder: str | os.PathLike[str],
        device: "str | torch.device",
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
        if self.exported is not None and self.config.rescoring_rows:
            LOGGER.warning(
                f"{self.name}: an export, which gives vectors alone: searches and evaluations score by cosines"
            )
        self._batch_size = batch_size
        self._use(open_engine(self, device, precision))
        self._programs = self._to_compile() if compile else None

    def _use(self, engine: Engine) -> None:
        self.engine, self._workers = engine, Workers(engine)
        self._image_limit, self._text_limit = BatchLimit(engine), BatchLimit(engine)

    def _to_compile(self) -> "Programs | None":
        if self.exported is not None:
            LOGGER.warning(f"{self.name}: not compiled by torch, as exports run without it")
            return None
        from sightline.encoder.compiled import Programs, helps  # needs torch, which exports do without

        if helps(self.device):
            return Programs(self.name)
        LOGGER.warning(f"{self.name}: not compiled, as this processor's own kernels are at least as quick")
        return None

    @property
    def device(self) -> Any:
        """What the model computes on: `str` names it."""
        return self.engine.device

    def __getstate__(self) -> dict[str, Any]:
        """For `pickle` and `copy`. In int8, and in "fast", which may be int8, without the towers, whose weights lie in
        oneDNN's own order: they are opened again when they are needed."""
        left_out = ("_text", "_image") if self.engine.precision in ("int8", "fast") else ()
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    @property
    def precision(self) -> str:
        """The numbers in which images and videos are computed: "float32", "bfloat16", "float16" or "int8". Of "fast"
        it is what was chosen; asking chooses."""
        return self._chosen("images")

    @property
    def text_precision(self) -> str:
        """The numbers in which texts are computed: those of images, unless "fast" chose others."""
        return self._chosen("texts")

    def _chosen(self, noun: Noun) -> str:
        """The precision of a tower."""
        return self.engine.precision

    @cached_property
    def _text(self) -> Any:
        return self._open("texts", self.text_precision)

    @cached_property
    def _image(self) -> Any:
        return self._open("images", self.precision)

    def _open(self, noun: Noun, precision: str) -> Any:
        """A tower on the device."""
        try:
            tower = self.engine.open(self, noun, precision)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise SightlineError(
                f"{self.name}: not enough memory on {self.device} for the model: {way_out(self.engine)}"
            ) from error
        LOGGER.info(f"{self.name}: the tower for {noun} on {self.device} in {precision}")
        return tower

    def in_precision(self, precision: str, noun: Noun) -> Self:
        """The same checkpoint on the same device in another precision, with its tower for these opened."""
        other = copy(self)
        for opened in ("_text", "_image", "_fast"):
            other.__dict__.pop(opened, None)
        other.is_quiet, other._programs = True, None
        other._use(open_engine(self, self.device, precision))
        _ = other._image if noun == "images" else other._text
        return other

    @property
    def image_side(self) -> Side:
        """The tower for images (or videos), opened if it is not yet, for what looks into it. Raises `UsageError` for an
        export."""
        return self._side("_image")

    @property
    def text_side(self) -> Side:
        """The tower for texts, opened if it is not yet, for what looks into it. Raises `UsageError` for an export."""
        return self._side("_text")

    def _side(self, opened: str) -> Side:
        if self.exported is not None:
            raise self.vectors_only("a look into its towers needs")
        tower = getattr(self, opened)
        return Side(tower, self.engine.dtype)

    @property
    def threads(self) -> int:
        """How many threads encode lists."""
        return self._workers.count

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

    @property
    def text_tokens(self) -> int:
        """Tokens in a batch of texts, padding included."""
        return self.engine.text_tokens

    def _for_batches(self, forward: "Forward", key: str) -> "Forward":
        """A function of the image tower as whole batches go through it: compiled, if that was asked for."""
        return forward if self._programs is None else self._programs.of(forward, f"{key} {self.precision}")

    def _no_memory(self, name: str) -> SightlineError:
        return SightlineError(f"{name}: not enough memory on {self.device} for it alone: {way_out(self.engine)}")
