"""Adapters of `peft` on the reference's models and on ours: the same targets, files, numbers and steps of training."""

import copy
import json
import pickle
import warnings

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import nn

import sightline
from sightline.errors import CheckpointError, UsageError
from sightline.train import Lora
from sightline.train.lora import attach, save_adapter
from support import twins

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import peft

pytestmark = [  # peft's own, for the reference's models too
    pytest.mark.filterwarnings(f"ignore:{text}")
    for text in ("`is_gradient_checkpointing`:FutureWarning", "Already found a `peft_config`", "Unsupported layer type")
]

LAYERS = r"vision_model\.encoder\.layers\..*\.self_attn\.(q|v)_proj"
CASES = {
    "q and v": ("CLIPModel", {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["visual_projection"]}),
    "all-linear": ("CLIPModel", {"target_modules": "all-linear"}),
    "regular expression": ("CLIPModel", {"target_modules": LAYERS}),
    "layers": ("CLIPModel", {"target_modules": ["out_proj", "fc1", "fc2"], "layers_to_transform": [1]}),
    "pattern of layers": (
        "CLIPModel",
        {"target_modules": ["k_proj"], "layers_to_transform": [0], "layers_pattern": "layers"},
    ),
    "exclusion": ("CLIPModel", {"target_modules": ["k_proj"], "exclude_modules": r"text_model\.encoder.*"}),
    "ranks": (
        "CLIPModel",
        {"target_modules": ["k_proj", "fc1"], "rank_pattern": {"vision_model.encoder.layers.0.mlp.fc1": 5}},
    ),
    "DoRA": ("CLIPModel", {"target_modules": ["q_proj", "out_proj"], "use_dora": True}),
    "a whole part": ("CLIPModel", {"target_modules": ["q_proj"], "modules_to_save": ["v_proj"]}),
    "norms": ("CLIPModel", {"target_modules": ["q_proj"], "modules_to_save": ["layer_norm1"]}),
    "vision tower": ("CLIPVisionModel", {"target_modules": ["q_proj"]}),
    "text tower": ("CLIPTextModelWithProjection", {"target_modules": "all-linear"}),
    "ALIGN's text tower": ("AlignTextModel", {"target_modules": ["query", "value", "dense"]}),
    "ALIGN": ("AlignModel", {"target_modules": ["query", "value", "convolution"]}),
    "GroupViT": ("GroupViTModel", {"target_modules": "all-linear"}),
    "X-CLIP": ("XCLIPModel", {"target_modules": "all-linear"}),
    "X-CLIP's text tower": ("XCLIPTextModel", {"target_modules": ["q_proj", "fc1"]}),
    "dual encoder": ("VisionTextDualEncoderModel", {"target_modules": ["q_proj", "query", "dense"]}),
}
MIXED = {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["visual_projection"]}


def adapted(name, **settings):
    """Our model and the reference's, with the same adapter, all its numbers at random."""
    pair = [peft.get_peft_model(model, peft.LoraConfig(r=3, **settings)) for model in twins.twins(name)]
    generator = torch.Generator().manual_seed(1)
    state = peft.get_peft_model_state_dict(pair[1])
    state = {
        key: 0.2 * torch.randn(x.shape, generator=generator) if "lora_A" in key or "lora_B" in key else x
        for key, x in state.items()
    }
    for model in pair:
        assert not peft.set_peft_model_state_dict(model, state).unexpected_keys
        model.eval()
    return pair


def outcome(model, name):
    with torch.no_grad():
        return main(model(**twins.inputs(name)))


def main(found):
    keys = ("logits_per_video", "logits_per_image", "text_embeds", "last_hidden_state")
    return next(found[key] for key in keys if found.get(key) is not None)


