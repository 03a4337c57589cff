"""Exported towers of each family against torch, on random configs whose every parameter and buffer is random: two here,
as many as the environment's SIGHTLINE_EXPORT_CONFIGS says where it is set (30 before a release). Of the two, one gives
its tower for images and one its tower for texts."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from sightline.models import FAMILIES
from sightline.optimize.onnx_graph import write_onnx
from sightline.optimize.openvino_graph import read_openvino, write_openvino
from sightline.optimize.parity import TOLERANCE, check
from sightline.optimize.runtimes import open_run
from sightline.optimize.sides import Graph, Side
from support.weights import randomise

pytestmark = [pytest.mark.parity, pytest.mark.system]

REFERENCE = {
    "clip": "CLIPModel",
    "align": "AlignModel",
    "groupvit": "GroupViTModel",
    "xclip": "XCLIPModel",
    "vision-text-dual-encoder": "VisionTextDualEncoderModel",
}
CONFIGS = int(os.environ.get("SIGHTLINE_EXPORT_CONFIGS", "2"))


@pytest.fixture(autouse=True)
def few_threads(one_thread: None) -> None:
    """Small models."""


def side(name: str, family: Any, config: Any, folder: Path) -> Side:
    kind = family.image if name == "vision" else family.text
    tower = kind.for_encoding(folder, torch.float32).eval().requires_grad_(False)
    if name == "text":
        shape: Any = dict.fromkeys(("input_ids", "attention_mask"), ("batch", "length"))
        text = family.config.from_folder(folder).text_config
        return Side("text", tower, shape, "text_embeds", text.max_tokens, text.vocab_size)
    vision = config.vision_config
    ours = family.config.from_folder(folder)
    frames = (ours.frames,) if ours.takes_videos else ()
    pixels = ("batch", *frames, vision.num_channels, vision.image_size, vision.image_size)
    return Side("vision", tower, {"pixel_values": pixels}, "image_embeds")


@pytest.mark.parametrize("seed", range(CONFIGS))
@pytest.mark.parametrize("family", REFERENCE)
def test_an_exported_tower_gives_what_torch_gives(family: str, seed: int, tmp_path: Path) -> None:
    module = import_module(f"support.configs.{'dual' if family.startswith('vision') else family}")
    config = module.random_config(seed)
    randomise(getattr(transformers, REFERENCE[family])(config), seed).save_pretrained(tmp_path)
    for name in ("vision", "text") if CONFIGS > 2 else (("vision", "text")[seed],):
        one = side(name, FAMILIES[family], config, tmp_path)
        path = tmp_path / f"{name}.onnx"
        example = one.example(2, min(one.longest, 5))
        write_onnx(Graph(one), one.inputs, one.output, example, one.longest, path)
        many = {key: tensor.numpy() for key, tensor in one.example(64, one.longest).items()}
        measured = check(one, open_run("onnx", path), "float32", many)
        assert measured["difference"] < TOLERANCE
        assert measured["vectors"] + measured["undecided"] == 1 + 3 + 5 + 64
        assert measured["undecided"] <= 16
        write_openvino(read_openvino(path), tmp_path / f"{name}.xml", half=False)
        check(one, open_run("openvino", tmp_path / f"{name}.xml"), "float32", many)
