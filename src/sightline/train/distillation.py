"""Distillation: a model learns to give the vectors of another, its teacher, for the same images and texts.

Shapes: B images, T texts, P projection.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.checkpoint.hub import resolve
from sightline.data import captions
from sightline.encoder.hardware import pick_device, pick_dtype
from sightline.errors import UsageError
from sightline.models.families import family_of
from sightline.models.pairs import PairModel, Similarities
from sightline.models.processor import Processor
from sightline.train.batch import Batch
from sightline.train.loader import Loader
from sightline.train.recipe import LocalRows, Recipe
from sightline.train.source import open_loader

_IMAGES, _TEXTS, _SCALE = "teacher_images", "teacher_texts", "teacher_scale"


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """How far the model's vectors are from its teacher's: a loss for a `Recipe` whose data is a `Teacher`.

    The sum of two: 1 - cosine of each vector and the teacher's, the means over images and over texts added (Romero et
    al., "FitNets", 2015, on embeddings); and the divergence of the teacher's softmax over a batch's texts for each
    image from the model's, and likewise of images for each text, in the mean of both directions (Wu et al., "TinyCLIP",
    2023, section 3.1, affinity mimicking).
    """

    vectors: float = 1.0
    """The weight of the vectors' distance."""
    similarities: float = 1.0
    """The weight of the divergence of the similarities."""

    def __call__(self, similarities: Similarities, batch: Batch) -> Tensor:
        """A scalar. Raises `UsageError` for batches without a teacher's vectors, and for a model whose texts depend on
        the video."""
        if _IMAGES not in batch.extras:
            raise UsageError("the batch has no vectors of a teacher: give the recipe data=Teacher(...)")
        images, texts = batch.extras[_IMAGES], batch.extras[_TEXTS]
        if similarities.text_embeds.ndim != texts.ndim or similarities.image_embeds.shape[1:] != images.shape[1:]:
            raise UsageError(
                f"the model's vectors are {tuple(similarities.text_embeds.shape[1:])}, the teacher's "
                f"{tuple(texts.shape[1:])}: distillation compares vectors of one width, one for each input"
            )
        far = (
            2 - (similarities.image_embeds * images).sum(-1).mean() - (similarities.text_embeds * texts).sum(-1).mean()
        )
        logits, wanted = similarities.logits_per_image, batch.extras[_SCALE][0] * images @ texts.t()
        both = (_divergence(logits, wanted) + _divergence(logits.t(), wanted.t())) / 2
        return self.vectors * far + self.similarities * both


def _divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    """The mean over rows of the Kullback-Leibler divergence of softmax(logits) from softmax(wanted)."""
    return F.kl_div(logits.log_softmax(-1), wanted.log_softmax(-1), reduction="batchmean", log_target=True)


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """Captions with the vectors that a model gives for each batch: the data of a `Recipe`.

    The model sees the images as the recipe augments them, in the recipe's precision and on its device.
    """

    teacher: str
    """The model: a checkpoint's name or folder."""
    source: str | list[str]
    """Captions, as `sightline.data.captions` opens them."""
    split: str | None = None
    image_root: str | None = None

    def __call__(self, recipe: Recipe, processor: Processor, rows: LocalRows) -> "Taught":
        """The batches. Raises `CheckpointError`, `DataError`, `UsageError`."""
        path = resolve(self.teacher)
        family = family_of(path if path.is_dir() else path.parent)
        if family.is_rescored:
            raise UsageError(
                "X-CLIP's texts depend on the video, so there are no vectors to be taught; use sightline train"
            )
        model = family.model.from_pretrained(path, dtype="float32")
        dataset = captions(self.source, split=self.split, image_root=self.image_root)
        loader = open_loader(dataset, recipe, processor, rows)
        device = pick_device(recipe.device)
        return Taught(
            loader, model.to(device).requires_grad_(False), pick_dtype(recipe.precision, device), dataset.fingerprint
        )


@dataclass(frozen=True)
class Taught:
    """A loader's batches with a teacher's unit vectors (B, P) and (T, P), and the scale of its logits, (B,)."""

    loader: Loader
    teacher: PairModel
    precision: torch.dtype
    fingerprint: str

    @property
    def steps_per_epoch(self) -> float:
        """The loader's."""
        return self.loader.steps_per_epoch

    @property
    def unreadable(self) -> dict[str, str]:
        """The loader's."""
        return self.loader.unreadable

    def stream(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches of steps `start` to `stop` - 1."""
        for batch in self.loader.stream(start, stop):
            yield replace(batch, extras={**batch.extras, **self._vectors(batch.to(self.teacher.device))})

    @torch.no_grad()
    def _vectors(self, batch: Batch) -> dict[str, Tensor]:
        kind = self.teacher.device.type
        with torch.autocast(kind, self.precision, enabled=self.precision != torch.float32):
            found = self.teacher.encode(batch.pixel_values, batch.input_ids, batch.attention_mask)
        told = self.teacher.match(found.map(Tensor.float))
        return {_IMAGES: told.image_embeds, _TEXTS: told.text_embeds, _SCALE: self.teacher.scale.expand(len(batch))}