def close(mine, theirs):
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", twins.ALL)
def test_linear_maps_are_listed_by_the_reference_s_paths(name):
    ours, theirs = twins.twins(name)
    linear = [
        {path for path, module in model.named_modules() if isinstance(module, nn.Linear)} for model in (ours, theirs)
    ]
    if name in ("GroupViTTextModel", "GroupViTVisionModel"):  # there the tower's parts are in a module of their own
        linear[1] = {path.partition(".")[2] for path in linear[1]}
    assert linear[0] == linear[1]
    parameters = dict(ours.named_parameters())
    state = ours.state_dict()
    assert list(parameters) == [key for key in state if key in parameters]
    around = nn.ModuleDict({"model": ours})
    assert dict(around.named_parameters()).keys() == {f"model.{key}" for key in parameters}
    assert around.state_dict().keys() == {f"model.{key}" for key in state}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.system
def test_an_adapter_is_the_same_on_both(case, tmp_path):
    name, settings = CASES[case]
    ours, theirs = adapted(name, **settings)
    assert ours.get_nb_trainable_parameters() == theirs.get_nb_trainable_parameters()
    before = outcome(twins.twins(name)[0], name)
    wanted = outcome(theirs, name)
    assert (wanted - before).abs().max() > 0.01
    close(outcome(ours, name), wanted)

    for model, folder in ((ours, "ours"), (theirs, "theirs")):
        model.save_pretrained(tmp_path / folder)
    mine, other = (load_file(tmp_path / folder / "adapter_model.safetensors") for folder in ("ours", "theirs"))
    assert mine.keys() == other.keys()
    assert all(torch.equal(mine[key], tensor) for key, tensor in other.items())
    for folder in ("ours", "theirs"):
        for model in twins.twins(name):
            close(outcome(peft.PeftModel.from_pretrained(model, tmp_path / folder).eval(), name), wanted)

    close(outcome(copy.deepcopy(ours), name), wanted)
    close(outcome(pickle.loads(pickle.dumps(ours)), name), wanted)
    with ours.disable_adapter():
        close(outcome(ours, name), before)
    plain = ours.merge_and_unload()
    assert type(plain) is getattr(sightline, name)
    close(outcome(plain, name), wanted)
    if "modules_to_save" not in settings:
        assert plain.state_dict().keys() == twins.twins(name)[0].state_dict().keys()
        plain.save_pretrained(tmp_path / "merged")
        close(outcome(type(twins.twins(name)[1]).from_pretrained(tmp_path / "merged"), name), wanted)


@pytest.mark.system
def test_embeddings_and_scores_have_the_adapter_too():
    """What computes from weights where it can calls the adapted parts."""
    for name in twins.WHOLE:
        settings = {"target_modules": ["q_proj", "v_proj", "out_proj", "fc1", "query", "value", "dense"]}
        ours, theirs = (model.get_base_model() for model in adapted(name, **settings))
        given = twins.inputs(name)
        texts = {key: given[key] for key in ("input_ids", "attention_mask")}
        with torch.no_grad():
            found = ours.get_text_features(**texts), theirs.get_text_features(**texts)
            close(*(x if isinstance(x, torch.Tensor) else x.pooler_output for x in found))
            match = ours.match(ours.encode(given["pixel_values"], given["input_ids"], given["attention_mask"]))
            close(main(match.__dict__), main(theirs(**given)))


@pytest.mark.parametrize("name", ["CLIPModel", "AlignModel", "GroupViTModel", "XCLIPModel"])
@pytest.mark.system
def test_training_takes_the_same_steps(name):
    pair = adapted(name, target_modules=["q_proj", "v_proj", "query", "value"], modules_to_save=["text_projection"])
    losses, states = [], []
    for model in pair:
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.SGD(trained, 0.05)
        mine = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(**twins.inputs(name), return_loss=True).loss
            loss.backward()
            optimizer.step()
            mine.append(loss.detach())
        losses.append(torch.stack(mine))
        states.append(peft.get_peft_model_state_dict(model))
    close(*losses)
    for key, tensor in states[1].items():
        torch.testing.assert_close(states[0][key], tensor, rtol=1e-4, atol=1e-5)
    frozen, after = twins.twins(name)[0].state_dict(), pair[0].get_base_model().state_dict()
    assert all(torch.equal(after[key], tensor) for key, tensor in frozen.items() if key in after)


