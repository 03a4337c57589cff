"""CLIP beyond parity: other layouts of files, what is refused, training's switches."""

import json
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sightline import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
)
from sightline.checkpoint.rules import write
from sightline.errors import CheckpointError, SightlineError, UsageError
from sightline.models.clip.layouts import OPEN_CLIP_CUSTOM_TEXT, OPENAI
from support.weights import randomise, same_weights

CONFIG = CLIPConfig(
    text_config={
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 9,
        "eos_token_id": 2,
        "pad_token_id": 0,
    },
    vision_config={
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_hidden_layers": 3,
        "num_attention_heads": 1,
        "image_size": 12,
        "patch_size": 4,
    },
    projection_dim=8,
)
OPEN_CLIP_CONFIG = {
    "model_cfg": {
        "embed_dim": 8,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 12, "layers": 3, "width": 64, "patch_size": 4},
        "text_cfg": {"context_length": 9, "vocab_size": 64, "width": 16, "heads": 2, "layers": 2},
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}
IDS = torch.tensor([[5, 9, 63, 0, 0], [7, 8, 9, 10, 63]])
MASK = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])


@pytest.fixture(scope="module")
def model() -> CLIPModel:
    torch.manual_seed(0)
    return randomise(CLIPModel(CONFIG), 0).eval()


@pytest.fixture
def folder(model: CLIPModel, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path)
    return tmp_path


def pixels(seed: int = 0, n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, 12, 12, generator=torch.Generator().manual_seed(seed))


def test_defaults_are_the_reference_s() -> None:
    import transformers

    for ours, reference in (
        (CLIPTextConfig(), transformers.CLIPTextConfig()),
        (CLIPVisionConfig(), transformers.CLIPVisionConfig()),
    ):
        for key, value in ours.to_dict().items():
            assert getattr(reference, key) == value, key
    assert CLIPConfig().projection_dim == transformers.CLIPConfig().projection_dim
    assert CLIPConfig().logit_scale_init_value == transformers.CLIPConfig().logit_scale_init_value


