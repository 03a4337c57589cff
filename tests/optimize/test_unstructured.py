"""Unstructured pruning: which weights become 0, that they stay 0, and what is refused."""

import pytest
import torch
import transformers
from torch import nn
from torch.nn.utils import prune

from sightline import CLIPModel, prune_model
from sightline.errors import UsageError
from sightline.optimize import keep_zeros, sparsity
from support import tiny
from support.models import inputs


def model(family="clip"):
    return tiny.model(family, dtype=torch.float32).eval()


def calibration(of, n=4):
    pixels, ids, mask = inputs(of, n)
    return {"pixel_values": pixels.float(), "input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("method", ["magnitude", "random", "activation"])
@pytest.mark.parametrize("compares_all", [True, False])
def test_the_share_of_zeros_is_the_amount_and_the_model_stays_whole(family, method, compares_all):
    whole = model(family)
    before = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
    config = {"method": method, "amount": 0.25, "global_pruning": compares_all}
    pruned = prune_model(whole, config, calibration(whole) if method == "activation" else None)
    counted = sparsity(pruned)
    assert abs(counted.zeros - 0.25 * counted.weights) <= (1 if compares_all else len(counted.maps))
    if not compares_all:
        assert all(abs(zeros - 0.25 * of) <= 1 for zeros, of in counted.maps.values())
    assert all(torch.equal(tensor, before[name]) for name, tensor in whole.state_dict().items())
    changed = {name for name, tensor in pruned.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {f"{name}.weight" for name, (zeros, _) in counted.maps.items() if zeros}
    assert any(name.endswith(("qkv.weight", "blocks.1.expansion.expand_conv.weight")) for name in changed)


def test_the_smallest_go_first_in_all_maps_or_in_each():
    whole = model()
    scores = {f"{name}.weight" for name in sparsity(whole).maps}
    everywhere = prune_model(whole, {"method": "magnitude", "amount": 0.5, "global_pruning": True}).state_dict()
    each = prune_model(whole, {"method": "magnitude", "amount": 0.5, "global_pruning": False}).state_dict()
    sizes = torch.cat([whole.state_dict()[name].abs().flatten() for name in scores])
    for name in scores:
        weight = whole.state_dict()[name]
        assert torch.equal(everywhere[name] == 0, weight.abs() <= sizes.median())
        assert torch.equal(each[name] == 0, weight.abs() <= weight.abs().median())


def test_with_activations_each_row_loses_what_adds_least():
    layer = nn.Sequential(nn.Linear(6, 4, bias=False))
    x = torch.randn(50, 6) * torch.tensor([10.0, 1, 1, 0.1, 5, 0.01])
    pruned = prune_model(layer, {"method": "activation", "amount": 0.5, "global_pruning": False}, {"input": x})
    score = layer[0].weight.abs() * x.norm(dim=0)
    assert torch.equal(pruned[0].weight != 0, score >= score.sort(1).values[:, 3:4])


def test_the_random_ones_are_of_torchs_generator_and_old_zeros_count():
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(prune_model(model(), {"method": "random", "amount": 0.5}).text_projection.weight == 0)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    for method in ("magnitude", "random"):
        once = prune_model(model(), {"method": method, "amount": 0.3})
        assert sparsity(prune_model(once, {"method": method, "amount": 0.3})) == sparsity(once)


def test_zeros_are_kept_by_saving_and_in_the_reference(tmp_path):
    pruned = prune_model(model(), {"method": "magnitude", "amount": 0.4})
    pruned.save_pretrained(tmp_path)
    again = CLIPModel.from_pretrained(tmp_path)
    assert sparsity(again) == sparsity(pruned)
    given = calibration(again)
    theirs = transformers.CLIPModel.from_pretrained(tmp_path)
    torch.testing.assert_close(again(**given).logits_per_image, theirs(**given).logits_per_image, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kept", [True, False])
def test_zeros_are_kept_in_training_if_asked_for(kept):
    pruned = prune_model(model(), {"method": "magnitude", "amount": 0.4}).train()
    before = sparsity(pruned)
    if kept:
        keep_zeros(pruned)
    optimizer = torch.optim.AdamW(pruned.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        pruned(**calibration(pruned), return_loss=True).loss.backward()
        optimizer.step()
    assert (sparsity(pruned) == before) == kept


def test_training_is_free_again_when_the_handles_are_removed():
    pruned = prune_model(model(), {"method": "magnitude", "amount": 0.4})
    for handle in keep_zeros(pruned):
        handle.remove()
    pruned(**calibration(pruned), return_loss=True).loss.backward()
    weight = pruned.text_projection.weight
    assert (weight.grad[weight == 0] != 0).any()


def test_a_report_can_be_printed():
    told = str(sparsity(prune_model(model(), {"amount": 0.5}))).splitlines()
    assert told[0].split() == ["linear", "map", "zeros", "weights", "share"]
    assert told[-1].startswith("all ")
    assert told[-1].endswith("50.0%")
    assert any(line.startswith("text_model.encoder.layers.0.self_attn.qkv ") for line in told)


CONFIG = {"method": "magnitude", "amount": 0.2}


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (CONFIG | {"sparsity": 0.2}, "pruning_config knows no sparsity; there is method, amount, global_pruning"),
        (CONFIG | {"method": "l1"}, "method is 'l1'; there is magnitude, random, activation"),
        ({"method": "random"}, "amount is missing"),
        (CONFIG | {"amount": 1}, "amount is 1; give a share"),
        (CONFIG | {"amount": -0.1}, "amount is -0.1"),
        (CONFIG | {"amount": float("nan")}, "amount is nan"),
        (CONFIG | {"amount": "20%"}, "amount is '20%'"),
        (CONFIG | {"global_pruning": "yes"}, "global_pruning is 'yes'; give True or False"),
        (0.2, "pruning_config is 0.2: give a dictionary"),
        (CONFIG | {"method": "activation"}, "give calibration=processor("),
    ],
)
def test_a_wrong_config_is_one_line(config, says):
    with pytest.raises(UsageError) as told:
        prune_model(model(), config)
    assert says in str(told.value)
    assert "\n" not in str(told.value)


def test_a_wrong_model_or_calibration_is_one_line():
    def refused(of, config, calibration=None):
        with pytest.raises(UsageError) as told:
            prune_model(of, config, calibration)
        assert "\n" not in str(told.value)
        return str(told.value)

    whole = model()
    assert "looks at no inputs" in refused(whole, CONFIG, calibration(whole))
    activation = CONFIG | {"method": "activation"}
    assert "calibration is empty" in refused(whole, activation, [])
    assert "return_tensors='pt'" in refused(whole, activation, ["a cat"])
    assert "no linear maps" in refused(nn.LayerNorm(3), CONFIG)
    prune.l1_unstructured(whole.text_projection, "weight", 0.5)
    assert "torch.nn.utils.prune.remove" in refused(whole, CONFIG)