def test_the_trainer_decays_the_same_weights():
    given = {"target_modules": ["q_proj", "fc1"], "modules_to_save": ["visual_projection"]}
    ours, theirs = (
        {name for name, p in model.named_parameters() if p.requires_grad and name in decayed}
        for model in adapted("CLIPModel", **given)
        for decayed in [transformers.Trainer.get_decay_parameter_names(None, model)]
    )
    assert ours == theirs
    assert any("q_proj.lora_A" in name for name in ours)


@pytest.mark.system
def test_a_model_s_own_methods_are_the_reference_s(tmp_path):
    results = []
    for model in twins.twins("CLIPModel"):
        notes, kind = [outcome(model, "CLIPModel")], type(model)
        with pytest.raises(ValueError, match=r"(?i)adapter"):
            model.active_adapters()
        torch.manual_seed(0)
        model.add_adapter(peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
        notes.append(outcome(model, "CLIPModel"))
        model.add_adapter(peft.LoraConfig(r=2, target_modules=["fc1"], init_lora_weights=False), "second")
        notes += [model.active_adapters(), outcome(model, "CLIPModel")]
        notes.append(sorted(name for name, p in model.named_parameters() if p.requires_grad))
        model.set_adapter("default")
        notes += [model.active_adapters(), sorted(model.get_adapter_state_dict()), outcome(model, "CLIPModel")]
        model.disable_adapters()
        notes.append(outcome(model, "CLIPModel"))
        model.enable_adapters()
        folder = tmp_path / kind.__module__.partition(".")[0]
        model.save_pretrained(folder)
        notes += [sorted(path.name for path in folder.iterdir()), outcome(model, "CLIPModel")]
        model.delete_adapter("second")
        with pytest.raises(ValueError, match="second"):
            model.set_adapter("second")
        again = kind.from_pretrained(folder)
        notes += [again.active_adapters(), outcome(again, "CLIPModel")]
        notes.append([name for name, p in again.named_parameters() if p.requires_grad and "lora" in name])
        further = kind.from_pretrained(twins.folder("CLIPModel"))
        further.load_adapter(str(folder), is_trainable=True)
        notes.append(sorted(name for name, p in further.named_parameters() if p.requires_grad and "lora" in name))
        with pytest.raises(ValueError, match="default"):
            further.load_adapter(str(folder))
        results.append(notes)
    for mine, theirs in zip(*results, strict=True):
        twins.same(mine, theirs)


def test_after_the_last_adapter_the_model_is_as_it_was():
    model = twins.twins("CLIPModel")[0]
    before, keys = outcome(model, "CLIPModel"), list(model.state_dict())
    model.add_adapter(peft.LoraConfig(r=2, init_lora_weights=False, **MIXED))
    assert not torch.equal(outcome(model, "CLIPModel"), before)
    model.delete_adapter("default")
    assert torch.equal(outcome(model, "CLIPModel"), before)
    assert list(model.state_dict()) == keys
    assert not model.has_adapters


def test_an_adapter_that_does_not_fit_leaves_the_model_as_it_was(tmp_path):
    model = twins.twins("CLIPModel")[0]
    keys = list(model.state_dict())
    with pytest.raises(CheckpointError, match="no adapter that can be opened"):
        model.load_adapter(tmp_path)
    config = peft.LoraConfig(r=2, target_modules=["q_proj"])
    path = "base_model.model.vision_model.encoder.layers.0.self_attn.q_proj.lora_A.weight"
    with pytest.raises(CheckpointError, match="does not fit a CLIPModel"):
        model.load_adapter(peft_config=config, adapter_state_dict={path: torch.zeros(3, 16)})
    with pytest.raises(CheckpointError, match=r"no place for other\.lora_A"):
        model.load_adapter(peft_config=config, adapter_state_dict={"other.lora_A.weight": torch.zeros(2, 16)})
    assert list(model.state_dict()) == keys
    with pytest.raises(UsageError, match="delete_adapter, then load_adapter"):
        model.load_adapter(tmp_path, hotswap=True)
    with pytest.raises(UsageError, match=r"a config such as peft\.LoraConfig"):
        model.add_adapter({"r": 2})
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    with pytest.raises(CheckpointError, match="names no model"):
        sightline.CLIPModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "kind", [peft.IA3Config, peft.LoHaConfig, peft.OFTConfig, peft.VeraConfig, peft.LNTuningConfig]
)
def test_other_tuners_do_what_they_do_on_the_reference(kind):
    settings = {"target_modules": ["k_proj", "v_proj", "fc2"]}
    if kind is peft.IA3Config:
        settings["feedforward_modules"] = ["fc2"]
    if kind is peft.LNTuningConfig:
        settings = {"target_modules": ["layer_norm1"]}
    if kind is peft.VeraConfig:  # wants parts of one shape
        settings = {"target_modules": ["k_proj", "v_proj"]}
    if kind is peft.OFTConfig:
        settings |= {"oft_block_size": 4}
    ours, theirs = (peft.get_peft_model(model, kind(**settings)) for model in twins.twins("CLIPModel"))
    generator = torch.Generator().manual_seed(2)
    state = {
        key: x + 0.1 * torch.randn(x.shape, generator=generator) if x.is_floating_point() else x
        for key, x in peft.get_peft_model_state_dict(theirs).items()
    }
    for model in (ours, theirs):
        peft.set_peft_model_state_dict(model, state)
        model.eval()
    wanted = outcome(theirs, "CLIPModel")
    close(outcome(ours, "CLIPModel"), wanted)
    close(outcome(ours.merge_and_unload(), "CLIPModel"), wanted)


