"""What is computed otherwise in training gives what autograd gives, values and gradients, in float64."""

import pytest
import torch
from torch import Tensor

from sightline.models.clip.config import CLIPTextConfig
from sightline.models.clip.text import CLIPTextModel
from sightline.nn.activations import ACTIVATIONS
from sightline.nn.attention import SelfAttention
from sightline.nn.transformer import Mlp


def gradients(y: Tensor, of: list[Tensor]) -> list[Tensor]:
    """Of a sum in which each number has a weight of its own."""
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
    return list(torch.autograd.grad((y * weights).sum(), of))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("frozen", ["nothing", "input", "weights", "first", "biases"])
def test_mlp(name: str, frozen: str) -> None:
    torch.manual_seed(0)
    mlp = Mlp(6, 10, name, 5).double()
    x = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=frozen != "input")
    for key, parameter in mlp.named_parameters():
        kinds = {"weights": "fc", "first": "fc1", "biases": "bias"}
        parameter.requires_grad_(kinds.get(frozen, "none of them") not in key)
    given = [t for t in (x, *mlp.parameters()) if t.requires_grad]
    plain = mlp.activation_fn(x @ mlp.fc1.weight.T + mlp.fc1.bias) @ mlp.fc2.weight.T + mlp.fc2.bias
    torch.testing.assert_close(mlp(x), plain)
    for a, b in zip(gradients(mlp(x), given), gradients(plain, given), strict=True):
        torch.testing.assert_close(a, b)


def test_mlp_on_the_meta_device_has_shapes_and_gradients():
    """Shapes alone, as where the products of a tower are counted: the meta device knows no autocast."""
    mlp = Mlp(6, 10, "gelu", 5).to("meta")
    y = mlp(torch.empty(2, 3, 6, device="meta"))
    assert y.shape == (2, 3, 5)
    y.sum().backward()
    assert mlp.fc1.weight.grad.shape == (10, 6)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [1, 7])
def test_attention(causal: bool, length: int) -> None:
    torch.manual_seed(0)
    attention = SelfAttention(CLIPTextConfig(hidden_size=12, num_attention_heads=3)).double()
    x = torch.randn(2, length, 12, dtype=torch.float64, requires_grad=True)
    found = []
    for implementation in ("sdpa", "eager"):
        attention.implementation = implementation
        y, _ = attention(x, is_causal=causal)
        found.append([y, *gradients(y, [x, *attention.parameters()])])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("count", [1, 5, 700])
@pytest.mark.parametrize("end", [2, 49])
def test_texts_in_parts_by_length(count: int, end: int) -> None:
    """As many texts as make one, two and three parts, in any order, behind each end whatever padding."""
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=50,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        eos_token_id=end,
    )
    model = CLIPTextModel(config).double()
    ids = torch.randint(3, 49, (count, 16))
    lengths = torch.randint(2, 13, (count,))
    ids[torch.arange(count), lengths - 1] = 49  # the highest, where the config says 2
    ids[torch.arange(16) >= lengths[:, None]] = 0
    found = []
    for training in (True, False):
        y = model.train(training).pool(ids)
        found.append([y, *gradients(y, list(model.parameters()))])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_bfloat16_comes_as_near_as_autograd() -> None:
    """Under autocast, against float32: no further off than the same without our own gradients."""
    torch.manual_seed(0)
    mlp = Mlp(64, 256, "quick_gelu")
    attention = SelfAttention(CLIPTextConfig(hidden_size=64, num_attention_heads=2))
    attention.implementation = "eager"
    x = torch.randn(4, 20, 64, requires_grad=True)
    weights = [x, *mlp.parameters(), *attention.parameters()]

    def plain(x: Tensor) -> Tensor:
        q, k, v = attention.qkv(x).unflatten(-1, (3, 2, 32)).permute(2, 0, 3, 1, 4)
        seen = ((q @ k.transpose(-1, -2)) * 32**-0.5).softmax(-1) @ v
        return mlp.fc2(mlp.activation_fn(mlp.fc1(attention.out_proj(seen.transpose(1, 2).flatten(2)))))  # type: ignore[no-any-return]

    exact = gradients(mlp(attention(x)[0]), weights)
    with torch.autocast("cpu", torch.bfloat16):
        ours, autograd = mlp(attention(x)[0]), plain(x)
    assert ours.dtype == torch.bfloat16
    for truth, a, b in zip(exact, gradients(ours, weights), gradients(autograd, weights), strict=True):
        assert a.dtype == torch.float32
        assert (a - truth).norm() <= 1.25 * (b - truth).norm() + 1e-3 * truth.norm()


def test_an_mlp_has_second_derivatives() -> None:
    mlp = Mlp(4, 8, "gelu").double()
    x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(mlp, (x,))
