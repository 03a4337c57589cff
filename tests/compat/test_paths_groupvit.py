"""GroupViT's parts by the reference's paths and names: the same numbers, hooks that run, parts made alone."""

import pytest
import torch
import transformers
from torch import nn
from transformers.models.groupvit import modeling_groupvit as theirs

import sightline
from sightline.models.groupvit import modeling_groupvit as ours
from support import paths
from support.configs.groupvit import inputs_of, random_config
from support.weights import randomise

SEEDS = 3, 4, 10  # no groups; two stages that group; three


def pair(seed, folder):
    """The reference's model and ours with its numbers, and inputs."""
    config = random_config(seed)
    reference = randomise(transformers.GroupViTModel(config), seed).eval()
    reference.save_pretrained(folder)
    mine = sightline.GroupViTModel.from_pretrained(folder)
    return mine, reference, inputs_of(config, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_path_leads_to_the_same_numbers(seed, tmp_path):
    mine, reference, _ = pair(seed, tmp_path)
    paths.same_parameters(mine, reference)
    for name, _ in reference.named_modules():
        assert isinstance(mine.get_submodule(name), nn.Module), name


@pytest.mark.parametrize("kind", ["Text", "Vision"])
def test_a_tower_holds_itself_as_in_the_reference(kind, tmp_path):
    config = getattr(random_config(10), f"{kind.lower()}_config")
    reference = randomise(getattr(transformers, f"GroupViT{kind}Model")(config), 2).eval()
    reference.save_pretrained(tmp_path)
    mine = getattr(sightline, f"GroupViT{kind}Model").from_pretrained(tmp_path)
    paths.same_parameters(mine, reference)
    for name, _ in reference.named_modules():
        assert isinstance(mine.get_submodule(name), nn.Module), name


@pytest.mark.parametrize("seed", SEEDS)
def test_hooks_see_what_they_see_in_the_reference(seed, tmp_path):
    mine, reference, inputs = pair(seed, tmp_path)
    names = paths.paths(reference)
    pixels = inputs.pop("pixel_values")
    calls = [
        lambda m: m(**inputs, pixel_values=pixels),
        lambda m: m.get_text_features(**inputs),
        lambda m: m.get_image_features(pixels),
    ]
    for call in calls:
        paths.compare_outcomes(*(paths.outcomes(m, names, call) for m in (mine, reference)))


@pytest.mark.system
def test_a_hook_on_any_part_changes_what_comes_after_it(tmp_path):
    mine, reference, inputs = pair(10, tmp_path)
    fast = [inputs[key] for key in ("pixel_values", "input_ids", "attention_mask")]
    for name in paths.outcomes(reference, paths.paths(reference), lambda m: m(**inputs)):
        want = paths.halved(reference, name, lambda m: m(**inputs).logits_per_image)
        for call in (lambda m: m(**inputs).logits_per_image, lambda m: m.match(m.encode(*fast)).logits_per_image):
            paths.alike(paths.halved(mine, name, call), want)


@pytest.mark.parametrize(
    "name",
    [
        "vision_model.encoder.stages.0.layers.0.self_attn.k_proj",
        "vision_model.encoder.stages.0.downsample.assign.k_proj",
        "vision_model.encoder.stages.0.downsample.assign.v_proj",
        "vision_model.encoder.stages.1.downsample.pre_assign_attn.attn.q_proj",
        "vision_model.encoder.stages.1.downsample.pre_assign_attn.attn.v_proj",
        "vision_model.encoder.stages.1.group_projector.1.fc2",
        "text_model.encoder.layers.0.mlp.fc1",
    ],
)
def test_a_map_that_is_assigned_computes_from_then_on(name, tmp_path):
    mine, reference, inputs = pair(10, tmp_path)
    want = paths.replaced(reference, name, lambda m: m(**inputs).logits_per_image)
    paths.alike(paths.replaced(mine, name, lambda m: m(**inputs).logits_per_image), want)
    fast = [inputs[key] for key in ("pixel_values", "input_ids", "attention_mask")]
    with torch.no_grad():
        paths.alike(mine.match(mine.encode(*fast)).logits_per_image, reference(**inputs).logits_per_image)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")  # where no input has a gradient
def test_backward_hooks_run(tmp_path):
    mine, reference, inputs = pair(10, tmp_path)
    seen = paths.outcomes(reference, paths.paths(reference), lambda m: m(**inputs))
    # Torch: from tensors and tuples alone, and from nothing that is changed in place afterwards, as the reference does.
    names = [
        name
        for name, out in seen.items()
        if not isinstance(out, dict) and not name.endswith(("assign", "assign.proj", "projection.1"))
    ]
    want, found = (
        paths.backward(m.train(), names, lambda m: m(**inputs, return_loss=True).loss) for m in (reference, mine)
    )
    assert want <= found


TEXT = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_attention_heads": 2,
    "depths": [1, 2],
    "num_group_tokens": [4, 3],
    "num_output_groups": [4, 3],
    "image_size": 16,
    "patch_size": 4,
}
STAGE = {"depth": 1, "num_prev_group_token": 4, "num_group_token": 3, "num_output_group": 2}
STATES, GROUPS = torch.randn(2, 5, 16), torch.randn(2, 3, 16)
PARTS = [
    ("GroupViTTextEmbeddings", TEXT, {}, (torch.arange(10).view(2, 5),)),
    ("GroupViTTextEncoder", TEXT, {}, (STATES,)),
    ("GroupViTVisionEmbeddings", VISION, {}, (torch.randn(2, 3, 16, 16),)),
    ("GroupViTVisionEncoder", VISION, {}, (torch.randn(2, 16, 16), True, True)),
    ("GroupViTStage", VISION, STAGE, (STATES, torch.randn(2, 4, 16), True)),
    ("GroupViTStage", VISION, STAGE | {"num_prev_group_token": 0}, (STATES,)),
    ("GroupViTStage", VISION, STAGE | {"num_group_token": 0, "num_output_group": 0}, (STATES, None)),
    ("GroupViTTokenAssign", VISION, {"num_group_token": 3, "num_output_group": 2}, (STATES, GROUPS)),
    ("GroupViTAssignAttention", VISION, {}, (GROUPS, STATES)),
    ("GroupViTCrossAttentionLayer", VISION, {}, (GROUPS, STATES)),
    ("GroupViTMixerMLP", VISION, {"hidden_size": 5, "intermediate_size": 7, "output_size": 3}, (STATES,)),
    ("GroupViTMLP", VISION, {}, (STATES,)),
    ("GroupViTAttention", VISION, {}, (STATES,)),
    ("GroupViTEncoderLayer", VISION, {}, (STATES, None)),
]


