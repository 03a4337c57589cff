"""Fused maps taken apart, and what other libraries put in the place of weights."""

import copy
import warnings

import pytest
import torch
from torch import nn

from sightline.nn.attention import CrossAttention, SelfAttention
from sightline.nn.hooks import plain
from sightline.nn.quantized import load_library
from sightline.nn.slices import Fused, Slice
from sightline.nn.transformer import Mlp
from support import tiny
from support.models import inputs
from support.parity import close


class Settings:
    hidden_size, num_attention_heads, attention_dropout = 32, 4, 0.0


def test_an_attention_taken_apart_computes_the_same() -> None:
    attention, x = SelfAttention(Settings()).eval(), torch.randn(3, 5, 32)
    part, tokens = attention.q_proj, torch.tensor([4, 2, 3])
    expected, at = attention(x)[0], attention.at(x, tokens, causal=True)
    seen = []
    attention.k_proj.register_forward_hook(lambda module, args, output: seen.append(output.shape))
    attention.take_apart("qkv")
    assert attention.q_proj is part
    assert type(part) is nn.Linear
    assert not any(isinstance(module, Slice | Fused) for module in attention.modules())
    assert sum(p.numel() for p in attention.parameters()) == 4 * (32 * 32 + 32)
    close(attention(x)[0], expected, 1e-6)
    close(attention.at(x, tokens, causal=True), at, 1e-6)
    close(copy.deepcopy(attention)(x)[0], expected, 1e-6)
    assert seen


def test_a_cross_attention_without_biases_taken_apart_computes_the_same() -> None:
    attention, x, y = CrossAttention(32, 4, bias=False), torch.randn(3, 5, 32), torch.randn(3, 7, 32)
    expected = attention(x, y)
    attention.take_apart("kv")
    assert attention.k_proj.bias is None
    close(attention(x, y), expected, 1e-6)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_torchao_quantises_an_open_model(family: str) -> None:
    quantization = load_library("torchao.quantization")
    model = tiny.model(family, dtype=torch.float32).eval()
    pixels, ids, mask = inputs(model, 2)
    with torch.no_grad():
        expected = model(input_ids=ids, pixel_values=pixels.float(), attention_mask=mask).logits_per_text
        quantization.quantize_(model, quantization.Int8WeightOnlyConfig())
        close(model(input_ids=ids, pixel_values=pixels.float(), attention_mask=mask).logits_per_text, expected, 0.1)
    maps = [module for module in model.modules() if isinstance(module, nn.Linear | Fused)]
    assert maps
    assert {type(module.weight).__name__ for module in maps} == {"Int8Tensor"}


def test_a_map_with_a_quantised_weight_is_called() -> None:
    quantization = load_library("torchao.quantization")
    mlp, x = Mlp(32, 64, "quick_gelu"), torch.randn(2, 32)
    assert plain(mlp.fc1, nn.Linear)
    expected = mlp(x)
    quantization.quantize_(mlp, quantization.Int8WeightOnlyConfig())
    assert not plain(mlp.fc1, nn.Linear)
    close(mlp(x), expected, 2e-2)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_dynamic_quantisation_by_torch(family: str) -> None:
    model = tiny.model(family, dtype=torch.float32).eval()
    pixels, ids, mask = inputs(model, 2)
    with torch.no_grad(), warnings.catch_warnings():
        # Both the module and the tensors that it makes are deprecated.
        warnings.filterwarnings("ignore", "torch.ao.quantization is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
        expected = model(input_ids=ids, pixel_values=pixels.float(), attention_mask=mask).logits_per_text
        dynamic = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
        found = dynamic(input_ids=ids, pixel_values=pixels.float(), attention_mask=mask).logits_per_text
    assert any("dynamic" in type(module).__module__ for module in dynamic.modules())
    close(found, expected, 0.1)
