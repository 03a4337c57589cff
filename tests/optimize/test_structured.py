"""Structured pruning: what is cut, that plain models remain which the reference opens, and what is refused."""

import pytest
import torch
import transformers

from sightline import CLIPConfig, CLIPModel
from sightline.errors import UsageError
from sightline.models import FAMILIES
from sightline.optimize import prune_structured
from sightline.optimize.cut import keep_blocks, keep_heads, keep_units
from sightline.optimize.importance import Importance, inputs_of, vectors
from sightline.optimize.multiplications import multiplications
from sightline.optimize.tower_parts import TowerParts
from support import tiny
from support.models import inputs
from support.weights import randomise

THEIRS = {
    "clip": transformers.CLIPModel,
    "align": transformers.AlignModel,
    "groupvit": transformers.GroupViTModel,
    "xclip": transformers.XCLIPModel,
}
TOWERS = {"clip": ("image", "text"), "align": ("text",), "groupvit": ("image", "text"), "xclip": ("image", "text")}


def model(family="clip", blocks=2):
    config = tiny.config(family, 0.0)
    config.text_config.num_hidden_layers = blocks
    if family == "groupvit":
        config.vision_config.depths = [blocks, 1]
    elif family != "align":
        config.vision_config.num_hidden_layers = blocks
    return randomise(FAMILIES[family].model(config), 3).float().eval()


