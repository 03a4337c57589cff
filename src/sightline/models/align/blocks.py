"""The parts of ALIGN's vision tower: the block of Sandler et al., "MobileNetV2" (2018), with squeeze and excitation (Hu
et al., 2018). Names and arguments are the reference's.

Shapes: B pictures, C channels, H x W places.
"""

from collections.abc import Iterator
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sightline.models.align.config import AlignVisionConfig
from sightline.nn.activations import ActivationLayer, activation
from sightline.nn.aliases import Aliased
from sightline.nn.hooks import plain
from sightline.nn.initial import normal
from sightline.nn.products import convolution


class ConvNorm(Aliased):
    """A layer with a convolution without bias and the batch norm after it, called as `names` say."""

    names: ClassVar[tuple[str, str]]

    def fold(self) -> None:
        """The norm, as it is in evaluation, becomes part of the convolution."""
        conv, norm = self.names
        if isinstance(bn := getattr(self, norm), nn.BatchNorm2d):
            setattr(self, conv, fuse_conv_bn_eval(getattr(self, conv), bn))
            setattr(self, norm, nn.Identity())

    def convolve(self, x: Tensor, act: ActivationLayer | None = None) -> Tensor:
        """The convolution, the norm and, if there is one, the activation: (B, C, H, W) -> (B, C', H', W')."""
        conv, norm = (getattr(self, name) for name in self.names)
        silu = act is not None and plain(act, ActivationLayer) and act.kind.back is activation("silu").back
        folded = type(norm) is nn.Identity and isinstance(conv, nn.Conv2d) and plain(conv, type(conv))
        if folded and (silu or act is None) and (quick := convolution(conv, x, silu)) is not None:
            return quick
        y = norm(conv(x))
        return y if act is None else act(y)  # type: ignore[no-any-return]


class AlignVisionEmbeddings(ConvNorm):
    """The first convolution, which halves the picture: (B, C, H, W) -> (B, `out_dim`, H / 2, W / 2)."""

    names = ("convolution", "batchnorm")

    def __init__(self, config: AlignVisionConfig) -> None:
        super().__init__()
        self.out_dim = config.channels(32)
        self.padding = nn.ZeroPad2d((0, 1, 0, 1))
        self.convolution = nn.Conv2d(config.num_channels, self.out_dim, 3, 2, bias=False)
        _init(self.convolution)
        self.batchnorm = _norm(config, self.out_dim)
        self.activation = ActivationLayer(config.hidden_act)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, `out_dim`, H / 2, W / 2)."""
        return self.convolve(self.padding(pixel_values), self.activation)


class AlignVisionExpansionLayer(ConvNorm):
    """To more channels, place by place."""

    names = ("expand_conv", "expand_bn")

    def __init__(self, config: AlignVisionConfig, in_dim: int, out_dim: int, stride: int = 1) -> None:
        """`stride` changes nothing here, as in the reference."""
        super().__init__()
        self.expand_conv = nn.Conv2d(in_dim, out_dim, 1, padding="same", bias=False)
        _init(self.expand_conv)
        # This norm has torch's momentum in the reference, whatever the config says.
        self.expand_bn = nn.BatchNorm2d(out_dim, config.batch_norm_eps)
        self.expand_act = ActivationLayer(config.hidden_act)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, `in_dim`, H, W) -> (B, `out_dim`, H, W)."""
        return self.convolve(hidden_states, self.expand_act)


class AlignVisionDepthwiseConv2d(nn.Conv2d):
    """A convolution of each channel by itself, which becomes `depth_multiplier` channels. Arguments as `Conv2d`'s."""

    def __init__(
        self,
        in_channels: int,
        depth_multiplier: int = 1,
        kernel_size: int = 3,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
    ) -> None:
        out = in_channels * depth_multiplier
        super().__init__(
            in_channels, out, kernel_size, stride, padding, dilation, in_channels, bias, padding_mode=padding_mode
        )

    @property
    def depth_multiplier(self) -> int:
        """How many channels each channel becomes."""
        return self.out_channels // self.in_channels


class AlignVisionDepthwiseLayer(ConvNorm):
    """The only part of a block that looks at neighbours. `adjust_padding`: where it strides, one row and column less of
    zeros before than after."""

    names = ("depthwise_conv", "depthwise_norm")

    def __init__(
        self, config: AlignVisionConfig, in_dim: int, stride: int, kernel_size: int, adjust_padding: bool
    ) -> None:
        super().__init__()
        self.stride = stride
        after = kernel_size // 2
        before = after - 1 if adjust_padding else after
        self.depthwise_conv_pad = nn.ZeroPad2d((before, after, before, after))
        pads: int | str = 0 if stride == 2 else "same"
        self.depthwise_conv = AlignVisionDepthwiseConv2d(in_dim, 1, kernel_size, stride, pads, bias=False)
        _init(self.depthwise_conv)
        self.depthwise_norm = _norm(config, in_dim)
        self.depthwise_act = ActivationLayer(config.hidden_act)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H', W')."""
        x = self.depthwise_conv_pad(hidden_states) if self.stride == 2 else hidden_states
        return self.convolve(x, self.depthwise_act)


class _Mean(nn.AdaptiveAvgPool2d):
    """The mean over all places, by another kernel: torch's mean of bfloat16 takes seven times as long."""

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(input, input.shape[2:])


