"""Products by oneDNN, and attention as batched products, against torch's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from sightline.nn import products
from sightline.nn.attention import SelfAttention
from sightline.nn.transformer import Mlp
from support.parity import close


@pytest.fixture
def onednn(monkeypatch):
    """As on a processor for which they are the quicker ones; counts what they compute."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(products, "is_amd", lambda: True)
    monkeypatch.setattr(products, "multiplies_bfloat16", lambda: True)


def names(work):
    """The operations of torch that `work` does."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        work()
    return {event.key for event in seen.key_averages()}


ONEDNN = "mkldnn::_linear_pointwise"


@pytest.mark.parametrize("act", ["quick_gelu", "gelu", "relu"])
def test_maps_are_the_same_to_the_last_bits(act, onednn, monkeypatch):
    torch.manual_seed(0)
    mlp, x = Mlp(16, 64, act), torch.randn(4, 5, 16)
    with torch.inference_mode():
        assert ONEDNN in names(lambda: mlp(x))
        found = mlp(x)
        monkeypatch.setattr(products, "is_amd", lambda: False)
        assert ONEDNN not in names(lambda: mlp(x))
        close(found, mlp(x), 1e-6)


@pytest.mark.parametrize("why", ["gradient", "few rows", "another type", "autocast"])
def test_all_else_takes_the_usual_way(why, onednn):
    linear, x = nn.Linear(16, 8), torch.randn(2 if why == "few rows" else 20, 16)
    if why == "another type":
        linear, x = linear.double(), x.double()
    with torch.set_grad_enabled(why == "gradient"), torch.autocast("cpu", enabled=why == "autocast"):
        assert ONEDNN not in names(lambda: products.mapped(linear, x))
        assert torch.equal(products.mapped(linear, x), linear(x))


def test_what_counts_operations_finds_those_that_it_knows(onednn):
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        products.mapped(nn.Linear(16, 8), torch.randn(20, 16))
    assert counter.get_total_flops() == 2 * 20 * 16 * 8


def test_a_hook_is_called(onednn):
    linear, seen = nn.Linear(16, 8), []
    linear.register_forward_hook(lambda *call: seen.append(1))
    with torch.inference_mode():
        products.mapped(linear, torch.randn(20, 16))
    assert seen == [1]


@pytest.mark.parametrize("causal", [False, True])
def test_attention_of_bfloat16_as_products(causal, onednn):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 9, 8).bfloat16()
    exact = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=causal)
    with torch.inference_mode():
        found = products.attention(q, k, v, causal)
    close(found.float(), exact, 0.01)
    assert products.attention(q, k, v, causal) is None  # with gradients


def test_rows_of_a_batch_do_not_depend_on_one_another(onednn):
    class Config:
        hidden_size, num_attention_heads, attention_dropout = 16, 2, 0.0

    attention = SelfAttention(Config()).bfloat16()
    x = torch.randn(4, 9, 16).bfloat16()
    with torch.inference_mode():
        first = attention(x)[0]
        x[1:] = 0
        assert torch.equal(attention(x)[0][0], first[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["point", "depthwise", "strided"])
@pytest.mark.parametrize("silu", [False, True])
def test_convolutions(dtype, kind, silu, onednn):
    torch.manual_seed(0)
    settings = {
        "point": {"kernel_size": 1, "padding": "same"},
        "depthwise": {"kernel_size": 5, "padding": "same", "groups": 8},
        "strided": {"kernel_size": 3, "stride": 2, "groups": 8},
    }[kind]
    conv = nn.Conv2d(8, 8, **settings).to(dtype).to(memory_format=torch.channels_last)
    x = torch.randn(2, 8, 9, 9).to(dtype).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        found, exact = products.convolution(conv, x, silu), conv(x)
    exact = F.silu(exact) if silu else exact
    close(found.float(), exact.float(), 1e-6 if dtype == torch.float32 else 0.01)
    assert products.convolution(conv, x, silu) is None  # with gradients