def calibration(of, n=6):
    pixels, ids, mask = inputs(of, n)
    return {"pixel_values": pixels.float(), "input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_pruned_model_is_plain_and_the_reference_computes_the_same(family, tmp_path):
    whole = model(family, blocks=4)
    before = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
    given = calibration(whole)
    pruned = prune_structured(whole, 0.35, given, towers=TOWERS[family])
    assert all(torch.equal(tensor, before[name]) for name, tensor in whole.state_dict().items())
    for cut in pruned.cuts:
        was, now = cut.multiplications
        assert now <= 0.65 * was
        parts = TowerParts.of(whole, cut.tower)
        tokens = round(given["attention_mask"].sum(1).double().mean().item())
        shape = given["pixel_values"].shape[1:] if cut.tower == "image" else (tokens,)
        assert multiplications(type(whole), whole.config, cut.tower, shape) == was
        assert parts.settings(pruned.model).intermediate_size == cut.units[1]
    pruned.model.save_pretrained(tmp_path)
    again, theirs = type(whole).from_pretrained(tmp_path), THEIRS[family].from_pretrained(tmp_path).eval()
    with torch.no_grad():
        ours = again(**given)
        name = "logits_per_video" if family == "xclip" else "logits_per_image"
        torch.testing.assert_close(getattr(ours, name), getattr(theirs(**given), name), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(getattr(ours, name), getattr(pruned.model(**given), name))


@pytest.mark.parametrize("tower", ["image", "text"])
@pytest.mark.parametrize("family", ["clip", "groupvit", "xclip"])  # a BERT's blocks are normalized after they are added
def test_a_block_that_adds_nothing_can_go(family, tower):
    whole = model(family, blocks=3)
    parts = TowerParts.of(whole, tower)
    stage, _ = parts.stages[0]
    block = whole.get_submodule(f"{stage}.1")
    with torch.no_grad():
        for linear in (block.self_attn.out_proj, block.mlp.fc2):
            linear.weight.zero_()
            linear.bias.zero_()
    given = list(inputs_of(tower, [calibration(whole)]))
    shorter = keep_blocks(whole, parts, [number for number in range(parts.blocks) if number != 1])
    assert TowerParts.of(shorter, tower).blocks == parts.blocks - 1
    torch.testing.assert_close(vectors(shorter, tower, given), vectors(whole, tower, given))
    assert any(cut.tower == tower and 1 in cut.blocks for cut in prune_structured(whole, 0.3, calibration(whole)).cuts)


@pytest.mark.parametrize(("family", "tower"), [(family, tower) for family in TOWERS for tower in TOWERS[family]])
def test_units_that_are_silent_or_unread_can_go(family, tower):
    whole = model(family)
    parts = TowerParts.of(whole, tower)
    with torch.no_grad():
        for first, second in parts.mlps:
            whole.get_submodule(first).weight[::4] = 0
            whole.get_submodule(first).bias[::4] = 0
            whole.get_submodule(second).weight[:, 2::4] = 0
    given = list(inputs_of(tower, [calibration(whole)]))
    importance = Importance.measured(whole, parts, given)
    kept = [torch.arange(1, 32, 2) for _ in parts.mlps]
    narrow = keep_units(whole, parts, kept)
    torch.testing.assert_close(vectors(narrow, tower, given), vectors(whole, tower, given), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(vectors(importance.keep_units(whole, 16), tower, given), vectors(narrow, tower, given))
    (cut,) = prune_structured(whole, 0.1, calibration(whole), towers=[tower]).cuts
    assert cut.units[1] < cut.units[0]
    assert cut.distance < 1e-5


def doubled(small, tower):
    """A CLIP whose tower holds each channel twice, the second unread, and further heads that nothing reads."""
    config = CLIPConfig.from_dict(small.config.to_dict())
    parts = TowerParts.of(small, tower)
    settings = getattr(config, parts.config)
    settings.update({"hidden_size": 2 * settings.hidden_size, "num_attention_heads": 2 * settings.num_attention_heads})
    state = dict(small.state_dict())
    for name, tensor in state.items():
        if ".qkv." in name and name.startswith(parts.stages[0][0]):
            tensor = torch.cat([tensor.unflatten(0, (3, -1)), torch.randn_like(tensor).unflatten(0, (3, -1))], 1)
            tensor = tensor.flatten(0, 1)
        if name in parts.writing:
            tensor = torch.cat([tensor, tensor])
        if name in parts.reading:
            unread = tensor if "embedding" in name else torch.zeros_like(tensor)  # tables are written into the width
            tensor = torch.cat([tensor, unread], 1)
        if name.endswith(".out_proj.weight") and name in parts.writing:
            tensor = torch.cat([tensor, torch.zeros_like(tensor)], 1)
        state[name] = tensor
    whole = CLIPModel(config).eval()
    torch.nn.Module.load_state_dict(whole, state, strict=True)
    return whole


@pytest.mark.parametrize("tower", TOWERS["clip"])
def test_heads_and_channels_that_nothing_reads_can_go(tower):
    small = model()
    whole = doubled(small, tower)
    parts, given = TowerParts.of(whole, tower), list(inputs_of(tower, [calibration(whole)]))
    wanted = vectors(small, tower, given)
    torch.testing.assert_close(vectors(whole, tower, given), wanted, rtol=1e-4, atol=1e-5)
    importance = Importance.measured(whole, parts, given)
    kept = [torch.arange(2) for _ in parts.attentions]
    narrow = keep_heads(whole, parts, kept, torch.arange(16))
    torch.testing.assert_close(vectors(narrow, tower, given), wanted, rtol=1e-4, atol=1e-5)
    assert parts.settings(narrow).hidden_size == 16
    torch.testing.assert_close(vectors(importance.keep_heads(whole, 2), tower, given), wanted, rtol=1e-4, atol=1e-5)
    (cut,) = prune_structured(whole, 0.6, calibration(whole), towers=[tower]).cuts
    assert (cut.heads, cut.width) == ((4, 2), (32, 16))
    assert "2 of 4 heads, width 16" in cut.removed


def test_multiplications_are_those_that_one_counts_by_hand():
    config = model().config
    width, hidden, tokens = 16, 32, 5
    block = tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width
    assert multiplications(CLIPModel, config, "text", (tokens,)) == 2 * block + width * 16
    patches = 4 * 3 * 8 * 8 * width
    assert multiplications(CLIPModel, config, "image", (3, 16, 16)) == 2 * block + patches + width * 16


def test_a_pruned_model_can_be_printed_as_a_table():
    told = str(prune_structured(model(), 0.2, calibration(model()))).splitlines()
    assert told[0].split() == ["tower", "removed", "multiplications", "of", "one", "now", "less"]
    assert [line.split()[0] for line in told[1:]] == ["image", "text"]
    assert all(line.endswith("%") for line in told[1:])


def test_training_mode_is_kept():
    whole = model().train()
    assert prune_structured(whole, 0.2, calibration(whole)).model.training
    assert whole.training


@pytest.mark.parametrize(
    ("amount", "options", "says"),
    [
        (0, {}, "amount is 0: give the share"),
        (1.0, {}, "amount is 1.0"),
        ("0.3", {}, "amount is '0.3'"),
        (
            0.999,
            {},
            "0.999 of the multiplications cannot be removed from the image tower: with one block in a stage, one head",
        ),
        (0.3, {"towers": "image"}, "towers is 'image': give"),
        (0.3, {"towers": ["vision"]}, "towers is ['vision']: give"),
    ],
)
def test_a_wrong_call_is_one_line(amount, options, says):
    with pytest.raises(UsageError) as told:
        prune_structured(model(), amount, calibration(model()), **options)
    assert says in str(told.value)
    assert "\n" not in str(told.value)


def test_what_cannot_be_pruned_is_one_line():
    with pytest.raises(
        UsageError, match=r"no blocks or hidden units .* towers=\['text'\]\) prunes the other tower alone"
    ):
        prune_structured(model("align"), 0.3, calibration(model("align")))
    with pytest.raises(UsageError, match="is no whole model of two towers"):
        prune_structured(model().text_model, 0.3, calibration(model()))
    with pytest.raises(UsageError, match="calibration lacks pixel_values"):
        prune_structured(model(), 0.3, {"input_ids": torch.ones(2, 4, dtype=torch.long)})