def test_an_adapter_of_our_own_training_goes_on(tmp_path):
    """Unmerged, by either library, on either model."""
    model, reference = twins.twins("CLIPModel")
    torch.manual_seed(0)
    lora = Lora(rank=2, also=("text_projection",))
    attach(model, lora)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad and p.ndim == 2:
                p += 0.1 * torch.randn(p.shape, generator=generator)
    wanted = outcome(model.eval(), "CLIPModel")
    save_adapter(model, lora, tmp_path)
    close(outcome(peft.PeftModel.from_pretrained(reference, tmp_path).eval(), "CLIPModel"), wanted)
    ours = twins.twins("CLIPModel")[0]
    ours.load_adapter(tmp_path, is_trainable=True)
    close(outcome(ours, "CLIPModel"), wanted)
    trained = [p for p in ours.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, 0.001)
    first = ours(**twins.inputs("CLIPModel"), return_loss=True).loss
    first.backward()
    optimizer.step()
    assert ours(**twins.inputs("CLIPModel"), return_loss=True).loss < first
    ours.save_pretrained(tmp_path / "further")
    reopened = peft.PeftModel.from_pretrained(twins.twins("CLIPModel")[1], tmp_path / "further").eval()
    close(outcome(reopened, "CLIPModel"), outcome(ours, "CLIPModel"))


@pytest.mark.parametrize("move", ["half", "to", "meta"])
def test_a_model_with_an_adapter_moves_whole(move):
    ours, theirs = adapted("CLIPModel", target_modules=["q_proj"])
    moved = {"half": lambda: ours.half(), "to": lambda: ours.to(torch.float64), "meta": lambda: ours.to("meta")}[move]()
    wanted = {"half": torch.float16, "to": torch.float64, "meta": torch.float32}[move]
    assert {p.dtype for p in moved.parameters()} == {wanted}
    assert {p.is_meta for p in moved.parameters()} == {move == "meta"}
    if move == "to":
        given = {key: x.double() if x.is_floating_point() else x for key, x in twins.inputs("CLIPModel").items()}
        close(
            moved(**given).logits_per_image.float(),
            outcome(theirs, "CLIPModel"),
        )


@pytest.mark.system
def test_an_adapted_model_is_exported():
    ours, _ = adapted("CLIPVisionModel", target_modules=["q_proj", "v_proj"])
    pixels = twins.inputs("CLIPVisionModel")["pixel_values"]
    model = ours.get_base_model()
    exported = torch.export.export(model, (pixels,), strict=False).module()
    with torch.no_grad():
        close(main(exported(pixels)), main(model(pixels)))
