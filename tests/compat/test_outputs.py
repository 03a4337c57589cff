"""Outputs are the reference's `ModelOutput`: dictionaries whose values are attributes as well."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import pytest
import torch
import transformers
from accelerate.utils import convert_to_fp32, recursively_apply
from torch.nn.parallel.scatter_gather import gather
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten
from transformers.models.align.modeling_align import AlignOutput
from transformers.models.clip.modeling_clip import CLIPOutput, CLIPTextModelOutput, CLIPVisionModelOutput
from transformers.models.groupvit.modeling_groupvit import GroupViTModelOutput
from transformers.models.x_clip.modeling_x_clip import XCLIPOutput

import sightline

THEIRS = {
    kind.__name__: kind
    for kind in (
        *(AlignOutput, CLIPOutput, CLIPTextModelOutput, CLIPVisionModelOutput, GroupViTModelOutput, XCLIPOutput),
        *(
            getattr(transformers.modeling_outputs, name)
            for name in (
                "BaseModelOutput",
                "BaseModelOutputWithNoAttention",
                "BaseModelOutputWithPooling",
                "BaseModelOutputWithPoolingAndNoAttention",
                "ImageClassifierOutput",
            )
        ),
    )
}


@pytest.fixture(params=THEIRS)
def kinds(request: pytest.FixtureRequest) -> tuple[type[Any], type[Any]]:
    """A class of ours and the reference's of its name."""
    return getattr(sightline, request.param), THEIRS[request.param]


def test_fields_in_the_reference_s_order(kinds: tuple[type[Any], type[Any]]) -> None:
    ours, theirs = kinds
    assert [field.name for field in fields(ours)] == [field.name for field in fields(theirs)]
    assert ours() == ours(**dict.fromkeys(f.name for f in fields(ours)))
    assert list(ours()) == []
    assert issubclass(ours, sightline.ModelOutput)


def outcome(action: Callable[[Any], Any], out: Any) -> Any:
    try:
        return action(out)
    except Exception as error:
        return type(error).__name__ if isinstance(error, KeyError | IndexError | AttributeError) else "refused"


ACTIONS: dict[str, Callable[[Any], Any]] = {
    "keys": lambda out: list(out.keys()),
    "values": lambda out: list(out.values()),
    "items": lambda out: list(out.items()),
    "iterate": list,
    "length": len,
    "in": lambda out: ("loss" in out, "logits_per_image" in out, "nothing" in out),
    "name": lambda out: out["logits_per_image"],
    "name of None": lambda out: out["loss"],
    "unknown name": lambda out: out["nothing"],
    "unknown attribute": lambda out: out.nothing,
    "attribute of None": lambda out: out.loss,
    "first": lambda out: out[0],
    "last": lambda out: out[-1],
    "slice": lambda out: out[1:3],
    "beyond": lambda out: out[9],
    "get": lambda out: (out.get("logits_per_text"), out.get("loss"), out.get("nothing", 7)),
    "tuple": lambda out: out.to_tuple(),
    "dict": dict,
    "del": lambda out: out.__delitem__("logits_per_image"),
    "pop": lambda out: out.pop("logits_per_image"),
    "setdefault": lambda out: out.setdefault("loss", 3),
    "update": lambda out: out.update({"loss": 3}),
    "is a dictionary": lambda out: isinstance(out, dict),
    "equal": lambda out: out == copy.copy(out),
    "hash": lambda out: hash(out),
    "assign attribute": lambda out: (setattr(out, "loss", 5), out["loss"], list(out), out[-1]),
    "assign item": lambda out: (out.__setitem__("loss", 5), out.loss, list(out), out.to_tuple()[-1]),
    "assign again": lambda out: (setattr(out, "text_embeds", 8), out["text_embeds"], out[2], list(out)),
    "assign another": lambda out: (out.__setitem__("mine", 5), out.mine, out["mine"], list(out)),
    "unpack": lambda out: (lambda **names: sorted(names))(**out),
}


def plain(value: Any) -> Any:
    """Outputs as dictionaries: those of two libraries are of two classes."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, tuple | list) else value


@pytest.mark.parametrize("action", ACTIONS)
def test_what_scripts_do_with_an_output(action: str) -> None:
    found, expected = (
        outcome(
            ACTIONS[action],
            kind(
                logits_per_image=1,
                logits_per_text=2,
                text_embeds=3,
                text_model_output=tower(last_hidden_state=4, hidden_states=(5, 6)),
            ),
        )
        for kind, tower in (
            (sightline.CLIPOutput, sightline.BaseModelOutputWithPooling),
            (CLIPOutput, THEIRS["BaseModelOutputWithPooling"]),
        )
    )
    assert plain(found) == plain(expected)


def test_a_value_is_taken_back_with_none() -> None:
    out = sightline.CLIPOutput(loss=torch.ones(1), text_embeds=torch.ones(2))
    out.loss = None
    assert list(out) == ["text_embeds"]
    with pytest.raises(TypeError, match=r"assign them \(out.loss = None\)"):
        del out["text_embeds"]


def whole() -> Any:
    tower = sightline.BaseModelOutputWithPooling(torch.ones(2, 3), torch.ones(2), hidden_states=(torch.zeros(2),))
    return sightline.CLIPOutput(logits_per_image=torch.arange(4.0).view(2, 2), text_model_output=tower)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda out: pickle.loads(pickle.dumps(out))])
def test_copies(copied: Callable[[Any], Any]) -> None:
    out = whole()
    out.loss = torch.tensor(3.0)
    again = copied(out)
    assert type(again) is type(out)
    assert list(again) == list(out) == ["logits_per_image", "text_model_output", "loss"]
    assert again.loss is again["loss"]
    assert torch.equal(again.text_model_output.hidden_states[0], torch.zeros(2))
    again.loss = None
    assert out.loss is not None


def test_what_rebuilds_dictionaries_rebuilds_outputs() -> None:
    out = whole()
    half = recursively_apply(lambda tensor: tensor.bfloat16(), out)
    assert type(half) is sightline.CLIPOutput
    again = convert_to_fp32(half)
    assert again.text_model_output.hidden_states[0].dtype == again.logits_per_image.dtype == torch.float32
    assert list(again) == list(out)
    assert sightline.BaseModelOutput([("hidden_states", 1)]).hidden_states == 1
    assert sightline.BaseModelOutput((torch.ones(1), torch.ones(2))).last_hidden_state[1].shape == (2,)
    leaves, tree = tree_flatten(out)
    assert len(leaves) == 4
    assert list(tree_unflatten(leaves, tree)) == list(out)
    assert tree_map(torch.Tensor.double, out).logits_per_image.dtype == torch.float64


@pytest.mark.skipif(not torch.cuda.is_available(), reason="DataParallel gathers from devices")
def test_data_parallel_gathers_outputs() -> None:
    assert gather([tree_map(torch.Tensor.cuda, whole())] * 2, "cuda:0").logits_per_image.shape == (4, 2)


def test_an_output_of_one_s_own() -> None:
    @dataclass
    class Mine(sightline.ModelOutput):
        loss: torch.Tensor | None = None
        scores: torch.Tensor | None = None

    out = Mine(scores=torch.ones(2))
    assert out[0] is out.scores is out["scores"]
    assert tree_map(lambda tensor: tensor + 1, out).scores.tolist() == [2, 2]
    assert dict(sightline.ModelOutput(a=1)) == {"a": 1}
