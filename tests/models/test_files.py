"""Weights as trainings leave them: under other names, beside an optimizer's, quantised."""

import json
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import sightline
from sightline.checkpoint.names import PACKAGED
from sightline.encoder.verify import verify
from sightline.errors import CheckpointError
from support.models import PACKAGED as MODELS
from support.weights import same_weights

CLASSES = {
    "clip": sightline.CLIPModel,
    "align": sightline.AlignModel,
    "groupvit": sightline.GroupViTModel,
    "xclip": sightline.XCLIPModel,
}


def folder_with(tmp_path: Path, name: str, state: dict[str, object], file: str = "pytorch_model.bin") -> Path:
    """A copy of a packaged model's folder in which `state` are the weights."""
    for path in (PACKAGED / name).iterdir():
        if path.suffix in (".json", ".txt"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    save_file(state, tmp_path / file) if file.endswith(".safetensors") else torch.save(state, tmp_path / file)
    return tmp_path


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module._orig_mod.", "model.", "net.clip."])
@pytest.mark.parametrize("family", MODELS)
def test_names_that_all_begin_alike(tmp_path: Path, family: str, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    weights = load_file(PACKAGED / MODELS[family] / "model.safetensors")
    state = {prefix + name: tensor for name, tensor in weights.items()}
    folder = folder_with(tmp_path, MODELS[family], state, "model.safetensors")
    with caplog.at_level(logging.INFO, "sightline"):
        model = CLASSES[family].from_pretrained(folder)
    assert f"all names begin with {prefix.partition('.')[0]}., which is left out" in caplog.text
    assert same_weights(model, CLASSES[family].from_pretrained(MODELS[family]))


def test_the_weights_of_a_lightning_run_encode_and_verify(tmp_path: Path) -> None:
    weights = load_file(PACKAGED / "mini/model.safetensors")
    optimizer = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []}
    state = {"state_dict": {f"model.{k}": v for k, v in weights.items()}, "optimizer_states": [optimizer], "epoch": 3}
    folder = folder_with(tmp_path, "mini", state)
    assert all(check.passed for check in verify(folder))
    expected = sightline.load("mini").encode_text(["a red ring"])
    assert (sightline.load(folder).encode_text(["a red ring"]) == expected).all()


def test_names_of_another_architecture_are_listed_by_their_beginnings(tmp_path: Path) -> None:
    state = {f"backbone.{number}.weight": torch.ones(2) for number in range(3)} | {"head.weight": torch.ones(2)}
    with pytest.raises(
        CheckpointError, match=r"no CLIPModel in it; .*names that begin with: backbone \(3\), head \(1\)"
    ):
        sightline.CLIPModel.from_pretrained(folder_with(tmp_path, "mini", state))


def test_quantised_weights_are_refused_by_name(tmp_path: Path) -> None:
    weights = load_file(PACKAGED / "mini/model.safetensors")
    name = "text_model.encoder.layers.0.mlp.fc1.weight"
    folder = folder_with(tmp_path, "mini", weights | {name: weights[name].to(torch.int8)})
    with pytest.raises(CheckpointError, match=r"mlp\.fc1\.weight holds torch\.int8, quantised numbers"):
        sightline.CLIPModel.from_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "gptq"}}))
    with pytest.raises(CheckpointError, match=r"quantised by 'gptq' \(quantization_config\), which is not read"):
        sightline.load(folder)
