"""The parts of pairs of towers, BERT's and RoBERTa's, by the reference's paths and names: the same numbers, hooks that
run, parts made alone."""

import importlib

import pytest
import torch
import transformers
from torch import nn

import sightline
from sightline.errors import UsageError
from support import paths, twins
from support.configs.dual import random_config, random_inputs
from support.weights import randomise

SEEDS = 0, 2, 4  # BERT, RoBERTa, CLIP's text tower


def pair(seed, folder):
    """The reference's model and ours with its numbers, and inputs."""
    config = random_config(seed)
    reference = randomise(transformers.VisionTextDualEncoderModel(config), seed).eval()
    reference.save_pretrained(folder)
    mine = sightline.VisionTextDualEncoderModel.from_pretrained(folder)
    inputs = random_inputs(config, seed)
    return mine, reference, {name: inputs[name] for name in ("input_ids", "attention_mask", "pixel_values")}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_path_leads_to_the_same_numbers(seed, tmp_path):
    mine, reference, _ = pair(seed, tmp_path)
    paths.same_parameters(mine, reference)
    for name, _ in reference.named_modules():
        assert isinstance(mine.get_submodule(name), nn.Module), name


@pytest.mark.parametrize("seed", SEEDS)
def test_hooks_see_what_they_see_in_the_reference(seed, tmp_path):
    mine, reference, inputs = pair(seed, tmp_path)
    names, pixels = paths.paths(reference), inputs.pop("pixel_values")
    calls = [
        lambda m: m(**inputs, pixel_values=pixels),
        lambda m: m.get_text_features(**inputs),
        lambda m: m.get_image_features(pixels),
    ]
    for call in calls:
        paths.compare_outcomes(*(paths.outcomes(m, names, call) for m in (mine, reference)))


@pytest.mark.parametrize("seed", SEEDS[:2])
@pytest.mark.system
def test_a_hook_on_any_part_changes_what_comes_after_it(seed, tmp_path):
    mine, reference, inputs = pair(seed, tmp_path)
    fast = [inputs[key] for key in ("pixel_values", "input_ids", "attention_mask")]
    for name in paths.outcomes(reference, paths.paths(reference), lambda m: m(**inputs)):
        want = paths.halved(reference, name, lambda m: m(**inputs).logits_per_image)
        for call in (lambda m: m(**inputs).logits_per_image, lambda m: m.match(m.encode(*fast)).logits_per_image):
            paths.alike(paths.halved(mine, name, call), want)


@pytest.mark.parametrize(
    "name",
    [
        "text_model.encoder.layer.0.attention.self.key",
        "text_model.encoder.layer.0.output.dense",
        "text_model.pooler.dense",
        "vision_model.encoder.layers.0.self_attn.q_proj",
    ],
)
def test_a_map_that_is_assigned_computes_from_then_on(name, tmp_path):
    mine, reference, inputs = pair(2, tmp_path)
    want = paths.replaced(reference, name, lambda m: m(**inputs).logits_per_image)
    paths.alike(paths.replaced(mine, name, lambda m: m(**inputs).logits_per_image), want)
    fast = [inputs[key] for key in ("pixel_values", "input_ids", "attention_mask")]
    with torch.no_grad():
        paths.alike(mine.match(mine.encode(*fast)).logits_per_image, reference(**inputs).logits_per_image)


TEXT = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
STATES = torch.randn(2, 5, 16)
PARTS = {
    "Embeddings": (torch.tensor([[3, 4, 5, 1, 1], [5, 6, 7, 8, 9]]),),
    "Encoder": (STATES,),
    "Layer": (STATES,),
    "Attention": (STATES,),
    "SelfAttention": (STATES,),
    "SelfOutput": (STATES, STATES),
    "Intermediate": (STATES,),
    "Output": (torch.randn(2, 5, 24), STATES),
    "Pooler": (STATES,),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("kind", ["Bert", "Roberta"])
def test_a_part_made_alone_computes_the_same(kind, part):
    theirs, ours = (
        importlib.import_module(f"{package}.models.{kind.lower()}.modeling_{kind.lower()}")
        for package in ("transformers", "sightline")
    )
    config = getattr(transformers, f"{kind}Config")(**TEXT, attn_implementation="sdpa")
    reference = getattr(theirs, f"{kind}{part}")(config)
    mine = getattr(ours, f"{kind}{part}")(getattr(sightline, f"{kind}Config")(**TEXT))
    randomise(reference, 5).eval()
    paths.copy_parameters(mine, reference)
    mine, want = (paths.outcomes(m.eval(), [""], lambda m: m(*PARTS[part]))[""] for m in (mine, reference))
    paths.alike(mine, want)


def test_attention_s_dropout_is_obeyed():
    """Scripts switch it by the module's fraction."""
    attention = sightline.BertModel(sightline.BertConfig(**TEXT)).encoder.layer[0].attention.self.train()
    assert attention.dropout.p == attention.attention_dropout == 0.1
    attention.dropout.p = 0.0
    with torch.no_grad():
        first, again = attention(STATES)[0], attention(STATES)[0]
        assert torch.equal(first, again)
        attention.dropout.p = 0.5
        assert not torch.equal(first, attention(STATES)[0])


def test_embeddings_take_vectors_in_place_of_words():
    for model in (sightline.BertModel, sightline.RobertaModel):
        tables = model(model.config_class(**TEXT)).eval().embeddings
        words = torch.tensor([[3, 4, 5, 6]])
        vectors = tables.word_embeddings(words)
        assert torch.equal(tables(inputs_embeds=vectors), tables(words))
        assert tables.position_ids.shape == tables.token_type_ids.shape == (1, 512)


def test_options_for_one_tower():
    names = twins.folder("CLIPModel"), twins.folder("RobertaModel")
    given = twins.inputs("VisionTextDualEncoderModel")
    found = []
    for library in (sightline, transformers):
        vision = library.CLIPVisionModel.from_pretrained(names[0])
        library.set_seed(0)
        pair = library.VisionTextDualEncoderModel.from_vision_text_pretrained(
            None, names[1], vision_model=vision, text_attn_implementation="eager", projection_dim=8
        ).eval()
        assert pair.vision_model is vision
        assert pair.text_model.config._attn_implementation == "eager"
        found.append(pair(**given).logits_per_image)
    torch.testing.assert_close(*found)
    with pytest.raises(UsageError, match="no text_model_name_or_path"):
        sightline.VisionTextDualEncoderModel.from_vision_text_pretrained(names[0])
