"""A seed's new model stays what it is: the numbers of every part are drawn in one order, and none that are not used."""

import pytest
import torch

from sightline.models.dual.bert import BertModel
from sightline.models.dual.config import BertConfig
from sightline.nn.slices import Fused


@pytest.mark.parametrize("layers", [1, 2])
def test_a_new_bert_draws_the_numbers_of_its_maps_alone(layers):
    width, inner = 16, 32
    sizes = [(width, 3 * width), (width, width), (width, inner), (inner, width)] * layers + [(width, width)]
    torch.manual_seed(0)
    maps = [torch.nn.Linear(*size) for size in sizes]
    for linear in maps:
        torch.nn.init.normal_(linear.weight, std=0.02)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=2
    )
    found = [module for module in BertModel(config).modules() if type(module) in (torch.nn.Linear, Fused)]
    assert [linear.weight.tolist() for linear in found] == [linear.weight.tolist() for linear in maps]
