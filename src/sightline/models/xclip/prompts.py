"""What a film adds to a text: X-CLIP's video-specific prompts. Ni et al. (2022), section 3.3.

Shapes: V films, T texts, L patches, P projection.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.models.pretrained import PretrainedModel
from sightline.models.xclip.config import XCLIPConfig
from sightline.models.xclip.layouts import TABLES
from sightline.nn.attention import CrossAttention
from sightline.nn.transformer import activation


class XCLIPPromptLayer(nn.Module):
    """Texts look at a film's patches, then an MLP; each on the normalised text and added to it."""

    def __init__(self, config: XCLIPConfig) -> None:
        super().__init__()
        width, eps = config.projection_dim, config.text_config.layer_norm_eps
        self.norm1 = nn.LayerNorm(width, eps)
        self.attention = CrossAttention(
            width, config.prompt_num_attention_heads, config.prompt_attention_dropout, bias=False
        )
        self.norm2 = nn.LayerNorm(width, eps)
        self.act = activation(config.prompt_hidden_act)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        # The reference uses the attention's rate inside the MLP as well.
        self.mlp_dropout, self.dropout = config.prompt_attention_dropout, config.prompt_projection_dropout

    def forward(self, text: Tensor, film: Tensor) -> Tensor:
        """`text` (V, T, P), `film` (V, L, P) -> (V, T, P)."""
        text = text + F.dropout(self.attention(self.norm1(text), film), self.dropout, self.training)
        f, slope = self.act
        hidden = f(self.fc1(self.norm2(text)) * slope) / slope
        return text + self.fc2(F.dropout(hidden, self.mlp_dropout, self.training))  # type: ignore[no-any-return]


class XCLIPPromptGenerator(nn.Module):
    """The prompt that is added to each text for each film."""

    def __init__(self, config: XCLIPConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.projection_dim, config.vision_config.layer_norm_eps)
        self.layers = nn.ModuleList(XCLIPPromptLayer(config) for _ in range(config.prompt_layers))
        self.alpha = nn.Parameter(torch.full((config.projection_dim,), config.prompt_alpha))

    def forward(self, text: Tensor, film: Tensor) -> Tensor:
        """Texts (T, P) and summaries of films (V, L, P) -> (V, T, P)."""
        film = self.norm(film)
        text = text.expand(len(film), -1, -1)
        for layer in self.layers:
            text = layer(text, film)
        return self.alpha * text


class XCLIPRescorer(PretrainedModel):
    """The exact score of a text and a film, from what was kept of both: the second step of a search."""

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
        """`text` (T, P), `video` (V, P), `summaries` (V, L, P) -> `XCLIPModel`'s `logits_per_video` (V, T).

        `text` is `XCLIPTextTower.embed`'s, of its own length; `video` may be normalised or not.
        """
        return score(self.prompts_generator, self.logit_scale.exp(), text, video, summaries)[0]


def score(
    generator: XCLIPPromptGenerator, scale: Tensor, text: Tensor, video: Tensor, summaries: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (V, T), and the unit vectors of which they are products: texts (V, T, P), films (V, P)."""
    prompted = text + generator(text, summaries)
    text = prompted / prompted.norm(dim=-1, keepdim=True)
    video = video / video.norm(dim=-1, keepdim=True)
    return torch.einsum("vp,vtp->vt", video, scale * text), text, video
