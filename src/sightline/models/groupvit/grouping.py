"""How GroupViT groups: group tokens gather the tokens that they were assigned. Xu et al. (2022), section 3.1.

Shapes: B pictures, N tokens (patches or the groups of the stage before), G groups, W width.
"""

import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.models.groupvit.config import GroupViTVisionConfig
from sightline.nn.aliases import Aliased
from sightline.nn.attention import CrossAttention, SelfAttention
from sightline.nn.hooks import hooked
from sightline.nn.initial import normal
from sightline.nn.slices import Fused, WithParts
from sightline.nn.transformer import Block, Mlp, Transformer


class GroupViTAttention(SelfAttention):
    """A block's attention."""

    shows_weights = True


class GroupViTEncoderLayer(Block):
    """A block of either tower."""

    attention_class = GroupViTAttention


class GroupViTMLP(Mlp):
    """Two linear maps with an activation between them. The widths are by default the config's, `output_size` that of
    the input."""

    def __init__(
        self,
        config: GroupViTVisionConfig,
        hidden_size: int | None = None,
        intermediate_size: int | None = None,
        output_size: int | None = None,
    ) -> None:
        width, hidden = hidden_size or config.hidden_size, intermediate_size or config.intermediate_size
        super().__init__(width, hidden, config.hidden_act, output_size or width)
        self.config = config


