"""State dicts by the reference's names, on the way in and on the way out."""

import warnings
from typing import Any

import pytest
import torch
import transformers
from torch import nn

import sightline
from sightline.checkpoint.rules import plan, read, write
from sightline.models.clip.layouts import HUGGING_FACE, OPENAI
from support import tiny
from support.weights import randomise

CLASSES = {
    "CLIPModel": ("clip", None),
    "CLIPTextModel": ("clip", "text_config"),
    "CLIPTextModelWithProjection": ("clip", "text_config"),
    "CLIPVisionModel": ("clip", "vision_config"),
    "CLIPVisionModelWithProjection": ("clip", "vision_config"),
    "AlignModel": ("align", None),
    "AlignTextModel": ("align", "text_config"),
    "AlignVisionModel": ("align", "vision_config"),
    "GroupViTModel": ("groupvit", None),
    "GroupViTTextModel": ("groupvit", "text_config"),
    "GroupViTVisionModel": ("groupvit", "vision_config"),
    "XCLIPModel": ("xclip", None),
    "XCLIPTextModel": ("xclip", "text_config"),
    "XCLIPVisionModel": ("xclip", "vision_config"),
}


def both(name: str) -> tuple[Any, Any]:
    """Ours and the reference's, with other random numbers in each."""
    family, part = CLASSES[name]
    config = tiny.config(family, 0.0)
    whole = config.__class__.__name__
    settings = {key: value for key, value in config.to_diff_dict().items() if key != "model_type"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(transformers, whole)(**settings)
    mine = config if part is None else getattr(config, part)
    theirs = theirs if part is None else getattr(theirs, part)
    return (
        randomise(getattr(sightline, name)(mine), 1),
        randomise(getattr(transformers, name)(theirs), 2),
    )


@pytest.mark.parametrize("name", CLASSES)
def test_the_reference_s_state_goes_in_and_comes_out(name: str) -> None:
    ours, theirs = both(name)
    state = theirs.state_dict()
    assert ours.load_state_dict(state) == theirs.load_state_dict(state)
    back = ours.reference_state_dict()
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], tensor) for key, tensor in state.items())
    theirs.load_state_dict(back)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("begin", ["", "module."])
def test_a_state_with_something_missing_and_something_more(name: str, begin: str) -> None:
    ours, theirs = both(name)
    state = {f"{begin}{key}": tensor for key, tensor in theirs.state_dict().items()}
    joined = next(key for key in state if "k_proj" in key or "key." in key or "squeeze_excite.reduce" in key)
    left_out = state.pop(joined)
    before = ours.reference_state_dict()[joined.removeprefix(begin)].clone()
    state[f"{begin}nonsense"] = torch.ones(1)
    found = ours.load_state_dict(state, strict=False)
    assert (found.missing_keys, found.unexpected_keys) == ([joined], [f"{begin}nonsense"])
    now = ours.reference_state_dict()
    assert torch.equal(now.pop(joined.removeprefix(begin)), before)
    assert all(torch.equal(state[begin + key], tensor) for key, tensor in now.items())
    with pytest.raises(RuntimeError, match="Missing key") as mine:
        ours.load_state_dict(state)
    if not begin:
        with pytest.raises(RuntimeError) as reference:
            theirs.load_state_dict(state)
        assert str(mine.value) == str(reference.value)
    state[joined] = torch.ones(2, 1, 1, dtype=left_out.dtype)
    with pytest.raises(RuntimeError, match=f"size mismatch for {joined}"):
        ours.load_state_dict(state, strict=False)


@pytest.mark.parametrize("name", CLASSES)
def test_our_own_state_stays_what_it_is(name: str) -> None:
    ours, _ = both(name)
    other = both(name)[0]
    randomise(other, 5)
    assert ours.load_state_dict(other.state_dict()).missing_keys == []
    assert all(torch.equal(ours.state_dict()[key], tensor) for key, tensor in other.state_dict().items())
    ours.load_state_dict({f"module._orig_mod.{key}": tensor for key, tensor in other.state_dict().items()})
    with pytest.raises(RuntimeError, match="Missing key"):
        ours.load_state_dict({})
    assert ours.load_state_dict({"a.b": torch.ones(1)}, strict=False).unexpected_keys == ["a.b"]


def test_a_tower_takes_its_part_of_a_whole_model() -> None:
    text = tiny.config("clip", 0.0).text_config
    text.projection_dim = 16
    ours = sightline.CLIPTextModelWithProjection(text)
    whole = both("CLIPModel")[1].state_dict()
    found = ours.load_state_dict(whole, strict=False)
    assert found.missing_keys == []
    assert found.unexpected_keys == [key for key in whole if not key.startswith(("text_model.", "text_projection."))]


def test_names_of_openai_and_old_buffers() -> None:
    ours, theirs = both("CLIPModel")
    state = theirs.state_dict() | {"text_model.embeddings.position_ids": torch.arange(12)[None]}
    assert ours.load_state_dict(state).unexpected_keys == []
    openai = write(OPENAI, randomise(both("CLIPModel")[0], 7).state_dict())
    ours.load_state_dict(openai)
    pieces = plan(HUGGING_FACE, set(ours.reference_state_dict()), "")
    again = {key: read(piece, ours.reference_state_dict().__getitem__, "") for key, piece in pieces.items()}
    assert all(torch.equal(tensor, openai[name]) for name, tensor in write(OPENAI, again).items())


def within(model: nn.Module) -> nn.Module:
    return nn.ModuleDict({"clip": model})


@pytest.mark.parametrize("wrap", [nn.DataParallel, within])
@pytest.mark.parametrize("name", ["CLIPModel", "AlignTextModel"])
def test_within_a_module_of_the_caller(wrap: Any, name: str) -> None:
    ours, theirs = both(name)
    wrap(ours).load_state_dict(wrap(theirs).state_dict())
    assert all(torch.equal(ours.reference_state_dict()[key], tensor) for key, tensor in theirs.state_dict().items())
    wrap(ours).load_state_dict(wrap(ours).state_dict())


def test_towers_paired_with_a_bert() -> None:
    text = sightline.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    vision = tiny.config("clip", 0.0).vision_config
    ours = sightline.VisionTextDualEncoderModel(
        sightline.VisionTextDualEncoderConfig(text_config=text, vision_config=vision, projection_dim=8)
    )
    config = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(
        transformers.CLIPVisionConfig(**{k: v for k, v in vision.to_diff_dict().items() if k != "model_type"}),
        transformers.BertConfig(**{k: v for k, v in text.to_diff_dict().items() if k != "model_type"}),
        projection_dim=8,
    )
    theirs = randomise(transformers.VisionTextDualEncoderModel(config), 3)
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.reference_state_dict())
    assert all(torch.equal(ours.reference_state_dict()[key], tensor) for key, tensor in theirs.state_dict().items())
