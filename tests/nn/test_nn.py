"""Layers against torch's own."""

import copy

import pytest
import torch
from torch import nn

from sightline import CLIPTextConfig
from sightline.nn.attention import SelfAttention, causal_mask
from sightline.nn.loss import contrastive_loss
from sightline.nn.patches import PatchEmbedding, interpolate_positions
from sightline.nn.transformer import Block


def test_attention_is_torch_s() -> None:
    """Against `nn.MultiheadAttention`, which has fused projections too."""
    torch.manual_seed(0)
    mine = SelfAttention(CLIPTextConfig(hidden_size=24, num_attention_heads=3)).double()
    reference = nn.MultiheadAttention(24, 3, batch_first=True).double()
    mine.qkv.weight.data, mine.qkv.bias.data = reference.in_proj_weight.data, torch.randn(72, dtype=torch.float64)
    reference.in_proj_bias.data = mine.qkv.bias.data
    mine.out_proj.load_state_dict(reference.out_proj.state_dict())
    x = torch.randn(2, 7, 24, dtype=torch.float64)
    seen = torch.rand(2, 1, 1, 7) > 0.3
    seen[..., 0] = True
    for mask, causal in ((None, False), (None, True), (seen, False), (seen, True)):
        hidden = None if not causal else ~causal_mask(7, x.device)
        padding = None if mask is None else ~mask[:, 0, 0]
        expected, weights = reference(x, x, x, key_padding_mask=padding, attn_mask=hidden, average_attn_weights=False)
        for implementation in ("sdpa", "eager"):
            mine.implementation = implementation
            torch.testing.assert_close(mine(x, mask, causal)[0], expected, rtol=1e-12, atol=1e-12)
        collected: list[torch.Tensor] = []
        mine(x, mask, causal, collected)
        torch.testing.assert_close(collected[0], weights, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [(8, 8), (9, 11), (4, 4)])
def test_patches_are_a_convolution(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    embed = PatchEmbedding(3, 4, 5).double()
    pixels = torch.randn(2, 3, *size, dtype=torch.float64)
    expected = nn.functional.conv2d(pixels, embed.weight, stride=4)
    torch.testing.assert_close(embed(pixels), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(embed.rows(pixels), expected.flatten(2).transpose(1, 2), rtol=1e-12, atol=1e-12)


def test_positions_for_the_same_grid_are_the_table_itself() -> None:
    table = torch.randn(10, 4)
    assert interpolate_positions(table, 3, 3, 3) is table
    assert interpolate_positions(table, 3, 2, 5).shape == (11, 4)
    assert torch.equal(interpolate_positions(table, 3, 2, 5)[0], table[0])
    assert interpolate_positions(table.bfloat16(), 3, 2, 5).dtype == torch.bfloat16


def test_loss_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    expected = torch.log(1 + torch.exp(torch.tensor(-2.0)))
    torch.testing.assert_close(contrastive_loss(logits), expected)
    # Smoothing 0.1 over two classes moves 0.05 of the weight to the wrong one, which costs 2 more.
    torch.testing.assert_close(contrastive_loss(logits, label_smoothing=0.1), expected + 0.05 * 2)
    lopsided = torch.tensor([[1.0, 3.0], [0.0, 1.0]])
    rows = nn.functional.cross_entropy(lopsided, torch.arange(2))
    columns = nn.functional.cross_entropy(lopsided.T, torch.arange(2))
    torch.testing.assert_close(contrastive_loss(lopsided), (rows + columns) / 2)


class Adapted(nn.Module):
    """A linear map and what is added to it: what an adapter puts in the place of an `nn.Linear`."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.base, self.added = linear, nn.Linear(linear.in_features, linear.out_features, bias=False).double()

    @property
    def weight(self) -> torch.Tensor:
        return self.base.weight

    @property
    def bias(self) -> torch.Tensor:
        return self.base.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.added(x)

    def merged(self) -> nn.Linear:
        linear = copy.deepcopy(self.base)
        linear.weight.data += self.added.weight.data
        return linear


@pytest.mark.parametrize("name", ["self_attn.qkv", "self_attn.out_proj", "mlp.fc1", "mlp.fc2"])
@pytest.mark.parametrize("hidden_act", ["quick_gelu", "gelu"])
def test_what_replaces_a_linear_map_is_called(name: str, hidden_act: str) -> None:
    torch.manual_seed(0)
    block = Block(CLIPTextConfig(hidden_size=24, intermediate_size=40, num_attention_heads=3, hidden_act=hidden_act))
    block = block.double()
    parent, leaf = (block.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2])
    adapted = Adapted(getattr(parent, leaf))
    x, tokens = torch.randn(2, 7, 24, dtype=torch.float64), torch.tensor([3, 6])
    plain = block(x, is_causal=True)
    outcomes = []
    for module in (adapted, adapted.merged()):
        setattr(parent, leaf, module)
        outcomes.append((block(x, is_causal=True), block.at(x, tokens, causal=True)))
    assert not torch.allclose(outcomes[0][0], plain)
    for found, expected in zip(*outcomes, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(outcomes[0][1], outcomes[0][0][torch.arange(2), tokens], rtol=1e-12, atol=1e-12)
