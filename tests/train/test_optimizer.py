"""Groups of parameters and their rates; runs with frozen towers, slower blocks and an average of the weights."""

import dataclasses

import pytest
import torch
from torch import nn

from sightline import CLIPModel
from sightline.errors import UsageError
from sightline.models import FAMILIES
from sightline.train import train
from sightline.train.freeze import freeze, lr_scales
from sightline.train.optimizer import optimizer
from support.models import PACKAGED
from support.runs import model, recipe, trained

NORMS = nn.LayerNorm, nn.modules.batchnorm._BatchNorm


@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
@pytest.mark.parametrize("frozen", [(), ("image",), ("text",)])
@pytest.mark.parametrize("family", PACKAGED)
def test_every_trained_parameter_is_in_one_group(family, frozen, layer_decay):
    opened = FAMILIES[family].model.from_pretrained(PACKAGED[family], dtype="float32").train()
    freeze(opened, frozen)
    groups = optimizer(opened, recipe(layer_decay=layer_decay, weight_decay=0.2)).param_groups
    ids = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(ids) == len(set(ids))
    assert set(ids) == {id(parameter) for parameter in opened.parameters() if parameter.requires_grad}
    told = {id(parameter): group for group in groups for parameter in group["params"]}
    share = lr_scales(opened, layer_decay)
    norms = {id(p) for module in opened.modules() if isinstance(module, NORMS) for p in module.parameters()}
    for name, parameter in opened.named_parameters():
        if not parameter.requires_grad:
            continue
        spared = id(parameter) in norms or name.endswith("bias") or name in ("logit_scale", "temperature")
        if spared:
            assert told[id(parameter)]["weight_decay"] == 0, name
        elif name.endswith("weight"):
            assert told[id(parameter)]["weight_decay"] == 0.2, name
        assert told[id(parameter)]["lr_scale"] == share[name]


def test_a_step_moves_each_block_by_its_share(tmp_path):
    """Adam's first step is the rate in each number, whatever the gradient."""
    start = model_at_seed().state_dict()
    end = trained(
        tmp_path / "run",
        steps=1,
        warmup_steps=0,
        weight_decay=0.0,
        max_grad_norm=None,
        eps=1e-30,
        layer_decay=0.5,
        lr=1e-3,
    )
    for name, share in lr_scales(model_at_seed(), 0.5).items():
        off = (end[name] - start[name]).abs()
        if name.endswith(".qkv.bias") or not off.any():
            continue
        assert off.max().item() == pytest.approx(share * 1e-3, rel=1e-2), name


def model_at_seed():
    torch.manual_seed(0)
    return model()[0]


@pytest.mark.parametrize("tower", ["image", "text"])
def test_a_frozen_tower_comes_out_as_it_went_in(tmp_path, tower):
    start = model_at_seed().state_dict()
    end = trained(tmp_path / "run", steps=5, freeze=(tower,))
    frozen = CLIPModel.towers[tower]
    for name, tensor in end.items():
        assert tensor.equal(start[name]) == name.startswith(frozen), name


@pytest.mark.system
def test_the_average_is_what_is_saved_and_a_stopped_run_goes_on_with_it(tmp_path):
    seen = {}

    def evaluate(folder):
        seen[folder.name] = CLIPModel.from_pretrained(folder).state_dict()
        return {"good": float(len(seen))}

    plain = trained(tmp_path / "plain")
    whole = trained(tmp_path / "whole", ema_decay=0.9, evaluate=evaluate)
    assert not whole["logit_scale"].equal(plain["logit_scale"])
    assert seen["step-00000040"]["logit_scale"].equal(whole["logit_scale"])

    class Stopped(Exception):
        pass

    def stops(folder):
        if folder.name == "step-00000021":
            raise Stopped
        return {"good": 1.0}

    stops.__qualname__ = evaluate.__qualname__
    broken = recipe(ema_decay=0.9, evaluate=stops)
    with pytest.raises(Stopped):
        train(broken, tmp_path / "broken")
    train(dataclasses.replace(broken, evaluate=evaluate), tmp_path / "broken")
    resumed = CLIPModel.from_pretrained(tmp_path / "broken/last").state_dict()
    assert all(tensor.equal(whole[name]) for name, tensor in resumed.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_decay": 0}, "layer_decay is 0"),
        ({"layer_decay": 1.5}, "layer_decay is 1.5"),
        ({"ema_decay": 1}, "ema_decay is 1"),
    ],
)
def test_settings_that_make_no_sense(changes, message):
    with pytest.raises(UsageError, match=message):
        recipe(**changes)
