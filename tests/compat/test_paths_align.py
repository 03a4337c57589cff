"""ALIGN's parts by the reference's paths and names: the same numbers, hooks that run, parts made alone."""

import pytest
import torch
import transformers
from torch import nn
from transformers.models.align import modeling_align as theirs

import sightline
from sightline.models.align import modeling_align as ours
from sightline.nn.bert_layers import BertIntermediate, BertLayer
from support import paths
from support.configs.align import random_config, random_inputs
from support.weights import randomise

SEEDS = 0, 4, 11


def pair(seed, folder):
    """The reference's model and ours with its numbers, and inputs."""
    config = random_config(seed)
    reference = randomise(transformers.AlignModel(config), seed).eval()
    reference.save_pretrained(folder)
    return sightline.AlignModel.from_pretrained(folder), reference, random_inputs(config, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_path_leads_to_the_same_numbers(seed, tmp_path):
    mine, reference, _ = pair(seed, tmp_path)
    paths.same_parameters(mine, reference)
    for name, _ in reference.named_modules():
        assert isinstance(mine.get_submodule(name), nn.Module), name


@pytest.mark.parametrize("seed", SEEDS)
def test_hooks_see_what_they_see_in_the_reference(seed, tmp_path):
    mine, reference, inputs = pair(seed, tmp_path)
    names = paths.paths(reference)
    text = {key: value for key, value in inputs.items() if key != "pixel_values"}
    calls = [
        lambda m: m(**inputs),
        lambda m: m.get_text_features(**text),
        lambda m: m.get_image_features(inputs["pixel_values"]),
    ]
    for call in calls:
        paths.compare_outcomes(*(paths.outcomes(m, names, call) for m in (mine, reference)))


@pytest.mark.system
def test_a_hook_on_any_part_changes_what_comes_after_it(tmp_path):
    mine, reference, inputs = pair(4, tmp_path)
    inputs = {key: inputs[key] for key in ("input_ids", "attention_mask", "pixel_values")}
    fast = [inputs[key] for key in ("pixel_values", "input_ids", "attention_mask")]
    names = paths.paths(reference)
    ran = paths.outcomes(reference, names, lambda m: m(**inputs))
    for name in ran:
        want = paths.halved(reference, name, lambda m: m(**inputs).logits_per_image)
        for call in (lambda m: m(**inputs).logits_per_image, lambda m: m.match(m.encode(*fast)).logits_per_image):
            paths.alike(paths.halved(mine, name, call), want)


@pytest.mark.parametrize(
    "name",
    [
        "text_model.encoder.layer.0.attention.self.query",
        "text_model.encoder.layer.0.attention.self.value",
        "text_model.encoder.layer.0.attention.output.dense",
        "text_model.encoder.layer.0.intermediate.dense",
        "text_projection",
    ],
)
def test_a_map_that_is_assigned_computes_from_then_on(name, tmp_path):
    mine, reference, inputs = pair(4, tmp_path)
    want = paths.replaced(reference, name, lambda m: m(**inputs).logits_per_image)
    paths.alike(paths.replaced(mine, name, lambda m: m(**inputs).logits_per_image), want)
    inputs = {key: inputs[key] for key in ("input_ids", "attention_mask", "pixel_values")}
    fast = [inputs[key] for key in ("pixel_values", "input_ids", "attention_mask")]
    with torch.no_grad():
        paths.alike(mine.match(mine.encode(*fast)).logits_per_image, reference(**inputs).logits_per_image)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")  # where no input has a gradient
def test_backward_hooks_run(tmp_path):
    mine, reference, inputs = pair(4, tmp_path)
    seen = paths.outcomes(reference, paths.paths(reference), lambda m: m(**inputs))
    names = [name for name, out in seen.items() if not isinstance(out, dict)]  # torch: from tensors and tuples alone
    want, found = (
        paths.backward(m.train(), names, lambda m: m(**inputs, return_loss=True).loss) for m in (reference, mine)
    )
    assert want <= found


CONFIGS = {
    "text": {
        "vocab_size": 50,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
    },
    "vision": {
        "width_coefficient": 0.5,
        "depth_coefficient": 1.0,
        "in_channels": [32, 16],
        "out_channels": [16, 24],
        "kernel_sizes": [3, 5],
        "strides": [1, 2],
        "num_block_repeats": [1, 2],
        "expand_ratios": [1, 2],
    },
}
BLOCK = {"in_dim": 8, "out_dim": 8, "stride": 1, "expand_ratio": 2, "kernel_size": 3, "drop_rate": 0.0}
WIDE, CHANNELS, STATES = torch.randn(2, 16, 8, 8), torch.randn(2, 8, 8, 8), torch.randn(2, 5, 16)
PARTS = [
    ("AlignTextEmbeddings", "text", {}, (torch.arange(10).view(2, 5),)),
    ("AlignTextEncoder", "text", {}, (STATES,)),
    ("AlignTextLayer", "text", {}, (STATES,)),
    ("AlignTextAttention", "text", {}, (STATES,)),
    ("AlignTextSelfAttention", "text", {}, (STATES,)),
    ("AlignTextIntermediate", "text", {}, (STATES,)),
    ("AlignTextSelfOutput", "text", {}, (STATES, STATES)),
    ("AlignTextOutput", "text", {}, (torch.randn(2, 5, 24), STATES)),
    ("AlignTextPooler", "text", {}, (STATES,)),
    ("AlignVisionEmbeddings", "vision", {}, (torch.randn(2, 3, 17, 16),)),
    ("AlignVisionEncoder", "vision", {}, (torch.randn(2, 16, 9, 9),)),
    ("AlignVisionBlock", "vision", BLOCK | {"id_skip": False, "adjust_padding": True}, (CHANNELS,)),
    ("AlignVisionBlock", "vision", BLOCK | {"stride": 2, "id_skip": True, "adjust_padding": False}, (CHANNELS,)),
    ("AlignVisionExpansionLayer", "vision", {"in_dim": 8, "out_dim": 16, "stride": 1}, (CHANNELS,)),
    (
        "AlignVisionDepthwiseLayer",
        "vision",
        {"in_dim": 8, "stride": 2, "kernel_size": 3, "adjust_padding": True},
        (CHANNELS,),
    ),
    ("AlignVisionSqueezeExciteLayer", "vision", {"in_dim": 8, "expand_dim": 16, "expand": True}, (WIDE,)),
    (
        "AlignVisionFinalBlockLayer",
        "vision",
        {"in_dim": 16, "out_dim": 8, "stride": 1, "drop_rate": 0.0, "id_skip": False},
        (CHANNELS, WIDE),
    ),
]


@pytest.mark.parametrize(("name", "kind", "options", "inputs"), PARTS)
def test_a_part_made_alone_computes_the_same(name, kind, options, inputs):
    config = f"Align{kind.capitalize()}Config"
    reference = getattr(theirs, name)(getattr(transformers, config)(**CONFIGS[kind]), **options)
    mine = getattr(ours, name)(getattr(sightline, config)(**CONFIGS[kind]), **options)
    randomise(reference, 5).eval()
    paths.copy_parameters(mine, reference)
    call = [paths.outcomes(m.eval(), [""], lambda m: m(*inputs))[""] for m in (mine, reference)]
    if isinstance(call[1], tuple) and call[1][1:] == (None,):
        call = [call[0][:1], call[1][:1]]
    paths.alike(*call)


def test_members_of_the_documents_classes():
    text, vision = sightline.AlignTextConfig(**CONFIGS["text"]), sightline.AlignVisionConfig(**CONFIGS["vision"])
    layer = sightline.AlignTextLayer(text)
    assert (layer.chunk_size_feed_forward, layer.seq_len_dim) == (0, 1)
    assert isinstance(layer, BertLayer)
    assert sightline.AlignTextIntermediate is BertIntermediate
    encoder = sightline.AlignTextEncoder(text)
    assert encoder.config is text
    assert len(encoder.layer) == 2
    assert encoder.gradient_checkpointing is False
    out = encoder(STATES, None, True, True)
    assert len(out.hidden_states) == 3
    assert [tuple(weights.shape) for weights in out.attentions] == [(2, 2, 5, 5)] * 2
    assert torch.equal(encoder.eval()(STATES, return_dict=False)[0], encoder(STATES)[0])
    tower = sightline.AlignVisionEncoder(vision)
    assert tower.depth_coefficient == 1.0
    assert [block.expand for block in tower.blocks] == [False, True, True]
    assert [block.expand_ratio for block in tower.blocks] == [1, 2, 2]
    out = tower(torch.randn(2, 16, 9, 9), output_hidden_states=True)
    assert len(out.hidden_states) == 4
    conv = sightline.AlignVisionDepthwiseConv2d(6, depth_multiplier=2, kernel_size=5, stride=2)
    assert (conv.in_channels, conv.depth_multiplier, conv.kernel_size, conv.stride) == (6, 2, (5, 5), (2, 2))
    assert conv(torch.randn(1, 6, 9, 9)).shape == (1, 12, 3, 3)


def test_all_of_the_reference_s_modules_have_their_names_here():
    named = {name for name, found in vars(theirs).items() if isinstance(found, type) and name.startswith("Align")}
    here = named - {"AlignTextModelOutput", "AlignVisionModelOutput"} - set(dir(transformers)) | {"AlignModel"}
    assert here <= set(ours.__all__)


def test_padding_and_additive_masks_are_one(tmp_path):
    """The reference hands its layers a mask of numbers; ours reads both kinds."""
    text = sightline.AlignTextConfig(**CONFIGS["text"])
    encoder = sightline.AlignTextEncoder(text).eval()
    seen = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])[:, None, None].bool()
    added = torch.zeros(2, 1, 1, 5).masked_fill(~seen, torch.finfo(torch.float32).min)
    with torch.no_grad():
        a, b = encoder(STATES, seen), encoder(STATES, added)
    torch.testing.assert_close(a.last_hidden_state[0, :3], b.last_hidden_state[0, :3])
