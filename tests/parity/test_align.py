"""ALIGN against `transformers`, through files on disk, on 50 random configs whose every number is random."""

import copy
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

import sightline as ours
from sightline.checkpoint.rules import plan, write
from sightline.models.align.layouts import HUGGING_FACE
from sightline.models.pretrained import PretrainedModel
from support.configs.align import random_config, random_inputs
from support.parity import both_ways, close, compare, compare_gradients, gradients_of
from support.weights import randomise

pytestmark = pytest.mark.parity

OUTPUTS = ["loss", "logits_per_image", "logits_per_text", "text_embeds", "image_embeds"]


@pytest.mark.parametrize("seed", range(50))
def test_parity(seed: int, tmp_path: Path) -> None:
    config, implementation = random_config(seed), ["sdpa", "eager"][seed % 2]
    reference = randomise(transformers.AlignModel(config), seed).eval()
    model = both_ways(reference, ours.AlignModel, tmp_path, attn_implementation=implementation)
    inputs = random_inputs(config, seed)

    with torch.no_grad():
        a, b = model(**inputs, return_loss=True), reference(**inputs, return_loss=True)
        compare(a, b, OUTPUTS)
        del inputs["attention_mask"]  # then padding is read
        compare(model(**inputs), reference(**inputs), OUTPUTS[1:])
    inputs = random_inputs(config, seed)
    with torch.no_grad():
        want = {"output_hidden_states": True, "output_attentions": True}
        a, b = model(**inputs, **want), reference(**inputs, **want)
        tower = ["last_hidden_state", "pooler_output", "hidden_states"]
        compare(a.text_model_output, b.text_model_output, [*tower, "attentions"])
        compare(a.vision_model_output, b.vision_model_output, tower)
        assert list(a.vision_model_output.keys()) == list(b.vision_model_output.keys())
        text = {key: value for key, value in inputs.items() if key != "pixel_values"}
        compare(model.get_text_features(**text), reference.get_text_features(**text), tower[:2])
        pixels = inputs["pixel_values"]
        compare(model.get_image_features(pixels), reference.get_image_features(pixels), tower[:2])

    # In float64, in evaluation and then in training.
    pair = [copy.deepcopy(m).double() for m in (model, reference)]
    pair[0].set_attn_implementation("sdpa")
    # The only attention that the reference offers here computes its softmax in float32, whatever it is given.
    pair[1].config.text_config._attn_implementation = "sdpa"
    wide = inputs | {"pixel_values": pixels.double()}
    for training in (False, True):
        gradients = [gradients_of(m.train(training), lambda m: seeded(m, wide).loss) for m in pair]
        compare_gradients(*gradients, HUGGING_FACE)

    # Training with all its dropout, which draws the same numbers where it stands in the same places.
    model.set_attn_implementation("eager")
    model.train(), reference.train()
    outputs = [seeded(m, inputs) for m in (model, reference)]
    compare(*outputs, OUTPUTS)
    found = write(HUGGING_FACE, dict(model.named_buffers()))
    for name, buffer in reference.named_buffers():
        if not name.endswith(("position_ids", "token_type_ids")):  # these are not saved
            close(found.pop(name), buffer)
    assert not found


def seeded(model: torch.nn.Module, inputs: dict[str, Tensor]) -> object:
    torch.manual_seed(0)
    return model(**inputs, return_loss=True)


def test_align_base_has_the_same_tensors() -> None:
    """The public model's shape, which the defaults are, without its half a gigabyte."""
    with torch.device("meta"):
        reference = transformers.AlignModel(transformers.AlignConfig())
        model: PretrainedModel = ours.AlignModel(ours.AlignConfig())
    theirs = {key: tensor.shape for key, tensor in reference.state_dict().items()}
    mine = {key: tensor.shape for key, tensor in write(HUGGING_FACE, model.state_dict()).items()}
    assert mine == theirs
    assert plan(HUGGING_FACE, set(theirs), "").keys() == model.state_dict().keys()