@pytest.mark.parametrize("name", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin", "ViT-B-32.pt"])
@pytest.mark.parametrize("table", [OPENAI, OPEN_CLIP_CUSTOM_TEXT])
def test_openai_and_open_clip_state_dicts(model: CLIPModel, tmp_path: Path, name: str, table) -> None:
    state = write(table, {key: tensor.detach() for key, tensor in model.state_dict().items()})
    prefix = "text." if table is OPEN_CLIP_CUSTOM_TEXT else ""
    # Spelled out, so that a table that is wrong both ways does not pass.
    assert torch.equal(state["visual.proj"], model.visual_projection.weight.T)
    assert torch.equal(state[f"{prefix}text_projection"], model.text_projection.weight.T)
    assert torch.equal(
        state[f"{prefix}transformer.resblocks.1.attn.in_proj_weight"],
        model.text_model.encoder.layers[1].self_attn.qkv.weight,
    )
    if table is OPENAI:
        state |= {
            "input_resolution": torch.tensor(12),
            "context_length": torch.tensor(9),
            "vocab_size": torch.tensor(64),
        }
    path = tmp_path / name
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    (tmp_path / "open_clip_config.json").write_text(json.dumps(OPEN_CLIP_CONFIG))
    opened = CLIPModel.from_pretrained(path if name == "ViT-B-32.pt" else tmp_path)
    assert same_weights(opened, model)
    assert opened.config.settings() == CONFIG.settings()
    assert same_weights(CLIPTextModel.from_pretrained(path), model.text_model)
    assert torch.equal(opened(IDS, pixels()).logits_per_image, model(IDS, pixels(), MASK).logits_per_image)


@pytest.mark.parametrize(
    ("place", "setting", "message"),
    [
        ("vision_cfg", {"timm_model_name": "vit"}, "vision_cfg sets timm_model_name to 'vit'"),
        ("text_cfg", {"hf_model_name": "roberta"}, "text_cfg sets hf_model_name"),
        ("vision_cfg", {"pool_type": "avg"}, "vision_cfg sets pool_type to 'avg'"),
        ("model_cfg", {"init_logit_bias": -10}, "model_cfg sets init_logit_bias"),
    ],
)
def test_open_clip_s_other_architectures_are_refused(place: str, setting: dict, message: str) -> None:
    config = json.loads(json.dumps(OPEN_CLIP_CONFIG))
    (config["model_cfg"] if place == "model_cfg" else config["model_cfg"][place]).update(setting)
    with pytest.raises(CheckpointError, match=message):
        CLIPConfig.from_dict(config)


def test_old_files_with_position_ids_and_bin(model: CLIPModel, folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["text_model.embeddings.position_ids"] = torch.arange(9)[None]
    state["vision_model.embeddings.position_ids"] = torch.arange(10)[None]
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    assert same_weights(CLIPModel.from_pretrained(folder), model)


def test_towers_open_from_the_whole_and_alone(model: CLIPModel, folder: Path, tmp_path: Path) -> None:
    import transformers

    text = CLIPTextModelWithProjection.from_pretrained(folder)
    image = CLIPVisionModelWithProjection.from_pretrained(folder)
    whole = model(IDS, pixels(), MASK)
    assert torch.equal(text(IDS, MASK).text_embeds, whole.text_model_output.pooler_output)
    assert torch.equal(image(pixels()).image_embeds, whole.vision_model_output.pooler_output)
    for tower, kind in (
        (text, "CLIPTextModelWithProjection"),
        (image, "CLIPVisionModelWithProjection"),
        (CLIPTextModel.from_pretrained(folder), "CLIPTextModel"),
        (CLIPVisionModel.from_pretrained(folder), "CLIPVisionModel"),
    ):
        tower.save_pretrained(tmp_path / kind)
        assert same_weights(type(tower).from_pretrained(tmp_path / kind), tower)
        theirs = getattr(transformers, kind).from_pretrained(tmp_path / kind)
        fresh = getattr(transformers, kind)(theirs.config)  # saved without a prefix, unless it was opened with one
        fresh.load_state_dict(theirs.state_dict())
        fresh.save_pretrained(tmp_path / f"{kind} by the reference")
        assert same_weights(type(tower).from_pretrained(tmp_path / f"{kind} by the reference"), tower)
        args = (pixels(),) if "Vision" in kind else (IDS, MASK)
        assert torch.allclose(theirs(*args)[0], tower(*args)[0], rtol=1e-4, atol=1e-5)


def test_text_tower_reads_only_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sightline.checkpoint.weights import Weights

    read: list[str] = []
    get = Weights.get
    monkeypatch.setattr(Weights, "get", lambda self, key: read.append(key) or get(self, key))
    CLIPTextModelWithProjection.from_pretrained(folder)
    assert read
    assert all(key.startswith(("text_model.", "text_projection.")) for key in read)


def test_config_ages(tmp_path: Path) -> None:
    """Files before release 4.23: a second copy that wins, and hundreds of keys that mean nothing here."""
    tower = {"hidden_size": 16, "num_attention_heads": 2, "eos_token_id": 2, "top_k": 50, "id2label": {"0": "L"}}
    data = {
        "model_type": "clip",
        "text_config": {},
        "text_config_dict": tower,
        "vision_config": None,
        "torchscript": False,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = CLIPConfig.from_dict(data)
    assert config.text_config.hidden_size == 16
    assert config.vision_config == CLIPVisionConfig()
    with pytest.warns(UserWarning, match="clip_text_model config: unknown keys flavour, taste"):
        CLIPTextConfig(**{}).from_dict({"taste": 1, "flavour": 2})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "siglip"}, "model_type 'siglip', not 'clip'"),
        ({"text_config": {"hidden_act": "magic"}}, "unknown activation 'magic'"),
        ({"text_config": {"hidden_size": 30, "num_attention_heads": 4}}, "30 is no multiple of 4 heads"),
        ({"text_config": {"hidden_size": "wide"}}, "hidden_size is 'wide', expected int"),
        ({"text_config": {"eos_token_id": None}}, "eos_token_id is None"),
        ({"vision_config": {"patch_size": 0}}, "patch_size is 0"),
        ({"vision_config": {"num_attention_heads": 0}}, "num_attention_heads is 0"),
        (
            {"text_config": {"num_hidden_layers": 1}},
            r"more than the config asks for: text_model\.encoder\.layers\.1",
        ),
        ({"vision_config": {"num_hidden_layers": 4}}, r"missing vision_model\.encoder\.layers\.3"),
        ({"projection_dim": 9}, r"text_projection\.weight has shape \(8, 16\), the config asks for \(9, 16\)"),
    ],
)
def test_configs_that_do_not_fit_are_refused_by_name(folder: Path, change: dict, message: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    for key, value in change.items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        CLIPModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("text_projection.weight"), r"missing text_projection\.weight"),
        (lambda s: s.pop("text_model.encoder.layers.0.self_attn.k_proj.bias"), r"k_proj\.bias missing \(beside"),
        (lambda s: s.update({"classifier.weight": torch.ones(1)}), r"unknown tensors classifier\.weight"),
        (lambda s: s.update({"logit_scale": torch.ones(1)}), r"logit_scale has shape \(1,\)"),
        (lambda s: (s.clear(), s.update({"bert.embeddings": torch.ones(1)})), r"no CLIPModel in it; it holds bert"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(folder: Path, change, message: str) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        CLIPModel.from_pretrained(folder)


def test_dtype(model: CLIPModel, folder: Path) -> None:
    assert CLIPModel.from_pretrained(folder).dtype == torch.float32
    half = CLIPModel.from_pretrained(folder, dtype="bfloat16")
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    half.save_pretrained(folder)
    assert CLIPModel.from_pretrained(folder).dtype == torch.bfloat16
    assert CLIPModel.from_pretrained(folder, dtype="auto").dtype == torch.bfloat16
    assert CLIPModel.from_pretrained(folder, dtype=torch.float32).dtype == torch.float32
    for bad in ("float99", "int8", torch.int64):
        with pytest.raises(UsageError, match="dtype"):
            CLIPModel.from_pretrained(folder, dtype=bad)


def test_attention_implementations(folder: Path) -> None:
    inputs = {"input_ids": IDS, "pixel_values": pixels(), "attention_mask": MASK}
    logits = [
        CLIPModel.from_pretrained(folder, attn_implementation=name)(**inputs).logits_per_image
        for name in ("sdpa", "eager", "flash_attention_2")
    ]
    # Three orders of summation in float32.
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits[0], logits[2], rtol=1e-5, atol=1e-5)
    with pytest.raises(UsageError, match='attn_implementation="magic"'):
        CLIPModel.from_pretrained(folder, attn_implementation="magic")


