"""X-CLIP's video tower. Ni et al., "Expanding Language-Image Pretrained Models for General Video Recognition" (2022).

Shapes: B videos, T frames of each, C channels, L patches + 1, W width, P projection.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.models.pretrained import PretrainedModel
from sightline.models.tower import Tower
from sightline.models.xclip.config import XCLIPConfig, XCLIPVisionConfig
from sightline.models.xclip.layouts import TABLES, VISION_TABLES
from sightline.nn.aliases import Aliased, alias
from sightline.nn.attention import SelfAttention
from sightline.nn.initial import normal
from sightline.nn.int8_blocks import Grids, Int8Block, Int8Layer
from sightline.nn.outputs import BaseModelOutputWithPooling
from sightline.nn.transformer import Block, Encoder, init_blocks
from sightline.nn.vision import VisionTransformer


class XCLIPDropPath(Aliased):
    """In training each video's row nothing, with the probability `drop_prob`, or scaled up to keep the mean (Huang et
    al., 2016)."""

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, T, W) -> the same shape."""
        x, keep = hidden_states, 1 - self.drop_prob
        if not (self.training and self.drop_prob):
            return x
        return x / keep * (torch.rand(x.shape[0], 1, 1, dtype=x.dtype, device=x.device) + keep).floor()


class XCLIPVisionEncoderLayer(Block):
    """A block whose frames hear of each other by a message token each. Section 3.2, "Cross-frame Communication"."""

    def __init__(self, config: XCLIPVisionConfig) -> None:
        super().__init__(config)
        width, factor = config.hidden_size, config.initializer_factor
        self.num_frames = config.num_frames
        self.drop_path = XCLIPDropPath(config.drop_path_rate) if config.drop_path_rate else nn.Identity()
        self.message_fc = nn.Linear(width, width)
        self.message_ln = nn.LayerNorm(width, config.layer_norm_eps)
        self.message_attn = SelfAttention(config)
        for weight in (self.message_fc.weight, self.message_attn.qkv.weight):
            normal(weight, factor * width**-0.5)
        normal(self.message_attn.out_proj.weight, factor * (2 * width * config.num_hidden_layers) ** -0.5)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        is_causal: bool = False,
        weights: list[Tensor] | None = None,
    ) -> Tensor:
        """`hidden_states` (B * T, L, W) -> (B * T, L, W): only the attention sees the message token."""
        x = hidden_states
        heard = self.heard(self.layer_norm1(with_message(self, x)), attention_mask, is_causal, weights)
        return self.feed(x + heard[:, :-1])

    def at(self, x: Tensor, tokens: Tensor, causal: bool = False, mask: Tensor | None = None) -> Tensor:
        """`forward` at one token of each frame: `x` (B * T, L, W), `tokens` (B * T,) -> (B * T, W)."""
        return super().at(with_message(self, x), tokens, causal, mask)


