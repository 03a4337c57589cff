"""ALIGN against `transformers`, through files on disk, on 50 random configs whose every number is random."""

import copy
import random
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor
from transformers.models.align.modeling_align import round_filters

import sightline as ours
from sightline.checkpoint.rules import plan, write
from sightline.models.align.layouts import HUGGING_FACE
from sightline.models.pretrained import PretrainedModel
from support.parity import both_ways, close, compare, compare_gradients, gradients_of
from support.weights import randomise

OUTPUTS = ["loss", "logits_per_image", "logits_per_text", "text_embeds", "image_embeds"]


def random_config(seed: int) -> transformers.AlignConfig:
    rng = random.Random(seed)
    pick = rng.choice
    heads, stages = pick([1, 2, 4]), pick([1, 2, 3])
    widths = [pick([8, 16, 24, 40]) for _ in range(stages + 1)]
    vision = transformers.AlignVisionConfig(
        num_channels=pick([1, 3]),
        image_size=pick([33, 64]),
        width_coefficient=pick([0.3, 0.5, 1.0, 1.1]),
        depth_coefficient=pick([1.0, 1.2, 2.1]),
        depth_divisor=pick([4, 8]),
        kernel_sizes=[pick([1, 3, 5]) for _ in range(stages)],
        in_channels=[32, *widths[1:-1]] if stages > 1 else [32],
        out_channels=widths[1:],
        depthwise_padding=rng.sample(range(6), pick([0, 2, 4])),
        strides=[pick([1, 2]) for _ in range(stages)],
        num_block_repeats=[pick([1, 2]) for _ in range(stages)],
        expand_ratios=[pick([1, 2, 6]) for _ in range(stages)],
        squeeze_expansion_ratio=pick([0.05, 0.25, 0.5]),
        hidden_act=pick(["swish", "gelu", "relu", "quick_gelu"]),
        hidden_dim=pick([64, 100]),
        pooling_type=pick(["mean", "max"]),
        batch_norm_eps=pick([1e-3, 1e-5]),
        batch_norm_momentum=pick([0.99, 0.1, 0.01]),
        drop_connect_rate=pick([0.0, 0.2, 0.8]),
    )
    text = {
        "vocab_size": pick([60, 99]),
        "hidden_size": heads * pick([4, 8, 16]),
        "num_hidden_layers": pick([1, 2, 4]),
        "num_attention_heads": heads,
        "intermediate_size": pick([16, 37, 64]),
        "hidden_act": pick(["gelu", "quick_gelu", "gelu_new", "relu"]),
        "hidden_dropout_prob": pick([0.0, 0.1, 0.5]),
        "attention_probs_dropout_prob": pick([0.0, 0.1]),
        "max_position_embeddings": pick([12, 16, 64]),
        "type_vocab_size": pick([1, 2, 3]),
        "layer_norm_eps": pick([1e-12, 1e-5]),
        "pad_token_id": pick([0, 1, None]),
    }
    width = round_filters(vision, vision.out_channels[-1])
    return transformers.AlignConfig(
        text_config=text, vision_config=vision, projection_dim=width, temperature_init_value=pick([1.0, 0.07])
    )


def random_inputs(config: transformers.AlignConfig, seed: int) -> dict[str, Tensor]:
    """Texts of several lengths, some with token types or places of their own, and pictures of any size."""
    generator, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    text, length = config.text_config, 10
    ids = torch.randint(2, text.vocab_size, (4, length), generator=generator)
    mask = (torch.arange(length) < torch.tensor([[2], [5], [9], [length]])).long()
    ids[mask == 0] = text.pad_token_id or 0
    size = [rng.choice([32, 33, 41, 50]) for _ in range(2)]
    pixels = torch.randn(4, config.vision_config.num_channels, *size, generator=generator)
    inputs = {"input_ids": ids, "attention_mask": mask, "pixel_values": pixels}
    if rng.random() < 0.5:
        inputs["token_type_ids"] = torch.randint(0, text.type_vocab_size, ids.shape, generator=generator)
    if rng.random() < 0.5:
        inputs["position_ids"] = torch.randint(0, text.max_position_embeddings, ids.shape, generator=generator)
    return inputs


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
        assert a.vision_model_output.keys() == list(b.vision_model_output.keys())
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
