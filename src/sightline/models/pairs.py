"""What whole models share: a half for each side of a pair, and where the halves meet.

Shapes: B pictures or films, T texts, P projection.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.models.pretrained import PretrainedModel
from sightline.nn.loss import contrastive_loss


@dataclass(frozen=True)
class Halves:
    """What a model computes of each picture and of each text alone: tensors with B rows, tensors with T rows.

    What stands beside a sample does not change its rows, so that halves can be computed part by part, in other
    processes too, and be put together (but see a model's batch norms).
    """

    pictures: tuple[Tensor, ...]
    texts: tuple[Tensor, ...]

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same of every tensor."""
        return type(self)(tuple(map(change, self.pictures)), tuple(map(change, self.texts)))


@dataclass(frozen=True)
class Met:
    """Scaled similarities (B, T) and the unit vectors that they come from: (B, P) and (T, P), or (B, T, P) where each
    film prompts the texts."""

    logits_per_image: Tensor
    image_embeds: Tensor
    text_embeds: Tensor


class PairModel(PretrainedModel):
    """A whole model, which is trained on pairs of pictures (or films) and texts."""

    label_smoothing: ClassVar[float] = 0.0
    """Of the loss that the family was trained with."""
    towers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "image": ("vision_model", "visual_projection"),
        "text": ("text_model", "text_projection"),
    }
    """The modules that make an embedding of a picture (or of a film's frames) and of a text; frozen, they all are."""
    of_the_batch: ClassVar[tuple[str, ...]] = ()
    """The modules that `together` uses; all others see samples one by one, but for batch norms."""

    @property
    def scale(self) -> Tensor:
        """What the cosines are multiplied with."""
        raise NotImplementedError

    @property
    def scale_parameter(self) -> nn.Parameter:
        """The number that is learned of it: its logarithm, say."""
        raise NotImplementedError

    def hold_scale(self, most: float) -> None:
        """Brings the scale back to `most` where training has raised it above."""
        raise NotImplementedError

    def halves(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> Halves:
        """Pictures (B, C, H, W) or films (B, F, C, H, W), texts (T, L) padded on the right -> what `meet` takes.

        For less work than `forward`: of each tower's last block only what is pooled is computed.
        """
        raise NotImplementedError

    def meet(self, halves: Halves) -> Met:
        """The similarities of all pictures and all texts."""
        return self.compare(self.together(halves))

    def together(self, halves: Halves) -> Halves:
        """What a batch norm makes of the whole batch's halves: where there is one, `compare` needs this before.

        Here: nothing.
        """
        return halves

    def compare(self, halves: Halves) -> Met:
        """The similarities of some pictures and some texts. Here: cosines of the only tensor of each side."""
        (pictures,), (texts,) = halves.pictures, halves.texts
        return self.cosines(pictures, texts)

    def cosines(self, pictures: Tensor, texts: Tensor) -> Met:
        """Vectors (B, P) and (T, P) of any length -> their scaled cosines."""
        pictures = pictures / pictures.norm(dim=-1, keepdim=True)
        texts = texts / texts.norm(dim=-1, keepdim=True)
        return Met((texts @ pictures.t() * self.scale).t(), pictures, texts)

    def loss(self, met: Met) -> Tensor:
        """The contrastive loss of B = T pairs. Raises `UsageError` where they are no pairs."""
        pictures, texts = met.logits_per_image.shape
        if pictures != texts:
            raise UsageError(f"the loss needs pairs, not {texts} texts and {pictures} pictures or films")
        return contrastive_loss(met.logits_per_image.t(), self.label_smoothing)
