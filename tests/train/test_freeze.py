"""Frozen towers and slower blocks, in all families."""

import pytest
import torch

from sightline.errors import UsageError
from sightline.models import FAMILIES
from sightline.models.dual.model import VisionTextDualEncoderModel
from sightline.train.freeze import freeze, lr_scales
from support.models import PACKAGED, inputs

BLOCKS = {"clip": (5, 3), "align": (8, 3), "groupvit": (3, 3), "xclip": (4, 3), "dual": (5, 3)}  # pictures, texts


def opened(family):
    if family == "dual":
        return VisionTextDualEncoderModel.from_towers("mini", "mini").train()
    return FAMILIES[family].model.from_pretrained(PACKAGED[family], dtype="float32").train()


@pytest.mark.parametrize("tower", ["image", "text"])
@pytest.mark.parametrize("family", BLOCKS)
def test_a_frozen_tower_has_no_gradient_no_graph_and_no_new_statistics(family, tower):
    torch.manual_seed(0)
    model = opened(family)
    freeze(model, [tower])
    pixels, ids, mask = inputs(model, 4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    embeddings = model.encode(pixels.float(), ids, mask)
    frozen, trained = (
        (embeddings.images, embeddings.texts) if tower == "image" else (embeddings.texts, embeddings.images)
    )
    if (family, tower) == ("xclip", "image") or family == "dual":  # what comes after the towers is trained
        assert all(tensor.requires_grad for tensor in frozen)
    else:
        assert not any(tensor.requires_grad for tensor in frozen)
    assert all(tensor.requires_grad for tensor in trained)
    model.loss(model.match(embeddings)).backward()
    own = tuple(name + "." for name in model.towers[tower])
    for name, parameter in model.named_parameters():
        if name.startswith(own):
            assert parameter.grad is None, name
        elif "pooler" not in name:  # BERT's is in no embedding
            assert parameter.grad is not None, name
    changed = {name for name, tensor in model.state_dict().items() if not tensor.equal(before[name])}
    assert not {name for name in changed if name.startswith(own)}
    if family == "dual":
        assert model.visual_projection.weight.grad is not None
        assert model.text_projection.weight.grad is not None
    if (family, tower) in {("align", "text"), ("groupvit", "text"), ("groupvit", "image")}:
        assert changed  # the other side's batch norms


def test_what_there_is_no_use_in_freezing():
    with pytest.raises(UsageError, match="nothing is left to train"):
        freeze(opened("clip"), ["image", "text"])
    with pytest.raises(UsageError, match="'sound' is no tower"):
        freeze(opened("clip"), ["sound"])


@pytest.mark.parametrize("family", BLOCKS)
def test_each_block_has_its_share_of_the_rate(family):
    model = opened(family)
    found = lr_scales(model, 0.5)
    names = [name for name, _ in model.named_parameters()]
    assert list(found) == names
    for tower, blocks in zip(("vision_model", "text_model"), BLOCKS[family], strict=True):
        own = [name for name in names if name.startswith(tower)]
        assert found[own[-1]] == 1
        assert found[own[0]] == 0.5**blocks
        assert all(found[name] == 0.5**blocks for name in own if "position_embedding" in name)
        order = [found[name] for name in own]
        assert order == sorted(order)
        assert set(order) == {0.5**i for i in range(blocks + 1)}
    assert {found[name] for name in names if not name.startswith(("vision_model", "text_model"))} == {1.0}


def test_shares_of_known_parameters():
    found = lr_scales(opened("groupvit"), 0.8)
    assert found["vision_model.encoder.stages.0.group_token"] == pytest.approx(0.8**3)
    assert found["vision_model.encoder.stages.0.layers.0.layer_norm1.weight"] == pytest.approx(0.8**2)
    assert found["vision_model.encoder.stages.0.downsample.assign.q_proj.weight"] == pytest.approx(0.8)
    assert found["vision_model.encoder.stages.1.layers.0.mlp.fc1.weight"] == 1
    assert found["text_model.encoder.layers.1.self_attn.qkv.weight"] == pytest.approx(0.8)
    assert found["logit_scale"] == 1
    assert set(lr_scales(opened("clip"), 1.0).values()) == {1.0}
