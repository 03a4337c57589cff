"""Adapters in every family: what trains and what does not, merged and in peft's files, in a run that is taken up."""

import copy
import json
import re
import warnings

import pytest
import torch
import transformers

from sightline import CLIPModel, VisionTextDualEncoderConfig, VisionTextDualEncoderModel
from sightline.distribution import install
from sightline.errors import UsageError
from sightline.models import FAMILIES
from sightline.train import Lora, train
from sightline.train.lora import attach, merged, save_adapter
from support.models import PACKAGED
from support.runs import recipe, trained
from support.weights import randomise

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import peft

REFERENCE = {"clip": "CLIPModel", "align": "AlignModel", "groupvit": "GroupViTModel", "xclip": "XCLIPModel"}
REFERENCE |= {"vision-text-dual-encoder": "VisionTextDualEncoderModel"}
CLIP = {"q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"}
KINDS = {
    "clip": {"image": CLIP, "text": CLIP},
    "align": {
        "image": {"convolution", "expand_conv", "project_conv", "reduce", "expand"},
        "text": {"query", "key", "value", "dense"},
    },
    "groupvit": {
        "image": CLIP | {"proj"},
        "text": CLIP,
    },
    "xclip": {"image": CLIP | {"message_fc"}, "text": CLIP},
    "vision-text-dual-encoder": {"image": CLIP, "text": {"query", "key", "value", "dense"}},
}


def at_random(family):
    """A small model, every number at random."""
    torch.manual_seed(0)
    if family in PACKAGED:
        model = FAMILIES[family].model.from_pretrained(PACKAGED[family], dtype="float32")
    else:
        tower = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
        vision = tower | {"model_type": "clip_vision_model", "image_size": 16, "patch_size": 8}
        text = tower | {"model_type": "roberta", "vocab_size": 400, "max_position_embeddings": 20}
        model = VisionTextDualEncoderModel(
            VisionTextDualEncoderConfig(vision_config=vision, text_config=text, projection_dim=8)
        )
    return randomise(model, 3)


def inputs(model, n=3):
    config = model.config
    frames = (config.vision_config.num_frames,) if config.model_type == "xclip" else ()
    size = config.vision_config.image_size
    pixels, ids = torch.randn(n, *frames, 3, size, size), torch.randint(5, 300, (n, 9))
    if isinstance(end := config.text_config.eos_token_id, int):
        ids[:, -1] = end
    return pixels, ids, torch.ones_like(ids)


def logits(model, given):
    return model.match(model.encode(*given)).logits_per_image


@pytest.mark.parametrize("towers", [("image", "text"), ("image",), ("text",)], ids="+".join)
@pytest.mark.parametrize("family", KINDS)
@pytest.mark.system
def test_every_target_trains_and_the_frozen_rest_does_not_move(family, towers):
    model = at_random(family).double().train()
    model.scale_parameter.requires_grad_(False)
    pixels, *texts = inputs(model)
    given = (pixels.double(), *texts)
    with torch.no_grad():
        before = logits(copy.deepcopy(model).eval(), given)
    attach(model, Lora(rank=2, towers=towers))
    with torch.no_grad():  # adapters begin as nothing
        torch.testing.assert_close(logits(copy.deepcopy(model).eval(), given), before)
    start = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 0.01)
    for _ in range(2):  # in the first step A has no gradient, as B is nothing
        optimizer.zero_grad()
        model.loss(model.match(model.encode(*given))).backward()
        optimizer.step()
    kinds = {tower: set() for tower in towers}
    for name, tensor in model.state_dict().items():  # batch norms' statistics among them
        if ".lora_" in name:
            # Before the first block all frames have the same class token: whom a message looks at changes nothing.
            moves = not re.search(r"layers\.0\.message_attn\.[qk]_proj\.lora_A", name)
            assert torch.equal(tensor, start[name]) != moves, name
            (tower,) = (tower for tower in towers if name.startswith(model.towers[tower]))
            kinds[tower].add(name.split(".lora_")[0].rpartition(".")[2])
        else:
            assert torch.equal(tensor, start[name]), name
    assert kinds == {tower: KINDS[family][tower] for tower in towers}


