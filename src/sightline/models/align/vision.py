"""ALIGN's vision tower, an EfficientNet. Tan & Le, "EfficientNet: Rethinking Model Scaling" (2019), table 1; the block
is that of Sandler et al., "MobileNetV2" (2018), with squeeze and excitation (Hu et al., 2018).

Shapes: B pictures, C channels, H x W places, P the last stage's channels, which is the space shared with texts.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sightline.models.align.config import AlignVisionConfig
from sightline.models.align.layouts import VISION_TABLES
from sightline.models.tower import Tower
from sightline.nn.activations import activation
from sightline.nn.aliases import Aliased
from sightline.nn.initial import normal
from sightline.nn.outputs import TowerOutput, optional_tuple


class ConvNorm(Aliased):
    """A convolution without bias and a batch norm. `pads`: rows and columns of zeros before and after."""

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: int,
        stride: int,
        pads: tuple[int, int],
        groups: int,
        norm: nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        before, after = pads
        self.pads = (before, after, before, after) if before != after else None
        self.conv = nn.Conv2d(channels, out, kernel, stride, 0 if self.pads else before, groups=groups, bias=False)
        self.norm: nn.BatchNorm2d | None = norm
        normal(self.conv.weight, (2 * groups / (kernel**2 * out)) ** 0.5)  # by the fan out, as the paper's code

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, out, H', W')."""
        x = self.conv(F.pad(x, self.pads) if self.pads else x)
        return x if self.norm is None else self.norm(x)

    def fold(self) -> None:
        """The norm, as it is in evaluation, becomes part of the convolution."""
        if self.norm is not None:
            self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), None


class SqueezeExcite(Aliased):
    """Each channel multiplied by a factor that the means of all channels decide (Hu et al., 2018)."""

    def __init__(self, channels: int, hidden: int, hidden_act: str) -> None:
        super().__init__()
        self.act = activation(hidden_act)
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        # As a pooling: torch's mean of bfloat16 takes seven times as long.
        means = F.avg_pool2d(x, x.shape[2:])
        weights: Tensor = self.expand(self.act(self.reduce(means)))
        return x * weights.sigmoid()


class AlignVisionBlock(Aliased):
    """Expansion, depthwise convolution, squeeze and excitation, projection; a skip around all, if the shapes agree.

    `dropout` is the fraction of the numbers added to the skip that training leaves out; None: there is no skip.
    """

    def __init__(
        self,
        config: AlignVisionConfig,
        channels: int,
        out: int,
        kernel: int,
        stride: int,
        ratio: int,
        even_pads: bool,
        dropout: float | None,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.act = activation(config.hidden_act)
        wide, half = channels * ratio, kernel // 2
        # This norm has torch's momentum in the reference, whatever the config says.
        inner = nn.BatchNorm2d(wide, config.batch_norm_eps)
        self.expand = ConvNorm(channels, wide, 1, 1, (0, 0), 1, inner) if ratio != 1 else None
        before = (kernel - 1) // 2 if stride == 1 else half if even_pads else half - 1
        self.depthwise = ConvNorm(wide, wide, kernel, stride, (before, half), wide, _norm(config, wide))
        squeezed = max(1, int(channels * config.squeeze_expansion_ratio))
        self.squeeze_excite = SqueezeExcite(wide, squeezed, config.hidden_act)
        self.project = ConvNorm(wide, out, 1, 1, (0, 0), 1, _norm(config, out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, out, H', W')."""
        y = self.act(self.expand(x)) if self.expand is not None else x
        y = self.project(self.squeeze_excite(self.act(self.depthwise(y))))
        return y if self.dropout is None else x + F.dropout(y, self.dropout, self.training)


class AlignVisionModel(Tower):
    """Convolutions; the embedding is the mean (or maximum) of the last features over all places."""

    config_class = AlignVisionConfig
    tables = VISION_TABLES
    parts: ClassVar[tuple[str, ...]] = ("vision_model.",)
    prefix: ClassVar[str] = "vision_model."
    config: AlignVisionConfig

    def __init__(self, config: AlignVisionConfig) -> None:
        super().__init__()
        self.config = config
        self.act = activation(config.hidden_act)
        width = config.channels(32)
        self.stem = ConvNorm(config.num_channels, width, 3, 2, (0, 1), 1, _norm(config, width))
        self.blocks = nn.ModuleList(_blocks(config))

    @classmethod
    def for_encoding(cls, path: Path, dtype: torch.dtype) -> Self:
        """With its batch norms folded into the convolutions, in the memory format in which these are fastest, and with
        activations in place, so that large images' features fill no cache twice."""
        model = cls.from_pretrained(path, dtype=torch.promote_types(dtype, torch.float32))
        for module in model.modules():
            if isinstance(module, ConvNorm):
                module.fold()
            elif isinstance(module, AlignVisionBlock | AlignVisionModel) and module.act == activation("silu"):
                module.act = module.act._replace(f=partial(F.silu, inplace=True))
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return model.requires_grad_(False).to(dtype)

    def forward(
        self, pixel_values: Tensor, output_hidden_states: bool = False, output_attentions: bool = False
    ) -> TowerOutput:
        """`pixel_values` (B, C, H, W) of any size -> the last features (B, P, H', W') and the pooled ones (B, P).

        There are no attentions: asking for them changes nothing.
        """
        states: list[Tensor] | None = [] if output_hidden_states else None
        x = self.act(self.stem(pixel_values.to(self.dtype)))
        for block in self.blocks:
            if states is not None:
                states.append(x)
            x = block(x)
        if states is not None:
            states.append(x)
        pooled = x.mean((2, 3)) if self.config.pooling_type == "mean" else x.amax((2, 3))
        return TowerOutput(x, pooled, optional_tuple(states))

    @property
    def rows(self) -> int:
        """As many as patches of 14 pixels, at most 20 x 20: two such images' first features fill a core's cache."""
        return min(self.config.image_size // 14 + 1, 20) ** 2

    @property
    def state_dim(self) -> int:
        return self.config.width

    def state(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """`forward`'s `pooler_output`, which is the embedding."""
        return self(inputs.contiguous(memory_format=torch.channels_last)).pooler_output  # type: ignore[no-any-return]


def _norm(config: AlignVisionConfig, channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, config.batch_norm_eps, config.batch_norm_momentum)


def _blocks(config: AlignVisionConfig) -> Iterator[AlignVisionBlock]:
    stages = zip(
        config.in_channels,
        config.out_channels,
        config.kernel_sizes,
        config.strides,
        config.expand_ratios,
        map(config.repeats, config.num_block_repeats),
        strict=True,
    )
    total, number = sum(map(config.repeats, config.num_block_repeats)), 0
    for channels, out, kernel, stride, ratio, repeats in stages:
        for first in [True] + [False] * (repeats - 1):
            yield AlignVisionBlock(
                config,
                config.channels(channels if first else out),
                config.channels(out),
                kernel,
                stride if first else 1,
                ratio,
                number in config.depthwise_padding,
                None if first else config.drop_connect_rate * number / total,
            )
            number += 1
