"""How GroupViT groups: group tokens gather the tokens that they were assigned. Xu et al. (2022), section 3.1.

Shapes: B pictures, N tokens (patches or the groups of the stage before), G groups, W width.
"""

import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.models.groupvit.config import GroupViTVisionConfig
from sightline.nn.aliases import Aliased
from sightline.nn.attention import CrossAttention
from sightline.nn.initial import normal
from sightline.nn.transformer import Block, Mlp, Transformer


class GroupViTMixerMLP(Mlp):
    """An MLP across tokens (Tolstikhin et al., "MLP-Mixer", 2021): (B, tokens, W) -> (B, out, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class GroupViTCrossAttentionLayer(Aliased):
    """The groups look at the tokens before they take them."""

    def __init__(self, config: GroupViTVisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.attention = CrossAttention(width, config.num_attention_heads, config.attention_dropout)
        self.norm2 = nn.LayerNorm(width, config.layer_norm_eps)
        self.mlp = Mlp(width, config.intermediate_size, config.hidden_act)
        self.norm_post = nn.LayerNorm(width, config.layer_norm_eps)

    def forward(self, groups: Tensor, tokens: Tensor) -> Tensor:
        """(B, G, W) and (B, N, W), both normalized -> (B, G, W)."""
        groups = groups + self.attention(groups, tokens)
        return self.norm_post(groups + self.mlp(self.norm2(groups)))  # type: ignore[no-any-return]


class GroupViTAssignAttention(Aliased):
    """Each token goes to one group: the one that it is most like or, in training, with Gumbel noise added to that.

    The choice is hard, its gradient the softmax's ("straight through"; Jang et al., 2017). Equations 2 to 6.
    """

    def __init__(self, config: GroupViTVisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.scale = width**-0.5
        self.eps = config.assign_eps
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, groups: Tensor, tokens: Tensor, weights: list[Tensor] | None = None) -> Tensor:
        """(B, G, W) and (B, N, W) -> the mean of each group's tokens, mapped, (B, G, W).

        A list given as `weights` receives the soft assignment (B, G, N), without noise: over the groups it sums to 1.
        """
        keys, values = self.kv(tokens).chunk(2, dim=-1)
        logits = self.q(groups) @ keys.transpose(1, 2) * self.scale
        soft = logits.softmax(-2)
        if weights is not None:
            weights.append(soft)
        hard = _straight_through((logits + gumbel(logits)).softmax(-2) if self.training else soft)
        # The 1 that the reference's config puts for `eps` makes the mean of an empty group 0.
        return self.out(hard / (hard.sum(-1, keepdim=True) + self.eps) @ values)  # type: ignore[no-any-return]


def gumbel(like: Tensor) -> Tensor:
    """Noise of the standard Gumbel distribution, in the shape and dtype of `like`; never infinite."""
    uniform = torch.rand_like(like, dtype=torch.float32).clamp_min(torch.finfo(torch.float32).tiny)
    return -(-uniform.log()).log().to(like.dtype)


def _straight_through(soft: Tensor) -> Tensor:
    """1 for the largest along dim -2, the first of equals, and 0 for the others, with the gradient of `soft`."""
    hard = torch.zeros_like(soft).scatter_(-2, soft.max(-2, keepdim=True).indices, 1.0)
    return hard - soft.detach() + soft if soft.requires_grad else hard


class GroupViTTokenAssign(Aliased):
    """A grouping: `tokens` group tokens become `groups` groups, and these take in what they are assigned."""

    def __init__(self, config: GroupViTVisionConfig, tokens: int, groups: int) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        across, along = (int(ratio * width) for ratio in config.assign_mlp_ratio)
        self.norm_tokens = nn.LayerNorm(width, eps)
        self.mlp_inter = GroupViTMixerMLP(tokens, across, config.hidden_act, groups)
        self.norm_post_tokens = nn.LayerNorm(width, eps)
        self.norm_x = nn.LayerNorm(width, eps)
        self.pre_assign_attn = GroupViTCrossAttentionLayer(config)
        self.assign = GroupViTAssignAttention(config)
        self.norm_new_x = nn.LayerNorm(width, eps)
        self.mlp_channels = Mlp(width, along, config.hidden_act)

    def forward(self, x: Tensor, group_tokens: Tensor, weights: list[Tensor] | None = None) -> Tensor:
        """`x` (B, N, W) -> (B, G, W). `weights` as in `GroupViTAssignAttention`."""
        x = self.norm_x(x)
        groups = self.norm_post_tokens(self.mlp_inter(self.norm_tokens(group_tokens)))
        groups = self.pre_assign_attn(groups, x)
        new = groups + self.assign(groups, x, weights)
        return new + self.mlp_channels(self.norm_new_x(new))  # type: ignore[no-any-return]


class GroupProjector(Aliased):
    """The map from the group tokens of a stage to those of the next."""

    def __init__(self, config: GroupViTVisionConfig, before: int, tokens: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mixer = GroupViTMixerMLP(before, config.hidden_size // 2, config.hidden_act, tokens)

    def forward(self, group_tokens: Tensor) -> Tensor:
        """(B, before, W) -> (B, tokens, W)."""
        return self.mixer(self.norm(group_tokens))  # type: ignore[no-any-return]


class GroupViTStage(Aliased):
    """Blocks over tokens and group tokens together, then the grouping, if the stage has group tokens."""

    def __init__(self, config: GroupViTVisionConfig, stage: int) -> None:
        super().__init__()
        tokens, groups = config.num_group_tokens[stage], config.num_output_groups[stage]
        before = config.num_output_groups[stage - 1] if stage else 0
        self.tokens = tokens
        self.transformer = Transformer([Block(config) for _ in range(config.depths[stage])])
        self.group_token = nn.Parameter(torch.empty(1, tokens, config.hidden_size)) if tokens else None
        if self.group_token is not None:
            # Tokens that start alike would stay alike: the authors' code spreads them, the reference does not.
            normal(self.group_token, config.initializer_range * config.initializer_factor)
        self.downsample = GroupViTTokenAssign(config, tokens, groups) if tokens else None
        self.group_projector = GroupProjector(config, before, tokens) if tokens and before else None

    def forward(
        self, x: Tensor, before: Tensor | None, weights: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """`x` (B, N, W) and the last stage's group tokens, if any -> (B, G, W) and this stage's group tokens.

        Without group tokens: (B, N, W) and None. `weights` as in `GroupViTAssignAttention`.
        """
        if self.group_token is None or self.downsample is None:
            return self.transformer(x).last_hidden_state, None
        tokens = self.group_token.expand(x.shape[0], -1, -1)
        if self.group_projector is not None:
            tokens = tokens + self.group_projector(before)
        both = self.transformer(torch.cat([x, tokens], dim=1)).last_hidden_state
        x, tokens = both.split([x.shape[1], self.tokens], dim=1)
        return self.downsample(x, tokens, weights), tokens


def soft_groups(attentions: tuple[Tensor, ...], rows: int, columns: int) -> Tensor:
    """The stages' soft assignments, (B, G_i, N_i) each -> the share of each last group in each patch.

    (B, G, rows, columns); over the groups it sums to 1. Raises `UsageError` if no stage groups.
    """
    if not attentions:
        raise UsageError("no stage of this model groups anything, so it cannot segment")
    shares = attentions[0]
    for attention in attentions[1:]:
        shares = attention @ shares
    return shares.view(*shares.shape[:2], rows, columns)
