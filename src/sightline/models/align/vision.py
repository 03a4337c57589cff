"""ALIGN's vision tower, an EfficientNet. Tan & Le, "EfficientNet: Rethinking Model Scaling" (2019), table 1.

Shapes: B pictures, C channels, H x W places, P the last stage's channels, which is the space shared with texts.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.models.align.blocks import AlignVisionEmbeddings, ConvNorm, blocks
from sightline.models.align.config import AlignVisionConfig
from sightline.models.align.layouts import VISION_TABLES
from sightline.models.tower import Tower
from sightline.nn.activations import ActivationLayer, activation
from sightline.nn.aliases import Aliased
from sightline.nn.calls import answer, asked, given
from sightline.nn.int8_blocks import Int8Layer
from sightline.nn.outputs import (
    BaseModelOutputWithNoAttention,
    BaseModelOutputWithPoolingAndNoAttention,
    optional_tuple,
)


class AlignVisionEncoder(Aliased):
    """All blocks, one after another."""

    def __init__(self, config: AlignVisionConfig) -> None:
        super().__init__()
        self.depth_coefficient = config.depth_coefficient
        self.blocks = nn.ModuleList(blocks(config))

    def forward(self, hidden_states: Tensor, output_hidden_states: bool = False, return_dict: bool = True) -> Any:
        """(B, C, H, W) -> the last block's output (B, P, H', W') and, if asked for, the input and each block's output.

        As a tuple where `return_dict` is false.
        """
        x = hidden_states
        states: list[Tensor] | None = [x] if output_hidden_states else None
        for block in self.blocks:
            x = block(x)
            if states is not None:
                states.append(x)
        out = BaseModelOutputWithNoAttention(x, optional_tuple(states))
        return out if return_dict else out.to_tuple()


class AlignVisionPooler(nn.Module):
    """The mean (or maximum) over all places: (B, P, H, W) -> (B, P, 1, 1)."""

    def __init__(self, config: AlignVisionConfig) -> None:
        super().__init__()
        self.pooling_type = config.pooling_type

    def forward(self, input: Tensor) -> Tensor:
        """(B, P, H, W) -> (B, P, 1, 1)."""
        return input.mean((2, 3), True) if self.pooling_type == "mean" else input.amax((2, 3), True)


class AlignVisionModel(Tower):
    """Convolutions; the embedding is the mean (or maximum) of the last features over all places."""

    base_model_prefix: ClassVar[str] = "align"
    main_input_name: ClassVar[str] = "pixel_values"
    input_layer: ClassVar[str] = "embeddings.convolution"
    supports_gradient_checkpointing: ClassVar[bool] = False
    _supports_sdpa: ClassVar[bool] = False
    _supports_flash_attn: ClassVar[bool] = False
    int8_blocks: ClassVar[Mapping[type, type[Int8Layer]]] = {}
    config_class = AlignVisionConfig
    tables = VISION_TABLES
    parts: ClassVar[tuple[str, ...]] = ("vision_model.",)
    prefix: ClassVar[str] = "vision_model."
    config: AlignVisionConfig

    def __init__(self, config: AlignVisionConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = AlignVisionEmbeddings(config)
        self.encoder = AlignVisionEncoder(config)
        self.pooler = AlignVisionPooler(config)

    @classmethod
    def for_encoding(cls, path: Path, dtype: torch.dtype) -> Self:
        """With its batch norms folded into the convolutions, in the memory format in which these are fastest, and with
        activations in place, so that large images' features fill no cache twice."""
        model = cls.from_pretrained(path, dtype=torch.promote_types(dtype, torch.float32))
        for module in model.modules():
            if isinstance(module, ConvNorm):
                module.fold()
            elif isinstance(module, ActivationLayer) and module.kind == activation("silu"):
                module.kind = module.kind._replace(f=partial(F.silu, inplace=True))
        model.to(memory_format=torch.channels_last)
        return model.requires_grad_(False).to(dtype)

    def forward(
        self,
        pixel_values: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        interpolate_pos_encoding: bool = False,
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        """`pixel_values` (B, C, H, W) of any size -> the last features (B, P, H', W') and the pooled ones (B, P).

        There are no attentions and no positions: asking for the ones, or to interpolate the others, changes nothing.
        What is None is as the config says.
        """
        config, pixel_values = self.config, given(pixel_values, "pixel_values").to(self.dtype)
        out = self.encoder(self.embeddings(pixel_values), asked(output_hidden_states, config, "output_hidden_states"))
        pooled = self.pooler(out.last_hidden_state).flatten(1)
        outcome = BaseModelOutputWithPoolingAndNoAttention(out.last_hidden_state, pooled, out.hidden_states)
        return answer(outcome, return_dict, config)

    @property
    def state_dim(self) -> int:
        return self.config.width

    def state(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """`forward`'s `pooler_output`, which is the embedding."""
        return self(inputs.contiguous(memory_format=torch.channels_last), return_dict=True).pooler_output  # type: ignore[no-any-return]
