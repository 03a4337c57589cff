"""Maps of bytes against the same maps in float32."""

import pytest
import torch
from torch import nn

from sightline.errors import CheckpointError
from sightline.nn.activations import ACTIVATIONS
from sightline.nn.int8 import Grid, Int8Hidden, Int8Linear, Int8Norm, row_scales
from sightline.nn.int8_patches import Int8Patches
from sightline.nn.patches import PatchEmbedding

pytestmark = pytest.mark.skipif(
    not torch.backends.cpu.get_cpu_capability().startswith("AVX"), reason="no kernels for int8 on this processor"
)


def ends(x: torch.Tensor) -> torch.Tensor:
    return torch.stack(torch.aminmax(x, dim=0))


def floats(x: torch.Tensor, grid: Grid) -> torch.Tensor:
    return (x.float() - grid.zero) * grid.steps


def test_weights_that_were_rounded_are_rounded_to_the_same() -> None:
    weight = torch.randn(200, 64) * torch.logspace(-20, 3, 200)[:, None]
    for _ in range(2):
        scales = row_scales(weight)[:, None]
        whole = (weight / scales).round().clamp(-127, 127)
        assert ((whole * scales - weight).abs() <= 0.501 * scales).all()
        again = whole * scales * (1 + 1e-7)
        assert torch.equal(row_scales(again)[:, None], scales)
        assert torch.equal((again / row_scales(again)[:, None]).round(), whole)
        weight = again


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_a_hidden_layer(act: str) -> None:
    torch.manual_seed(0)
    x, weight, bias = torch.randint(0, 256, (7, 32), dtype=torch.uint8), torch.randn(24, 32) / 6, torch.randn(24)
    grid = Grid(torch.rand(32) / 50 + 0.01, 100)
    before = floats(x, grid) @ weight.T + bias
    expected = ACTIVATIONS[act](before)
    out = Grid.even(ends(expected))
    found = floats(Int8Hidden(weight, bias, grid, ACTIVATIONS[act], out)(x), out)
    assert (found - expected).abs().max() < out.step / 2 + 0.02 * before.abs().max()
    assert torch.allclose(Int8Linear(weight, bias, grid)(x), before, atol=0.02 * float(before.abs().max()))


def test_a_sum_is_in_its_own_place() -> None:
    grid, x = Grid(torch.full((16,), 0.02), 128), torch.randint(0, 256, (5, 16), dtype=torch.uint8)
    linear, to = Int8Linear(torch.randn(8, 16), None, grid), torch.randn(5, 8)
    expected = to + linear(x)
    assert linear.add(x, to) is not None
    assert torch.allclose(to, expected, atol=1e-5)


def test_a_norm() -> None:
    torch.manual_seed(0)
    norm, x = nn.LayerNorm(16), torch.randn(3, 5, 16)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    expected = norm(x).flatten(0, 1).detach()
    grid = Grid.even(ends(expected))
    assert (floats(Int8Norm(norm, grid)(x), grid) - expected).abs().max() <= grid.step * 0.501


def test_outliers_have_steps_of_their_own() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(500, 64), torch.randn(32, 64)
    x[:, 5] *= 40
    weight[:, 5] /= 40
    even, smooth = Grid.even(ends(x)), Grid.smooth(ends(x), weight)
    assert smooth.steps[5] > 20 * smooth.steps[4]
    assert (smooth.steps[torch.arange(64) != 5] == smooth.steps[0]).all()
    errors = []
    for grid in (even, smooth):
        as_bytes = (x / grid.steps + grid.shift).clamp(0, 255).to(torch.uint8)
        errors.append(float((Int8Linear(weight, None, grid)(as_bytes) - x @ weight.T).square().mean()))
    assert errors[1] < errors[0] / 20


@pytest.mark.parametrize("bias", [False, True])
def test_patches(bias: bool) -> None:
    torch.manual_seed(0)
    patches = PatchEmbedding(3, 4, 24, bias)
    if bias:
        nn.init.normal_(patches.bias)
    levels = torch.arange(256) / 255
    values = torch.stack([(levels - mean) / std for mean, std in ((0.48, 0.26), (0.45, 0.25), (0.4, 0.3))])
    pixels = torch.randint(0, 256, (2, 3, 9, 12), dtype=torch.uint8)
    exact = torch.stack([values[channel][pixels[:, channel].long()] for channel in range(3)], dim=1)
    made, expected = Int8Patches(patches, values), patches(exact)
    assert made(pixels).shape == expected.shape
    assert (made(pixels) - expected).abs().max() < 0.03 * expected.abs().max()
    assert torch.equal(made(exact), made(pixels))


def test_broken_numbers() -> None:
    grid = Grid(torch.ones(2), 0)
    with pytest.raises(CheckpointError, match="broken"):
        Int8Linear(torch.tensor([[1.0, torch.nan]]), None, grid)
    with pytest.raises(CheckpointError, match="broken"):
        Grid.even(torch.tensor([[0.0], [torch.inf]]))
