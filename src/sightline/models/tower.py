"""A tower: the side of a family's model that maps texts, images or videos into the space that both sides share.

Shapes: B inputs, L tokens, C channels, G groups, P projection.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from sightline.models.pretrained import PretrainedModel


@dataclass(frozen=True)
class Segments:
    """The groups of pixels of B images, in float32: unit vectors of each image (B, P) and of its groups (B, G, P), the
    share of each group in each patch (B, G, rows, columns), which add up to 1, and the logits' scale."""

    images: Tensor
    groups: Tensor
    shares: Tensor
    scale: float

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Those of several batches, in order."""
        images, groups, shares, scales = zip(*((p.images, p.groups, p.shares, p.scale) for p in parts), strict=True)
        return cls(torch.cat(images), torch.cat(groups), torch.cat(shares), scales[0])


class Tower(PretrainedModel):
    """A tower as an encoder opens it. A family implements `state`."""

    head: ClassVar[str | None] = None
    """The name of the layer that projects the state; None where the state is the embedding."""

    @classmethod
    def for_encoding(cls, path: Path, dtype: torch.dtype) -> Self:
        """The tower of the checkpoint at `path`, ready to embed: it cannot be trained or saved."""
        return cls.from_pretrained(path, dtype=dtype)

    @property
    def state_dim(self) -> int:
        """How many numbers `state` returns for an input; P where the tower has no projection at its end."""
        if self.head is None:
            return int(self.config.projection_dim)  # type: ignore[attr-defined]
        return int(next(self.get_submodule(self.head).parameters()).shape[1])

    def state(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """The pooled state of each input (B, state_dim), before the projection. Arguments as `embed`'s."""
        raise NotImplementedError

    def embed(self, inputs: Tensor, mask: Tensor | None = None, *, project: bool = True) -> Tensor:
        """A batch of B inputs -> (B, P), not of unit length: the embeddings that `forward` returns, for less work.

        Inputs are tokens (B, L), padded on the right, with their `mask` (B, L), 0 for padding; images (B, C, H, W) or,
        for a config of several `frames`, videos (B, frames, C, H, W). With `project=False` the pooled states before the
        projection, (B, state_dim).
        """
        state = self.state(inputs, mask)
        return self.get_submodule(self.head)(state) if project and self.head is not None else state

    def embed_with_extras(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Images or videos -> `embed`'s vectors (B, P) and the rows that an index keeps beside each, (B, rows, P).

        Only families with a rescorer or with regions have it.
        """
        raise NotImplementedError

    def segments(self, inputs: Tensor) -> Segments:
        """Images (B, C, H, W) of any size -> their groups. Only families with regions have it."""
        raise NotImplementedError


class TextTower(Tower):
    """A text model, `text_model`, whose pooled state `text_projection` projects."""

    parts: ClassVar[tuple[str, ...]] = ("text_model.", "text_projection.")
    head: ClassVar[str | None] = "text_projection"
    base_model_prefix: ClassVar[str] = "text_model"
    input_layer: ClassVar[str] = "text_model.embeddings.token_embedding"
    text_model: Any

    def state(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.text_model.pool(inputs, mask)  # type: ignore[no-any-return]


class ImageTower(Tower):
    """A ViT, `vision_model`, whose pooled state `visual_projection` projects."""

    parts: ClassVar[tuple[str, ...]] = ("vision_model.", "visual_projection.")
    head: ClassVar[str | None] = "visual_projection"
    base_model_prefix: ClassVar[str] = "vision_model"
    main_input_name: ClassVar[str] = "pixel_values"
    input_layer: ClassVar[str] = "vision_model.embeddings.patch_embedding"
    vision_model: Any

    def state(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.vision_model.pool(inputs)  # type: ignore[no-any-return]