class AlignVisionSqueezeExciteLayer(Aliased):
    """Each channel multiplied by a factor that the means of all channels decide (Hu et al., 2018).

    `expand`: whether the channels are the `expand_dim` of an expansion, and not the block's `in_dim`.
    """

    def __init__(self, config: AlignVisionConfig, in_dim: int, expand_dim: int, expand: bool = False) -> None:
        super().__init__()
        self.dim = expand_dim if expand else in_dim
        self.dim_se = max(1, int(in_dim * config.squeeze_expansion_ratio))
        self.squeeze = _Mean(1)
        self.reduce = nn.Conv2d(self.dim, self.dim_se, 1, padding="same")
        self.expand = nn.Conv2d(self.dim_se, self.dim, 1, padding="same")
        self.act_reduce = ActivationLayer(config.hidden_act)
        self.act_expand = nn.Sigmoid()

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        means = self.act_reduce(self.reduce(self.squeeze(hidden_states)))
        return hidden_states * self.act_expand(self.expand(means))  # type: ignore[no-any-return]


class AlignVisionFinalBlockLayer(ConvNorm):
    """To the block's channels, and the block's input added to them (`apply_dropout`) where the shapes agree: not in a
    stage's first block, `id_skip`. `drop_rate` is the fraction of the numbers that training leaves out of the sum."""

    names = ("project_conv", "project_bn")

    def __init__(
        self, config: AlignVisionConfig, in_dim: int, out_dim: int, stride: int, drop_rate: float, id_skip: bool
    ) -> None:
        super().__init__()
        self.apply_dropout = stride == 1 and not id_skip
        self.project_conv = nn.Conv2d(in_dim, out_dim, 1, padding="same", bias=False)
        _init(self.project_conv)
        self.project_bn = _norm(config, out_dim)
        self.dropout = nn.Dropout(drop_rate)

    def forward(self, embeddings: Tensor, hidden_states: Tensor) -> Tensor:
        """The block's input and what its other layers made of it, (B, C, H, W) -> (B, `out_dim`, H, W)."""
        x = self.convolve(hidden_states)
        return embeddings + self.dropout(x) if self.apply_dropout else x


class AlignVisionBlock(Aliased):
    """Expansion by `expand_ratio`, depthwise convolution, squeeze and excitation, projection."""

    def __init__(
        self,
        config: AlignVisionConfig,
        in_dim: int,
        out_dim: int,
        stride: int,
        expand_ratio: int,
        kernel_size: int,
        drop_rate: float,
        id_skip: bool,
        adjust_padding: bool,
    ) -> None:
        super().__init__()
        self.expand_ratio = expand_ratio
        self.expand = expand_ratio != 1
        wide = in_dim * expand_ratio
        if self.expand:
            self.expansion = AlignVisionExpansionLayer(config, in_dim, wide, stride)
        self.depthwise_conv = AlignVisionDepthwiseLayer(config, wide, stride, kernel_size, adjust_padding)
        self.squeeze_excite = AlignVisionSqueezeExciteLayer(config, in_dim, wide, self.expand)
        self.projection = AlignVisionFinalBlockLayer(config, wide, out_dim, stride, drop_rate, id_skip)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, `in_dim`, H, W) -> (B, `out_dim`, H', W')."""
        x = self.expansion(hidden_states) if self.expand else hidden_states
        return self.projection(hidden_states, self.squeeze_excite(self.depthwise_conv(x)))  # type: ignore[no-any-return]


def blocks(config: AlignVisionConfig) -> Iterator[AlignVisionBlock]:
    """All blocks of a tower, stage after stage."""
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
                stride if first else 1,
                ratio,
                kernel,
                config.drop_connect_rate * number / total,
                id_skip=first,
                adjust_padding=number not in config.depthwise_padding,
            )
            number += 1


def _norm(config: AlignVisionConfig, channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, config.batch_norm_eps, config.batch_norm_momentum)


def _init(conv: nn.Conv2d) -> None:
    """By the fan out, as the paper's code."""
    normal(conv.weight, (2 * conv.groups / (conv.kernel_size[0] ** 2 * conv.out_channels)) ** 0.5)
