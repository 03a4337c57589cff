"""Every model class that the reference has as well, in both libraries, with the same random weights and inputs."""

import functools
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers

import sightline
from support import tiny
from support.weights import randomise

# Nothing drops out in training: both libraries would draw what in another order.
_BERT = {name: value for name, value in tiny.TEXT.items() if name != "eos_token_id"} | {
    "pad_token_id": 0,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
_FAMILIES = {
    "CLIP": {"text_config": tiny.TEXT, "vision_config": tiny.VISION, "projection_dim": 16},
    "Align": {"text_config": _BERT, "vision_config": tiny.ALIGN | {"drop_connect_rate": 0.0}, "projection_dim": 32},
    "GroupViT": {
        "text_config": tiny.TEXT,
        "vision_config": tiny.VISION | tiny.GROUPVIT,
        "projection_dim": 16,
        "projection_intermediate_dim": 24,
    },
    "XCLIP": {
        "text_config": tiny.TEXT,
        "vision_config": tiny.VISION | tiny.XCLIP,
        "projection_dim": 16,
        "prompt_layers": 1,
        "prompt_num_attention_heads": 2,
    },
}
WHOLE = ("CLIPModel", "AlignModel", "GroupViTModel", "XCLIPModel", "VisionTextDualEncoderModel")
TEXT = (
    *("CLIPTextModel", "CLIPTextModelWithProjection", "GroupViTTextModel", "XCLIPTextModel"),
    *("AlignTextModel", "BertModel", "RobertaModel"),
)
BERTS = ("AlignTextModel", "BertModel", "RobertaModel", "AlignModel")
VISION = (
    *("CLIPVisionModel", "CLIPVisionModelWithProjection", "CLIPForImageClassification"),
    *("GroupViTVisionModel", "XCLIPVisionModel", "AlignVisionModel"),
)
ALL = (*WHOLE, *TEXT, *VISION)


def their_config(name: str) -> Any:
    """The reference's config of a tiny model of the class `name`."""
    if name in ("BertModel", "RobertaModel"):
        return getattr(transformers, name.replace("Model", "Config"))(**_BERT)
    if name == "VisionTextDualEncoderModel":
        text, vision = transformers.BertConfig(**_BERT), transformers.CLIPVisionConfig(**tiny.VISION)
        return transformers.VisionTextDualEncoderConfig.from_vision_text_configs(vision, text, projection_dim=16)
    family = next(family for family in _FAMILIES if name.startswith(family))
    whole = getattr(transformers, f"{family}Config")(**_FAMILIES[family])
    if name.startswith((f"{family}TextModel", f"{family}VisionModel")):
        return whole.text_config if "TextModel" in name else whole.vision_config
    return whole


@functools.cache
def _folder(name: str) -> tempfile.TemporaryDirectory[str]:
    folder: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory()
    torch.manual_seed(0)
    model = randomise(getattr(transformers, name)(their_config(name)), 3)
    model.save_pretrained(folder.name)
    return folder


def folder(name: str) -> Path:
    """A checkpoint of the class `name`, which the reference wrote."""
    return Path(_folder(name).name)


def twins(name: str) -> tuple[Any, Any]:
    """Ours and the reference's model of the class `name`, fresh from one file, in evaluation mode."""
    path = folder(name)
    return getattr(sightline, name).from_pretrained(path), getattr(transformers, name).from_pretrained(path)


def inputs(name: str, count: int = 3) -> dict[str, torch.Tensor]:
    """What the class `name` takes: texts of several lengths with their mask, and pictures or videos."""
    generator = torch.Generator().manual_seed(5)
    given = {}
    if name in (*WHOLE, *TEXT):
        ids = torch.randint(5, 300, (count, 9), generator=generator)
        mask = torch.ones_like(ids)
        for row, length in zip(range(count), (9, 4, 7, 5), strict=False):
            ids[row, length - 1] = 4
            ids[row, length:], mask[row, length:] = 0, 0
        given |= {"input_ids": ids, "attention_mask": mask}
    if name in (*WHOLE, *VISION):
        side = 32 if name.startswith("Align") else 16
        frames = (3,) if name == "XCLIPModel" else ()
        rows = 3 * count if name == "XCLIPVisionModel" else count
        given["pixel_values"] = torch.randn(rows, *frames, 3, side, side, generator=generator)
    return given


def same(mine: Any, theirs: Any, where: str = "") -> None:
    """Two outcomes of the same names, in the same order, with the same values to 1e-5, inside of others as well."""
    if isinstance(theirs, dict):
        assert isinstance(mine, dict), where
        assert list(mine) == list(theirs), where
        for key in theirs:
            same(mine[key], theirs[key], f"{where}.{key}")
    elif isinstance(theirs, tuple | list):
        assert type(mine) is type(theirs), where
        assert len(mine) == len(theirs), where
        for number, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            same(a, b, f"{where}[{number}]")
    elif isinstance(theirs, torch.Tensor):
        assert mine.dtype == theirs.dtype, where
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5, msg=lambda text: f"{where}: {text}")
    else:
        assert mine == theirs, where
