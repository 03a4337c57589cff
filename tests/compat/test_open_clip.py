"""Checkpoints and tokenizers by open_clip's habits."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import sightline
from sightline.checkpoint.names import PACKAGED
from sightline.checkpoint.rules import write
from sightline.errors import CheckpointError, UsageError
from sightline.models.clip.layouts import OPEN_CLIP_CUSTOM_TEXT, OPENAI

TEXTS = ["a red circle", "a photo of a dog " * 40, ""]


@pytest.fixture(scope="module", params=["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged CLIP as open_clip pushes its models: no file of `transformers` but the tokenizer's."""
    folder = tmp_path_factory.mktemp("open_clip")
    model = sightline.CLIPModel.from_pretrained("mini")
    text, vision = model.config.text_config, model.config.vision_config
    towers = {
        "embed_dim": model.config.projection_dim,
        "vision_cfg": {
            "image_size": vision.image_size,
            "layers": vision.num_hidden_layers,
            "width": vision.hidden_size,
            "patch_size": vision.patch_size,
        },
        "text_cfg": {
            "context_length": text.max_position_embeddings,
            "vocab_size": text.vocab_size,
            "width": text.hidden_size,
            "heads": text.num_attention_heads,
            "layers": text.num_hidden_layers,
        },
    }
    pixels = sightline.CLIPProcessor.from_pretrained("mini").image_processor
    shown = {"mean": list(pixels.image_mean), "std": list(pixels.image_std), "interpolation": "bicubic"}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": towers, "preprocess_cfg": shown}))
    state = write(OPENAI if "bin" in request.param else OPEN_CLIP_CUSTOM_TEXT, model.state_dict())
    save = save_file if request.param.endswith("s") else torch.save
    save(state, folder / request.param)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(PACKAGED / "mini" / name, folder)
    return folder


def as_folder(folder: Path, tmp_path: Path) -> Any:
    return folder


def as_local_dir(folder: Path, tmp_path: Path) -> Any:
    return f"local-dir:{folder}/"


def as_file(folder: Path, tmp_path: Path) -> Any:
    return next(path for path in folder.iterdir() if "model." in path.name)


def cached(folder: Path, tmp_path: Path) -> Path:
    commit, repository = "0123456789" * 4, tmp_path / "hub/models--owner--model"
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(commit)
    return repository


def as_cache(folder: Path, tmp_path: Path) -> Any:
    return cached(folder, tmp_path)


def as_hub_name(folder: Path, tmp_path: Path) -> Any:
    cached(folder, tmp_path)
    return "hf-hub:owner/model"


def as_revision(folder: Path, tmp_path: Path) -> Any:
    cached(folder, tmp_path)
    return "owner/model@main"


def as_address(folder: Path, tmp_path: Path) -> Any:
    cached(folder, tmp_path)
    return "https://huggingface.co/owner/model/tree/main"


def as_sentence_transformers(folder: Path, tmp_path: Path) -> Any:
    shutil.copytree(folder, tmp_path / "clip/0_CLIPModel")
    sightline.CLIPModel.from_pretrained(folder).config.save_pretrained(tmp_path / "clip/0_CLIPModel")
    (tmp_path / "clip/modules.json").write_text(json.dumps([{"idx": 0, "path": "0_CLIPModel"}]))
    return tmp_path / "clip"


FORMS = [
    as_folder, as_local_dir, as_file, as_cache, as_hub_name, as_revision, as_address, as_sentence_transformers,
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_form_opens_everywhere(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Callable[[Path, Path], Any]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    name = form(folder, tmp_path)
    model, processor = sightline.CLIPModel.from_pretrained(name), sightline.CLIPProcessor.from_pretrained(name)
    inputs = processor(
        text=TEXTS, images=Image.new("RGB", (90, 70), "red"), return_tensors="pt", padding=True, truncation=True
    )
    mini = sightline.CLIPModel.from_pretrained("mini")
    assert torch.equal(model(**inputs).logits_per_image, mini(**inputs).logits_per_image)
    assert sightline.CLIPTextModelWithProjection.from_pretrained(name).config.projection_dim == 128
    assert sightline.CLIPConfig.from_pretrained(name).vision_config.image_size == 64
    for kind, auto in (("CLIPConfig", "AutoConfig"), ("CLIPModel", "AutoModel"), ("CLIPProcessor", "AutoProcessor")):
        assert type(getattr(sightline, auto).from_pretrained(name)).__name__ == kind
    encoder = sightline.load(name, device="cpu", precision="float32")
    wanted = sightline.load("mini", device="cpu", precision="float32")
    assert abs(encoder.encode_text(TEXTS) - wanted.encode_text(TEXTS)).max() < 1e-6
    assert torch.equal(sightline.get_tokenizer(name)(TEXTS), sightline.get_tokenizer("mini")(TEXTS))


@pytest.mark.parametrize("length", [None, 2, 5, 64])
def test_a_tokenizer_for_open_clip(length: int | None) -> None:
    tokenizer = sightline.get_tokenizer("mini")
    ids = tokenizer(TEXTS, context_length=length)
    assert (ids.dtype, tuple(ids.shape)) == (torch.int64, (3, length or 64))
    reference = sightline.CLIPProcessor.from_pretrained("mini").tokenizer
    for row, text in zip(ids.tolist(), TEXTS, strict=True):
        wanted = reference(text, truncation=True, max_length=length or 64)["input_ids"]
        assert row == wanted + [0] * (len(row) - len(wanted))
        assert tokenizer.eot_token_id in row
    assert torch.equal(sightline.get_tokenizer("mini", length)(TEXTS[0]), ids[:1])
    assert tokenizer.decode(tokenizer.encode("a red circle")).split() == ["a", "red", "circle"]


def test_padding_with_zeros_gives_the_same_vectors() -> None:
    model, processor = sightline.CLIPModel.from_pretrained("mini"), sightline.CLIPProcessor.from_pretrained("mini")
    padded = processor(text=TEXTS, return_tensors="pt", padding=True, truncation=True)
    ours = model.get_text_features(sightline.get_tokenizer("mini")(TEXTS)).pooler_output
    assert torch.allclose(ours, model.get_text_features(**padded).pooler_output, atol=1e-5)


def test_a_bert_s_own_padding() -> None:
    tokenizer = sightline.get_tokenizer("mini-align", context_length=12)
    processor = sightline.AlignProcessor.from_pretrained("mini-align")
    wanted = processor(text=TEXTS, padding="max_length", truncation=True, max_length=12, return_tensors="pt")
    assert torch.equal(tokenizer(TEXTS), wanted["input_ids"])


def test_what_a_tokenizer_refuses(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="context_length=1 leaves no room"):
        sightline.get_tokenizer("mini")(TEXTS, context_length=1)
    with pytest.raises(UsageError, match="texts are strings, not int"):
        sightline.get_tokenizer("mini")([3])  # type: ignore[list-item]
    with pytest.raises(CheckpointError, match=r"no config\.json in it"):
        sightline.get_tokenizer(tmp_path)