class GroupViTMixerMLP(GroupViTMLP):
    """An MLP across tokens (Tolstikhin et al., "MLP-Mixer", 2021): (B, tokens, W) -> (B, out, W)."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        return super().forward(hidden_states.transpose(1, 2)).transpose(1, 2)


class GroupViTCrossAttention(CrossAttention):
    """The attention of groups over tokens."""

    def __init__(self, config: GroupViTVisionConfig) -> None:
        super().__init__(config.hidden_size, config.num_attention_heads, config.attention_dropout)
        self.follow(config)

    def forward(  # type: ignore[override]
        self, hidden_states: Tensor, encoder_hidden_states: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """(B, G, W) and (B, N, W) -> (B, G, W), and the weights (B, H, G, N) where a hook sees them."""
        weights: list[Tensor] | None = [] if hooked(self) else None
        y = super().forward(hidden_states, encoder_hidden_states, weights)
        return y, weights[0] if weights else None


class GroupViTCrossAttentionLayer(Aliased):
    """The groups look at the tokens before they take them."""

    def __init__(self, config: GroupViTVisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.attn = GroupViTCrossAttention(config)
        self.norm2 = nn.LayerNorm(width, config.layer_norm_eps)
        self.mlp = GroupViTMLP(config)
        self.norm_post = nn.LayerNorm(width, config.layer_norm_eps)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """Groups (B, G, W) and tokens (B, N, W), both normalized -> (B, G, W)."""
        groups = query + self.attn(query, encoder_hidden_states=key)[0]
        return self.norm_post(groups + self.mlp(self.norm2(groups)))  # type: ignore[no-any-return]


class GroupViTAssignAttention(WithParts):
    """Each token goes to one group: the one that it is most like or, in training, with Gumbel noise added to that.

    The choice is hard, its gradient the softmax's ("straight through"; Jang et al., 2017). Equations 2 to 6.
    """

    parts = ("k_proj", "v_proj")

    def __init__(self, config: GroupViTVisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.scale = width**-0.5
        self.assign_eps = config.assign_eps
        self.q_proj = nn.Linear(width, width)
        self.kv = Fused(width, 2 * width)
        self.add_parts("kv", ("k_proj", "v_proj"))
        self.proj = nn.Linear(width, width)

    def get_attn(self, attn: Tensor, gumbel: bool = True, hard: bool = True) -> Tensor:
        """Logits (B, G, N) -> the share of each token that goes to each group, which over the groups sums to 1.

        `gumbel` adds noise in training; `hard` gives all of a token to its largest share.
        """
        soft = (attn + gumbel_noise(attn)).softmax(-2) if gumbel and self.training else attn.softmax(-2)
        return _straight_through(soft) if hard else soft

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        """Groups (B, G, W) and tokens (B, N, W) -> the mean of each group's tokens, mapped, (B, G, W), and the soft
        assignment (B, G, N), without noise."""
        keys, values = (self.k_proj(key), self.v_proj(key)) if self.apart() else self.kv(key).chunk(2, dim=-1)
        logits = self.q_proj(query) @ keys.transpose(1, 2) * self.scale
        soft = self.get_attn(logits, gumbel=False, hard=False)
        hard = self.get_attn(logits) if self.training else _straight_through(soft)
        # The 1 that the reference's config puts for `assign_eps` makes the mean of an empty group 0.
        return self.proj(hard / (hard.sum(-1, keepdim=True) + self.assign_eps) @ values), soft


def gumbel_noise(like: Tensor) -> Tensor:
    """Noise of the standard Gumbel distribution, in the shape and dtype of `like`; never infinite."""
    uniform = torch.rand_like(like, dtype=torch.float32).clamp_min(torch.finfo(torch.float32).tiny)
    return -(-uniform.log()).log().to(like.dtype)


def _straight_through(soft: Tensor) -> Tensor:
    """1 for the largest along dim -2, the first of equals, and 0 for the others, with the gradient of `soft`."""
    hard = torch.zeros_like(soft).scatter_(-2, soft.max(-2, keepdim=True).indices, 1.0)
    return hard - soft.detach() + soft if soft.requires_grad else hard


class GroupViTTokenAssign(Aliased):
    """A grouping: `num_group_token` group tokens become `num_output_group` groups, which take in what they are
    assigned."""

    def __init__(self, config: GroupViTVisionConfig, num_group_token: int, num_output_group: int) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        across, along = (int(ratio * width) for ratio in config.assign_mlp_ratio)
        self.num_output_group = num_output_group
        self.norm_tokens = nn.LayerNorm(width, eps)
        self.mlp_inter = GroupViTMixerMLP(config, num_group_token, across, num_output_group)
        self.norm_post_tokens = nn.LayerNorm(width, eps)
        self.norm_x = nn.LayerNorm(width, eps)
        self.pre_assign_attn = GroupViTCrossAttentionLayer(config)
        self.assign = GroupViTAssignAttention(config)
        self.norm_new_x = nn.LayerNorm(width, eps)
        self.mlp_channels = GroupViTMLP(config, width, along)

    def project_group_token(self, group_tokens: Tensor) -> Tensor:
        """The tokens, normalized, (B, `num_group_token`, W) -> (B, G, W)."""
        return self.norm_post_tokens(self.mlp_inter(group_tokens))  # type: ignore[no-any-return]

    def forward(self, image_tokens: Tensor, group_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """`image_tokens` (B, N, W) -> (B, G, W), and the soft assignment (B, G, N)."""
        x = self.norm_x(image_tokens)
        groups = self.pre_assign_attn(self.project_group_token(self.norm_tokens(group_tokens)), x)
        taken, soft = self.assign(groups, x)
        new = groups + taken
        return new + self.mlp_channels(self.norm_new_x(new)), soft


class GroupViTStage(Transformer):
    """`depth` blocks over tokens and group tokens together, then the grouping, if the stage has group tokens."""

    def __init__(
        self,
        config: GroupViTVisionConfig,
        depth: int,
        num_prev_group_token: int,
        num_group_token: int,
        num_output_group: int,
    ) -> None:
        super().__init__([GroupViTEncoderLayer(config) for _ in range(depth)], config)
        self.depth = depth
        self.num_group_token = num_group_token
        width = config.hidden_size
        self.group_token = nn.Parameter(torch.empty(1, num_group_token, width)) if num_group_token else None
        if self.group_token is not None:
            # Tokens that start alike would stay alike: the authors' code spreads them, the reference does not.
            normal(self.group_token, config.initializer_range * config.initializer_factor)
        self.downsample = GroupViTTokenAssign(config, num_group_token, num_output_group) if num_group_token else None
        self.group_projector: nn.Sequential | None = None
        if num_group_token and num_prev_group_token:
            mixer = GroupViTMixerMLP(config, num_prev_group_token, width // 2, num_group_token)
            self.group_projector = nn.Sequential(nn.LayerNorm(width, config.layer_norm_eps), mixer)

    @property
    def with_group_token(self) -> bool:
        """Whether the stage groups."""
        return self.group_token is not None

    def forward(  # type: ignore[override]
        self, hidden_states: Tensor, prev_group_token: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor | None, ...]:
        """Tokens (B, N, W) and the last stage's group tokens, if any -> (B, G, W) and this stage's group tokens, and
        with `output_attentions` the soft assignment (B, G, N). Without group tokens: (B, N, W), None and None.
        """
        if self.group_token is None or self.downsample is None:
            x, tokens, soft = self.run(hidden_states), None, None
        else:
            tokens = self.group_token.expand(hidden_states.shape[0], -1, -1)
            if self.group_projector is not None:
                tokens = tokens + self.group_projector(prev_group_token)
            both = self.run(torch.cat([hidden_states, tokens], dim=1))
            x, tokens = both.split([hidden_states.shape[1], self.num_group_token], dim=1)  # type: ignore[no-untyped-call]
            x, soft = self.downsample(x, tokens)
        return (x, tokens, soft) if output_attentions else (x, tokens)


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
