"""The average of the weights: by hand, and as a model."""

import pytest
import torch

from sightline.models import FAMILIES
from sightline.train.ema import ExponentialMovingAverage
from sightline.train.lora import Lora
from support.models import PACKAGED, inputs
from support.runs import trained


def moved(model, step):
    """As if a step had been made: other weights, other statistics."""
    torch.manual_seed(step)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.01 * torch.randn_like(tensor))
            else:
                tensor.add_(1)


def started(model, decay):
    average = ExponentialMovingAverage(model, decay)
    average.start(model)
    return average


@pytest.mark.parametrize("family", PACKAGED)
def test_by_hand(family):
    model = FAMILIES[family].model.from_pretrained(PACKAGED[family], dtype="float32").train()
    average = started(model, 0.3)
    expected = {name: tensor.clone().double() for name, tensor in model.state_dict().items()}
    for step, decay in ((1, 0.1), (2, 2 / 11), (3, 0.25), (4, 0.3), (5, 0.3)):
        moved(model, step)
        average.update(model, step)
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                expected[name] = decay * expected[name] + (1 - decay) * tensor.double()
            else:
                expected[name] = tensor.clone().double()
    for name, tensor in average.whole().state_dict().items():
        torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-6, msg=name)
    assert not average.whole().training
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_restored_it_goes_on_bit_for_bit_and_saves_as_any_model(tmp_path):
    model = FAMILIES["groupvit"].model.from_pretrained("mini-groupvit", dtype="float32").train()
    average = started(model, 0.999)
    moved(model, 1)
    average.update(model, 1)
    state = {name: tensor.clone() for name, tensor in average.tensors.items()}
    resumed = started(model, 0.999)
    resumed.restore(state)
    for step in (2, 3):
        moved(model, step)
        for one in (average, resumed):
            one.update(model, step)
    for name, tensor in average.tensors.items():
        assert tensor.equal(resumed.tensors[name]), name
    average.whole().save_pretrained(tmp_path)
    opened = type(model).from_pretrained(tmp_path)
    pixels, ids, mask = inputs(model, 3)
    embeddings = opened.encode(pixels.float(), ids, mask)
    expected = average.whole().encode(pixels.float(), ids, mask)
    assert opened.match(embeddings).logits_per_image.equal(opened.match(expected).logits_per_image)


def test_what_is_frozen_stays_bit_for_bit():
    model = FAMILIES["clip"].model.from_pretrained("mini", dtype="float32")
    average = started(model, 0.9999)
    for step in range(1, 30):
        average.update(model, step)
    for name, tensor in average.tensors.items():
        assert tensor.equal(model.state_dict()[name]), name


def test_of_adapters_it_is_merged_as_the_last_ones_are(tmp_path):
    how = {"lora": Lora(rank=2), "steps": 4}
    last, average = trained(tmp_path / "last", **how), trained(tmp_path / "average", ema_decay=0.9, **how)
    assert last.keys() == average.keys()
    moved = {name.rpartition(".")[0].rpartition(".")[2] for name in last if not last[name].equal(average[name])}
    assert moved == {"qkv", "out_proj", "fc1", "fc2", ""}  # "": the scale