def test_flash_says_what_it_cannot(folder: Path) -> None:
    model = CLIPModel.from_pretrained(folder, attn_implementation="flash_attention_2")
    with pytest.raises(SightlineError, match="padding on the right"):
        model.get_text_features(IDS, MASK.flip(1))
    for block in model.vision_model.encoder.layers:
        block.self_attn.dropout = 0.5  # the processor's flash kernel has none
    with pytest.raises(SightlineError, match=r"no flash kernel for torch\.float32 on cpu .* and dropout; use"):
        model.train().get_image_features(pixels())


@pytest.mark.parametrize("name", ["sdpa", "eager"])
def test_a_text_that_is_all_padding_stays_finite(folder: Path, name: str) -> None:
    model = CLIPModel.from_pretrained(folder, attn_implementation=name)
    out = model.get_text_features(IDS, torch.zeros_like(MASK), output_hidden_states=True)
    assert all(state.isfinite().all() for state in out.hidden_states)


def test_gradient_checkpointing_changes_no_gradient(model: CLIPModel) -> None:
    grads = []
    for on in (False, True):
        twin = CLIPModel(CONFIG).train()
        twin.load_state_dict(model.state_dict())
        if on:
            twin.gradient_checkpointing_enable()
        twin(IDS, pixels(), MASK, return_loss=True).loss.backward()
        grads.append([p.grad for p in twin.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_the_script_s_other_lines(model: CLIPModel) -> None:
    twin = CLIPModel(CONFIG)
    twin.load_state_dict(model.state_dict())
    twin.logit_scale.data.fill_(2.0)
    assert twin.device == torch.device("cpu")
    assert (twin.text_embed_dim, twin.vision_embed_dim, twin.projection_dim) == (16, 64, 8)
    out = twin(IDS, pixels(), MASK)
    assert list(out) == [
        "logits_per_image",
        "logits_per_text",
        "text_embeds",
        "image_embeds",
        "text_model_output",
        "vision_model_output",
    ]
    assert out["logits_per_image"] is out[0]
    assert len(out.to_tuple()) == len(out) == 6
    plain = twin(IDS, pixels(), MASK, return_dict=False)
    assert isinstance(plain, tuple)
    assert all(torch.equal(a, b) for a, b in zip(plain[:4], out.to_tuple()[:4], strict=True))
    with pytest.raises(KeyError):
        out["loss"]


def test_wrong_calls(model: CLIPModel) -> None:
    with pytest.raises(UsageError, match="needs input_ids and pixel_values"):
        model(input_ids=IDS)
    with pytest.raises(UsageError, match="10 tokens, but the model has 9"):
        model.get_text_features(torch.ones(1, 10, dtype=torch.long))
    with pytest.raises(UsageError, match="12 x 12"):
        model.get_image_features(torch.zeros(1, 3, 13, 12))
    with pytest.raises(UsageError, match="smaller than one patch"):
        model.get_image_features(torch.zeros(1, 3, 3, 12), interpolate_pos_encoding=True)
    with pytest.raises(UsageError, match="needs pairs, not 2 texts and 3 images"):
        model(IDS, pixels(n=3), return_loss=True)


def test_fresh_weights_follow_the_paper() -> None:
    torch.manual_seed(0)
    block = CLIPModel(CLIPConfig(vision_config={"num_hidden_layers": 2})).vision_model.encoder.layers[0]
    for weight, std in (
        (block.self_attn.qkv.weight, 768**-0.5),
        (block.self_attn.out_proj.weight, (768 * 4) ** -0.5),
        (block.mlp.fc1.weight, (2 * 768) ** -0.5),
        (block.mlp.fc2.weight, (768 * 4) ** -0.5),
    ):
        assert weight.std().item() == pytest.approx(std, rel=0.02)  # half a million draws


def test_embedding_alone_is_that_of_the_whole_forward(folder: Path) -> None:
    """What is left out of the last block changes nothing but, in the last bits of float64, the order of sums."""
    text = CLIPTextModelWithProjection.from_pretrained(folder, dtype=torch.float64)
    image = CLIPVisionModelWithProjection.from_pretrained(folder, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(text.embed(IDS), text(IDS, MASK).text_embeds, rtol=1e-12, atol=1e-12)
        values = pixels().double()
        torch.testing.assert_close(image.embed(values), image(values).image_embeds, rtol=1e-12, atol=1e-12)
    with pytest.raises(UsageError, match="10 tokens"):
        text.embed(torch.zeros(1, 10, dtype=torch.long))
