"""A tower: the side of a family's model that maps texts, images or videos into the space that both sides share.

Shapes: B inputs, L tokens, C channels, G groups, P projection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from sightline.models.pretrained import PretrainedModel
from sightline.models.quantization_config import BitsAndBytesConfig
from sightline.nn.bert_layers import BertLayer
from sightline.nn.int8_blocks import Grids, Int8BertLayer, Int8Block, Int8Layer, Ranges
from sightline.nn.int8_patches import Int8Patches
from sightline.nn.patches import PatchEmbedding
from sightline.nn.transformer import Block


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
    int8_blocks: ClassVar[Mapping[type, type[Int8Layer]]] = {Block: Int8Block, BertLayer: Int8BertLayer}
    """The classes that compute blocks in bytes, by the class of the block; none where a tower has no such blocks."""
    takes_bytes = False
    """Whether images may be bytes, as they come from a file, too: (B, C, H, W) uint8."""

    @classmethod
    def for_encoding(cls, path: Path, dtype: torch.dtype) -> Self:
        """The tower of the checkpoint at `path`, ready to embed: it cannot be trained or saved."""
        return cls.from_pretrained(path, dtype=dtype).independent(dtype)

    @classmethod
    def in_4_bits(cls, path: Path, dtype: torch.dtype) -> Self:
        """`for_encoding` with the linear maps' weights in 4 bits, nf4, and products in `dtype`; of a checkpoint that is
        quantised, with its own. Raises `UsageError` for a tower without linear maps."""
        stored = cls.config_class.from_folder(path if path.is_dir() else path.parent)
        if getattr(stored, "quantization_config", None) is not None:
            return cls.for_encoding(path, dtype)  # in few bits already
        config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
        return cls.from_pretrained(path, dtype=dtype, quantization_config=config).independent(dtype)

    def independent(self, dtype: torch.dtype) -> Self:
        """A tower of quantised weights computes in `dtype`, and what bitsandbytes has in 8 bits becomes plain weights:
        there the other inputs of a batch decide what is computed in more bits."""
        if self.is_loaded_in_8bit:
            return self.dequantize(dtype)
        layers: Any = self.modules() if self.is_loaded_in_4bit else ()
        for layer in layers:
            if hasattr(layer, "compute_dtype"):
                layer.compute_dtype = dtype
        return self

    def int8_grids(self, ranges: Ranges) -> Grids:
        """How the inputs of its blocks' linear maps become bytes, for `to_int8`."""
        found: Grids = {}
        for name, kind in self._int8_kinds().items():
            inside = {key.removeprefix(name): ends for key, ends in ranges.items() if key.startswith(name)}
            found |= {name + key: grid for key, grid in kind.grids(self.get_submodule(name[:-1]), inside).items()}
        return found

    def to_int8(self, grids: Grids, byte_values: Tensor) -> Self:
        """Its blocks and patches in bytes, for encoding on a processor, the rest in float32.

        `byte_values` (C, 256): the pixel value of each byte.
        """
        for name, kind in self._int8_kinds().items():
            inside = {key.removeprefix(name): grid for key, grid in grids.items() if key.startswith(name)}
            parent, _, child = name[:-1].rpartition(".")
            blocks: Any = self.get_submodule(parent)
            blocks[int(child)] = kind(blocks[int(child)], inside)
        for module in list(self.modules()):
            for name, part in module.named_children():
                if isinstance(part, PatchEmbedding) and part.tiles and part.in_channels == len(byte_values):
                    setattr(module, name, Int8Patches(part, byte_values))
                    self.takes_bytes = True
        return self.requires_grad_(False)

    def _int8_kinds(self) -> dict[str, type[Int8Layer]]:
        """The classes that compute its blocks in bytes, by the blocks' names with a dot behind them."""
        kinds: dict[str, type[Int8Layer]] = {}
        for name, module in self.named_modules():
            if kind := next(
                (self.int8_blocks[base] for base in type(module).__mro__ if base in self.int8_blocks), None
            ):
                kinds[f"{name}."] = kind
        return kinds

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