def with_message(block: "XCLIPVisionEncoderLayer | XCLIPInt8VisionEncoderLayer", x: Tensor) -> Tensor:
    """(B * T, L, W) -> (B * T, L + 1, W): each frame's message, made of all class tokens, at the end."""
    message = block.message_fc(x[:, 0]).view(x.shape[0] // block.num_frames, block.num_frames, x.shape[-1])
    others = block.drop_path(block.message_attn(block.message_ln(message))[0])
    return torch.cat([x, (message + others).view(x.shape[0], 1, x.shape[-1])], dim=1)


class XCLIPInt8VisionEncoderLayer(Int8Block):
    """A `XCLIPVisionEncoderLayer` in bytes, its message token in float32."""

    def __init__(self, block: XCLIPVisionEncoderLayer, grids: Grids) -> None:
        super().__init__(block, grids)
        self.num_frames, self.drop_path = block.num_frames, block.drop_path
        self.message_fc, self.message_ln, self.message_attn = block.message_fc, block.message_ln, block.message_attn

    def forward(self, x: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        return self.feed(self.attend(with_message(self, x), mask, causal)[:, :-1].contiguous())

    def at(self, x: Tensor, tokens: Tensor, causal: bool = False, mask: Tensor | None = None) -> Tensor:
        return super().at(with_message(self, x), tokens, causal, mask)


class XCLIPVisionEncoder(Encoder):
    """The blocks over the frames of videos."""

    block = XCLIPVisionEncoderLayer


class XCLIPVisionModel(VisionTransformer, PretrainedModel):
    """The tower over frames alone. Its outputs are of single frames, B * T of them."""

    pre_layrnorm = alias("pre_layernorm")  # by the name that the base has
    base_model_prefix: ClassVar[str] = "x_clip"
    main_input_name: ClassVar[str] = "pixel_values"
    input_layer: ClassVar[str] = "embeddings.patch_embedding"
    config_class = XCLIPVisionConfig
    tables = VISION_TABLES
    parts: ClassVar[tuple[str, ...]] = ("vision_model.",)
    prefix: ClassVar[str] = "vision_model."
    blocks: ClassVar[type[Encoder]] = XCLIPVisionEncoder
    config: XCLIPVisionConfig

    def _tokens(self, pixel_values: Tensor, interpolate_pos_encoding: bool) -> Tensor:
        """Videos (B, T, C, H, W), or their frames one after another (B * T, C, H, W).

        Raises `UsageError` for videos of another number of frames than the checkpoint's: they would be cut anew, and
        frames of a video would see those of another.
        """
        frames = self.config.num_frames
        if pixel_values.ndim == 5:
            check_frames(frames, pixel_values.shape[1])
            pixel_values = pixel_values.flatten(0, 1)
        if pixel_values.ndim != 4 or pixel_values.shape[0] % frames:
            raise UsageError(
                f"pixel_values {tuple(pixel_values.shape)} are no videos: the model takes {frames} frames of each, "
                f"(videos, {frames}, channels, height, width) or the frames of all in one row"
            )
        return super()._tokens(pixel_values, interpolate_pos_encoding)


def check_frames(frames: int, of_video: int) -> None:
    """Raises `UsageError` where a video has another number of frames than the checkpoint was made for."""
    if of_video != frames:
        raise UsageError(
            f"a video of {of_video} frames, but the model was made for {frames}: sample {frames} of each video"
        )


class XCLIPMultiframeIntegrationTransformer(Aliased):
    """From frames to a video: a transformer over time, and the mean. Section 3.2, the last paragraph. `config`: the
    vision tower's `mit`."""

    def __init__(self, config: XCLIPVisionConfig) -> None:
        super().__init__()
        self.position_embedding = nn.Parameter(torch.empty(1, config.num_frames, config.hidden_size))
        self.encoder = Encoder(config)
        normal(self.position_embedding, config.initializer_factor)
        init_blocks(self.encoder.layers, config.initializer_factor)

    def forward(self, hidden_states: Tensor) -> BaseModelOutputWithPooling:
        """Frames' features (B, T, P) -> their new states (B, T, P) and the video's (B, P)."""
        x = hidden_states
        x = x + self.encoder(inputs_embeds=x + self.position_embedding).last_hidden_state
        return BaseModelOutputWithPooling(x, x.mean(dim=1))


class XCLIPVideoTower(Tower):
    """From videos to the space that they share with texts, and to the summaries that texts are prompted with."""

    main_input_name: ClassVar[str] = "pixel_values"
    input_layer: ClassVar[str] = "vision_model.embeddings.patch_embedding"
    config_class = XCLIPConfig
    tables = TABLES
    parts: ClassVar[tuple[str, ...]] = ("vision_model.", "visual_projection.", "mit.", "prompts_visual_")
    int8_blocks: ClassVar[Mapping[type, type[Int8Layer]]] = {
        **Tower.int8_blocks,
        XCLIPVisionEncoderLayer: XCLIPInt8VisionEncoderLayer,
    }
    config: XCLIPConfig

    def __init__(self, config: XCLIPConfig) -> None:
        super().__init__()
        self.config = config
        vision, factor = config.vision_config, config.initializer_factor
        width, projection = vision.hidden_size, config.projection_dim
        self.vision_model = XCLIPVisionModel(vision)
        self.visual_projection = nn.Linear(width, projection, bias=False)
        self.mit = XCLIPMultiframeIntegrationTransformer(vision.mit)
        self.prompts_visual_layernorm = nn.LayerNorm(width, vision.layer_norm_eps)
        self.prompts_visual_projection = nn.Parameter(torch.empty(width, projection))
        normal(self.visual_projection.weight, factor * width**-0.5)
        normal(self.prompts_visual_projection, factor * width**-0.5)

    def state(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """`get_video_features`'s `pooler_output`, which is the embedding, for less work."""
        self._check(inputs)
        return self.integrate(self.vision_model.pool(inputs)).pooler_output

    def embed_with_extras(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """`pixel_values` (B, T, C, H, W) -> `embed`'s vectors (B, P) and the videos' summaries (B, L - 1, P).

        Both are what `XCLIPRescorer` needs of a video.
        """
        self._check(pixel_values)
        frames = self.vision_model(pixel_values, return_dict=True)
        return self.integrate(frames.pooler_output).pooler_output, self.summarise(frames.last_hidden_state)

    def integrate(self, pooled: Tensor) -> BaseModelOutputWithPooling:
        """Pooled frames (B * T, W) -> projected frames and videos: (B, T, P), (B, P)."""
        return self.mit(self._by_video(self.visual_projection(pooled)))  # type: ignore[no-any-return]

    def summarise(self, states: Tensor) -> Tensor:
        """All tokens of all frames (B * T, L, W) -> each patch's mean over time (B, L - 1, P).

        The mean first, then the projection of one image instead of T: it is linear.
        """
        patches = self.prompts_visual_layernorm(states[:, 1:])
        return self._by_video(patches).mean(dim=1) @ self.prompts_visual_projection

    def _by_video(self, x: Tensor) -> Tensor:
        """(B * T, ...) -> (B, T, ...)."""
        return x.view(x.shape[0] // self.config.frames, self.config.frames, *x.shape[1:])

    def _check(self, pixel_values: Tensor) -> None:
        if pixel_values.ndim != 5:
            raise UsageError(
                f"pixel_values {tuple(pixel_values.shape)} are no videos: expected "
                f"(videos, {self.config.frames}, channels, height, width)"
            )
        check_frames(self.config.frames, pixel_values.shape[1])
