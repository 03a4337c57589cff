"""X-CLIP's video-specific prompts, which a video adds to a text. Ni et al. (2022), section 3.3.

Shapes: V videos, T texts, L patches, P projection.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sightline.models.pretrained import PretrainedModel
from sightline.models.xclip.config import XCLIPConfig
from sightline.models.xclip.layouts import TABLES
from sightline.nn.activations import ActivationLayer
from sightline.nn.aliases import Aliased, alias
from sightline.nn.attention import CrossAttention
from sightline.nn.hooks import hooked, plain
from sightline.nn.slices import Fused

_NUMBERS = 1 << 23
"""Numbers in memory at a time while videos are scored: 32 MB in float32."""


class XCLIPCrossAttention(CrossAttention):
    """Texts look at a video's patches."""

    out_proj = alias("proj")  # by the name that the base has
    proj: Any

    def __init__(self, config: XCLIPConfig) -> None:
        super().__init__(
            config.projection_dim, config.prompt_num_attention_heads, config.prompt_attention_dropout, bias=False
        )
        self.follow(config)
        self.proj_drop = nn.Dropout(config.prompt_projection_dropout)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:  # type: ignore[override]
        """`queries` (V, T, P), `keys` and `values` (V, L, P) -> (V, T, P)."""
        return self.proj_drop(self.proj(self.look(queries, keys, values)))  # type: ignore[no-any-return]

    def is_plain(self) -> bool:
        """Whether in evaluation a call is `proj` of what `look` gives by the numbers of `kv`, and no more."""
        return not (self.apart() or hooked(self) or hooked(self.proj_drop)) and plain(self.kv, Fused)


class PromptGeneratorLayer(Aliased):
    """Texts look at a video's patches, then an MLP; each on the normalized text and added to it."""

    def __init__(self, config: XCLIPConfig) -> None:
        super().__init__()
        width, eps = config.projection_dim, config.text_config.layer_norm_eps
        self.norm1 = nn.LayerNorm(width, eps)
        self.cross_attn = XCLIPCrossAttention(config)
        self.norm3 = nn.LayerNorm(width, eps)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width),
            ActivationLayer(config.prompt_hidden_act),
            nn.Dropout(config.prompt_attention_dropout),  # the attention's rate, as in the reference
            nn.Linear(4 * width, width),
        )

    def forward(self, hidden_states: Tensor, visual: Tensor) -> Tensor:
        """`hidden_states`, the texts, (V, T, P), `visual`, the patches, (V, L, P) -> (V, T, P)."""
        return self._feed(hidden_states + self.cross_attn(self.norm1(hidden_states), visual, visual))

    def short(self, text: Tensor, patches: Tensor) -> Tensor:
        """`forward`'s output in evaluation, for a few texts and many videos: an eighth of the work for a single text.

        Keys and values have no bias, so the text's query can go through the keys' map instead of every patch, and the
        weighted mean of the patches through the values'. `text` (V or 1, T, P), `patches` (V, L, P) -> (V, T, P).
        """
        attention = self.cross_attn
        if hooked(self) or not attention.is_plain():
            return self(text.expand(patches.shape[0], -1, -1), patches)  # type: ignore[no-any-return]
        heads = attention.num_heads
        q = attention.q_proj(self.norm1(text)).unflatten(-1, (heads, -1))
        keys, values = attention.kv.weight.view(2, heads, q.shape[-1], -1)
        scores = torch.einsum("vthd,hdp->vthp", q * q.shape[-1] ** -0.5, keys).flatten(1, 2)
        mean = (scores @ patches.transpose(1, 2)).softmax(-1) @ patches
        output = torch.einsum(
            "vthp,hdp->vthd", mean.view(patches.shape[0], text.shape[1], heads, keys.shape[-1]), values
        ).flatten(2)
        return self._feed(text + attention.proj(output))

    def _feed(self, text: Tensor) -> Tensor:
        return text + self.mlp(self.norm3(text))  # type: ignore[no-any-return]


class XCLIPPromptGenerator(Aliased):
    """The prompt that is added to each text for each video."""

    def __init__(self, config: XCLIPConfig) -> None:
        super().__init__()
        self.layernorm = nn.LayerNorm(config.projection_dim, config.vision_config.layer_norm_eps)
        self.decoder = nn.ModuleList(PromptGeneratorLayer(config) for _ in range(config.prompt_layers))
        self.alpha = nn.Parameter(torch.full((config.projection_dim,), config.prompt_alpha))

    def forward(self, text: Tensor, visual: Tensor) -> Tensor:
        """Texts (T, P) or (V, T, P), and `visual`, summaries of videos (V, L, P) -> (V, T, P)."""
        patches = self.layernorm(visual)
        text = text.expand(patches.shape[0], -1, -1)
        for layer in self.decoder:
            text = layer(text, patches)
        return self.alpha * text

    def short(self, text: Tensor, visual: Tensor) -> Tensor:
        """`forward`'s output in evaluation; see `PromptGeneratorLayer.short`."""
        if hooked(self):
            return self(text, visual)  # type: ignore[no-any-return]
        patches, text = self.layernorm(visual), text[None]
        for layer in self.decoder:
            text = layer.short(text, patches)  # type: ignore[operator]
        return self.alpha * text


class XCLIPRescorer(PretrainedModel):
    """The exact score of a text and a video from stored embeddings: the second step of a search."""

    config_class = XCLIPConfig
    tables = TABLES
    parts: ClassVar[tuple[str, ...]] = ("prompts_generator.", "logit_scale")
    config: XCLIPConfig

    def __init__(self, config: XCLIPConfig) -> None:
        super().__init__()
        self.config = config
        self.prompts_generator = XCLIPPromptGenerator(config)
        self.logit_scale = nn.Parameter(torch.tensor(config.logit_scale_init_value))

    def forward(self, text: Tensor, video: Tensor, summaries: Tensor) -> Tensor:
        """`text` (T, P), `video` (V, P), `summaries` (V, L, P), of any dtype -> `logits_per_video` (V, T).

        `text` is `XCLIPTextTower.embed`'s output, not of unit length: the prompt is added to it. `video` may be.
        """
        text, scale = text.to(self.dtype), self.logit_scale.exp()
        logits = []
        # Of a video's patches there are two copies, of a text for it two queries to each head and about eight vectors.
        each = 2 * summaries[:1].numel() + text.numel() * (2 * self.config.prompt_num_attention_heads + 8)
        step = max(1, _NUMBERS // max(each, 1))
        for rows in (slice(start, start + step) for start in range(0, len(video), step)):
            vectors, patches = video[rows].to(self.dtype), summaries[rows].to(self.dtype)
            logits.append(scale * similarity(text + self.prompts_generator.short(text, patches), vectors)[0])
        return torch.cat(logits) if logits else text.new_empty(0, len(text))


def similarity(text: Tensor, video: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Prompted texts (V, T, P) and videos (V, P) -> their cosines (V, T), and both at unit length."""
    text = text / text.norm(dim=-1, keepdim=True)
    video = video / video.norm(dim=-1, keepdim=True)
    return torch.einsum("vp,vtp->vt", video, text), text, video
