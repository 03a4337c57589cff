"""Models and all around them survive `pickle`, `copy` and `torch.save`, and give the same bits after it."""

import copy
import io
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import sightline
from sightline.checkpoint.names import PACKAGED
from sightline.encoder import TextEncoder
from sightline.errors import IndexMissing
from sightline.index.sync import sync
from sightline.models import family_of
from sightline.nn.activations import ACTIVATIONS
from sightline.train import Lora
from sightline.train.lora import attach
from support import tiny
from support.models import PACKAGED as MODELS, inputs

PICTURE = Image.effect_noise((80, 60), 90).convert("RGB")
TEXTS = ["a red ring", "two blue squares beside a green star"]


def through_torch(thing: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "deepcopy": copy.deepcopy,
    "torch.save": through_torch,
}


def tensors(out: Any) -> list[torch.Tensor]:
    """All tensors of an output, those of the outputs in it too."""
    if isinstance(out, torch.Tensor):
        return [out]
    values = out.values() if hasattr(out, "values") else out
    return [tensor for value in values or () if value is not None for tensor in tensors(value)]


def outcome(model: torch.nn.Module) -> list[torch.Tensor]:
    torch.manual_seed(0)
    pixels, ids, mask = inputs(model, 2)
    return tensors(model(input_ids=ids, pixel_values=pixels.to(model.dtype), attention_mask=mask))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_model_fresh_and_used(family: str, dtype: torch.dtype, way: str) -> None:
    model = tiny.model(family, dtype=dtype).eval()
    fresh = WAYS[way](model)
    expected = outcome(model)
    sum(tensor.float().sum() for tensor in expected if tensor.is_floating_point()).backward()
    for again in (fresh, WAYS[way](model)):
        assert type(again) is type(model)
        assert again.config == model.config
        assert all(map(torch.equal, outcome(again), expected))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation(name: str) -> None:
    again, x = pickle.loads(pickle.dumps(ACTIVATIONS[name])), torch.linspace(-3, 3, 50)
    assert torch.equal(again(x), ACTIVATIONS[name](x))
    assert torch.equal(again.back(x, x), ACTIVATIONS[name].back(x, x))


@pytest.mark.system
def test_a_model_with_adapters() -> None:
    model = tiny.model("clip", dtype=torch.float32).eval()
    attach(model, Lora(rank=2))
    assert all(map(torch.equal, outcome(pickle.loads(pickle.dumps(model))), outcome(model)))


def test_two_towers_of_ones_choice() -> None:
    tower = {name: value for name, value in tiny.TEXT.items() if name != "eos_token_id"}
    config = sightline.VisionTextDualEncoderConfig(
        text_config={"model_type": "bert", **tower},
        vision_config={"model_type": "clip_vision_model", **tiny.VISION},
        projection_dim=8,
    )
    model = sightline.VisionTextDualEncoderModel(config).eval()
    for way in WAYS.values():
        torch.manual_seed(0)
        call = {"input_ids": torch.randint(5, 300, (2, 5)), "pixel_values": torch.randn(2, 3, 16, 16)}
        assert all(map(torch.equal, tensors(way(model)(**call)), tensors(model(**call))))


@pytest.mark.parametrize("name", MODELS.values())
def test_encoders_processors_and_outputs(name: str) -> None:
    encoder, texts = sightline.load(name), TextEncoder(name)
    copies = [WAYS["pickle"](encoder), copy.deepcopy(encoder)], [WAYS["pickle"](texts)]
    expected = encoder.encode_text(TEXTS), encoder.encode_images([PICTURE] * 3)
    numpy_expected = texts.encode_text(TEXTS) if texts.usable else None
    for again in (*copies[0], WAYS["pickle"](encoder), copy.deepcopy(encoder)):
        np.testing.assert_array_equal(again.encode_text(TEXTS), expected[0])
        np.testing.assert_array_equal(again.encode_images([PICTURE] * 3), expected[1])
        assert (again.device, again.precision, again.fingerprint) == (
            encoder.device,
            encoder.precision,
            encoder.fingerprint,
        )
    for other in (*copies[1], WAYS["pickle"](texts), copy.deepcopy(texts)):
        assert other.usable == texts.usable
        if numpy_expected is not None:
            np.testing.assert_array_equal(other.encode_text(TEXTS), numpy_expected)
    processor = family_of(PACKAGED / name).processor.from_pretrained(name)
    call = {"text": TEXTS, "padding": "max_length", "max_length": 20, "truncation": True, "return_tensors": "np"}
    found, wanted = (WAYS["pickle"](p)(**call) for p in (processor, copy.deepcopy(processor)))
    assert all((found[key] == wanted[key]).all() for key in wanted)
    again = pickle.loads(pickle.dumps(wanted))
    assert (again.keys(), type(again)) == (wanted.keys(), type(wanted))


def test_a_segmenter() -> None:
    segmenter = sightline.Segmenter("mini-groupvit")
    expected = segmenter(PICTURE, ["a ring", "a square"])
    found = pickle.loads(pickle.dumps(segmenter))(PICTURE, ["a ring", "a square"])
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(expected)).scores, expected.scores)


def test_an_index_is_opened_again_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    PICTURE.save(tmp_path / "photos/a.png")
    sync(tmp_path / "index", [tmp_path / "photos"], sightline.load("mini"))
    index = sightline.open_index(tmp_path / "index")
    fresh = pickle.loads(pickle.dumps(index))
    expected = index.search("a red ring")
    for again in (fresh, pickle.loads(pickle.dumps(index)), copy.deepcopy(index)):
        assert again.search("a red ring") == expected == pickle.loads(pickle.dumps(expected))
    kept = pickle.dumps(index)
    shutil.rmtree(tmp_path / "index")
    with pytest.raises(IndexMissing):
        pickle.loads(kept)


def save_outcome(rank: int, model: torch.nn.Module, path: Path) -> None:
    torch.save(outcome(model), path)


@pytest.mark.system
def test_a_model_goes_to_a_spawned_process(tmp_path: Path) -> None:
    model = sightline.CLIPModel.from_pretrained("mini", dtype=torch.float32)
    torch.multiprocessing.spawn(save_outcome, args=(model, tmp_path / "out.pt"), nprocs=1)
    assert all(map(torch.equal, torch.load(tmp_path / "out.pt"), outcome(model)))