@pytest.mark.parametrize(("name", "settings", "options", "inputs"), PARTS)
def test_a_part_made_alone_computes_the_same(name, settings, options, inputs):
    config = "GroupViTTextConfig" if settings is TEXT else "GroupViTVisionConfig"
    reference = getattr(theirs, name)(getattr(transformers, config)(**settings), **options)
    mine = getattr(ours, name)(getattr(sightline, config)(**settings), **options)
    randomise(reference, 5).eval()
    paths.copy_parameters(mine, reference)
    mine, want = (paths.outcomes(m.eval(), [""], lambda m: m(*inputs))[""] for m in (mine, reference))
    paths.alike(mine, want)


def test_patches_made_alone_compute_the_same():
    options = {"image_size": 16, "patch_size": 4, "num_channels": 2, "embed_dim": 8}
    reference, mine = theirs.GroupViTPatchEmbeddings(**options), ours.GroupViTPatchEmbeddings(**options)
    paths.copy_parameters(mine, reference)
    assert (mine.image_size, mine.patch_size, mine.num_patches) == ((16, 16), (4, 4), 16)
    pixels = torch.randn(2, 2, 16, 16)
    paths.alike(mine(pixels), reference(pixels))


def test_members_of_the_documents_classes():
    config = sightline.GroupViTVisionConfig(**VISION)
    encoder = sightline.GroupViTVisionEncoder(config)
    assert encoder.config is config
    assert encoder.gradient_checkpointing is False
    encoder.gradient_checkpointing = True
    assert all(stage.gradient_checkpointing for stage in encoder.stages)
    stage = encoder.stages[1]
    assert (stage.depth, stage.num_group_token, len(stage.layers)) == (2, 3, 2)
    assert stage.with_group_token
    assert stage.group_token.shape == (1, 3, 16)
    assert stage.downsample.num_output_group == 3
    assert isinstance(stage.group_projector[1], sightline.GroupViTMixerMLP)
    assert isinstance(stage.downsample.pre_assign_attn, sightline.GroupViTCrossAttentionLayer)
    assign = stage.downsample.assign
    assert assign.scale == 16**-0.5
    assert {
        name: getattr(assign, name).weight.shape for name in ("q_proj", "k_proj", "v_proj", "proj")
    } == dict.fromkeys(("q_proj", "k_proj", "v_proj", "proj"), (16, 16))


def test_shares_of_tokens_by_softmax_or_whole_with_noise_or_without():
    config = sightline.GroupViTVisionConfig(**VISION)
    mine = sightline.GroupViTAssignAttention(config)
    reference = theirs.GroupViTAssignAttention(transformers.GroupViTVisionConfig(**VISION))
    logits = torch.randn(2, 3, 5)
    for hard in (True, False):
        torch.testing.assert_close(
            mine.eval().get_attn(logits, True, hard), reference.eval().get_attn(logits, True, hard)
        )
        torch.testing.assert_close(
            mine.train().get_attn(logits, gumbel=False, hard=hard),
            reference.train().get_attn(logits, gumbel=False, hard=hard),
        )
        noisy = mine.get_attn(logits, hard=hard)
        torch.testing.assert_close(noisy.sum(1), torch.ones(2, 5))
        assert not torch.equal(noisy, mine.get_attn(logits, gumbel=False, hard=hard))


def test_all_of_the_reference_s_modules_have_their_names_here():
    named = {name for name, found in vars(theirs).items() if isinstance(found, type) and name.startswith("GroupViT")}
    assert {name for name in named if not name.endswith("Config")} <= set(ours.__all__)