@pytest.mark.system
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks the reference
@pytest.mark.parametrize("family", KINDS)
def test_merged_and_in_peft_s_files_it_is_the_adapted_model(family, tmp_path):
    lora = Lora(rank=2, alpha=3.0, also=() if family == "align" else ("text_projection",))
    model = at_random(family)
    model.scale_parameter.requires_grad_(False)
    plain = copy.deepcopy(model)
    attach(model, lora)
    given = inputs(model)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if tensor.requires_grad and ".lora_A" not in name:
                tensor += 0.1 * torch.randn_like(tensor)
    model.eval()
    with torch.no_grad():
        wanted = logits(model, given)
        whole = merged(model)
        torch.testing.assert_close(logits(whole, given), wanted, rtol=1e-4, atol=1e-4)
        assert (logits(plain.eval(), given) - wanted).abs().max() > 0.1 * wanted.std()
        # Exactly, but for rounding.
        wide = copy.deepcopy(model).double()
        given64 = (given[0].double(), *given[1:])
        torch.testing.assert_close(logits(merged(wide), given64), logits(wide, given64), rtol=1e-9, atol=1e-9)

    # The reference with our adapter's files, through peft, is the reference with our merged checkpoint.
    save_adapter(model, lora, tmp_path / "adapter")
    plain.save_pretrained(tmp_path / "plain")
    whole.save_pretrained(tmp_path / "merged")
    reference = getattr(transformers, REFERENCE[family])
    adapted = peft.PeftModel.from_pretrained(reference.from_pretrained(tmp_path / "plain"), tmp_path / "adapter")
    once = reference.from_pretrained(tmp_path / "merged").eval()
    arguments = dict(zip(("pixel_values", "input_ids", "attention_mask"), given, strict=True))
    with torch.no_grad():
        a, b = adapted.eval()(**arguments), once(**arguments)
    name = "logits_per_video" if family == "xclip" else "logits_per_image"
    torch.testing.assert_close(a[name], b[name], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(b[name], wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.system
def test_a_run_with_adapters_is_taken_up_bit_for_bit_and_saves_both(tmp_path):
    lora = Lora(rank=2, dropout=0.1, towers=("image",), also=("text_projection",))
    whole = trained(tmp_path / "whole", lora=lora, ema_decay=0.9)
    with pytest.raises(InterruptedError):
        train(recipe(lora=lora, ema_decay=0.9, data=Stops), tmp_path / "cut")
    about = json.loads((tmp_path / "cut/run.json").read_text())
    about["settings"]["data"] = {"function": "Numbers"}
    (tmp_path / "cut/run.json").write_text(json.dumps(about))
    again = trained(tmp_path / "cut", lora=lora, ema_decay=0.9)
    assert all(torch.equal(tensor, again[name]) for name, tensor in whole.items())
    last = tmp_path / "cut/last"
    assert {path.name for path in (last / "adapter").iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}
    opened = CLIPModel.from_pretrained(last)
    assert f"CLIPModel, {opened.num_parameters():,} parameters" in (last / "README.md").read_text()
    frozen = opened.text_model.state_dict()
    start = recipe(lora=lora)
    torch.manual_seed(start.seed)
    assert all(torch.equal(tensor, frozen[name]) for name, tensor in start.start()[0].text_model.state_dict().items())


class Stops:
    """Batches that break off in the middle."""

    def __init__(self, recipe, processor, local_rows):
        from support.runs import Numbers

        self.numbers = Numbers(recipe, processor, local_rows)

    def stream(self, start, stop):
        yield from self.numbers.stream(start, 20)
        raise InterruptedError


def test_what_is_not_there_is_named(monkeypatch):
    model = at_random("vision-text-dual-encoder")
    with pytest.raises(UsageError, match="norm1 cannot have an adapter; there is q_proj, k_proj"):
        attach(model, Lora(targets=("norm1",)))
    with pytest.raises(UsageError, match="rank is 1 or more"):
        Lora(rank=0)
    with pytest.raises(UsageError, match="nothing in the text tower is called conv"):
        attach(at_random("align"), Lora(towers=("text",), targets=("convolution",)))
    with pytest.raises(UsageError, match="speech is no tower; there is image, text"):
        attach(model, Lora(towers=("speech",)))
    with pytest.raises(UsageError, match="has no module 'head'"):
        attach(model, Lora(also=("head",)))
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(UsageError, match=re.escape(install("train"))):
        attach(model, Lora())


def test_a_familys_targets_are_those_that_it_has():
    for family, towers in KINDS.items():
        targets = {target.rpartition(".")[2] for target in FAMILIES[family].model.lora_targets}
        assert targets == set().union(*towers.values())
