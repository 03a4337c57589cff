"""Models are called as the reference's are, and answer the same: every class, every argument, in both libraries."""

import inspect
from typing import Any

import pytest
import torch
import transformers
from torch.nn import functional as F

import sightline
from sightline.models.pretrained import PretrainedModel
from support import twins
from support.twins import ALL, BERTS, TEXT, VISION, WHOLE, same

FEATURES = ("get_text_features", "get_image_features", "get_video_features")
# What only ours returns, as it was asked for: the reference's text tower of a GroupViT is not told.
UNTOLD = ("GroupViTModel",)


@pytest.fixture(scope="module", params=ALL)
def pair(request: pytest.FixtureRequest) -> Any:
    """The class's name, ours, the reference's and inputs, without gradients."""
    name = request.param
    ours, theirs = twins.twins(name)
    theirs.set_attn_implementation("eager")  # its other kernels give no attentions
    with torch.no_grad():
        yield name, ours, theirs, twins.inputs(name)


def without_cross(out: Any) -> Any:
    """The reference's BERTs have an empty tuple of attentions that only decoders fill."""
    return type(out)({key: value for key, value in out.items() if key != "cross_attentions"})


def test_a_call_with_names_and_one_by_position(pair: Any) -> None:
    _, ours, theirs, given = pair
    expected = theirs(**given)
    same(ours(**given), expected)
    names = list(inspect.signature(type(theirs).forward).parameters)[1:]
    last = max(names.index(name) for name in given) + 1
    row = [given.get(name) for name in names[:last]]
    same(ours(*row), expected)
    same(ours.forward(*row), expected)


def test_every_argument_of_the_reference_is_known(pair: Any) -> None:
    _, ours, theirs, given = pair
    methods = ("forward", *(name for name in FEATURES if hasattr(theirs, name)))
    for method in methods:
        parameters = inspect.signature(getattr(type(theirs), method)).parameters
        wanted = [p.name for p in parameters.values() if p.kind is not p.VAR_KEYWORD]
        known = list(inspect.signature(getattr(type(ours), method)).parameters)
        assert known[: len(wanted)] == wanted
        assert {"output_attentions", "output_hidden_states", "return_dict"} <= set(known)
    for name in set(inspect.signature(type(theirs).forward).parameters) - {*given, "self", "kwargs"}:
        same(ours(**given, **{name: None}), theirs(**given))


def test_states_and_attentions(pair: Any) -> None:
    name, ours, theirs, given = pair
    wanted = {"output_attentions": True, "output_hidden_states": True}
    mine, expected = ours(**given, **wanted), theirs(**given, **wanted)
    if name in ("BertModel", "RobertaModel"):
        expected = without_cross(expected)
    for key in ("text_model_output",) if name in UNTOLD else ():
        assert mine[key].attentions is not None
        mine[key].attentions = mine[key].hidden_states = None
    if name == "VisionTextDualEncoderModel":
        expected["text_model_output"] = without_cross(expected.text_model_output)
    same(mine, expected)
    same(mine.to_tuple(), expected.to_tuple())


def test_tuples(pair: Any) -> None:
    name, ours, theirs, given = pair
    more = {"return_loss": True} if name in WHOLE else {}
    expected = theirs(**given, **more, return_dict=False)
    same(ours(**given, **more, return_dict=False), expected)
    same(ours.forward(**given, **more, return_dict=False), expected)
    assert isinstance(ours(**given, return_dict=None), dict)


def test_features(pair: Any) -> None:
    _, ours, theirs, given = pair
    for method in (method for method in FEATURES if hasattr(theirs, method)):
        of_text = method == "get_text_features"
        own = {key: value for key, value in given.items() if (key != "pixel_values") == of_text}
        mine, reference = getattr(ours, method), getattr(theirs, method)
        same(mine(**own), reference(**own))
        same(mine(*own.values()), reference(**own))
        same(mine(**own, return_dict=False), reference(**own, return_dict=False))
        if not method.startswith("get_text"):  # a BERT's has a name for decoders
            assert type(mine(**own)).__name__ == type(reference(**own)).__name__
        wanted = {"output_hidden_states": True}
        same(mine(**own, **wanted), reference(**own, **wanted))


@pytest.mark.parametrize("name", ALL)
def test_the_config_says_what_the_call_leaves_open(name: str) -> None:
    ours, _ = twins.twins(name)
    given = twins.inputs(name)
    ours.config.output_hidden_states = ours.config.output_attentions = True
    with torch.no_grad():
        out = ours(**given)
        part = out.vision_model_output if name in WHOLE else out
        assert part.hidden_states is not None
        assert ("attentions" in part) == (not name.startswith("Align") or name == "AlignTextModel")
        less = ours(**given, output_hidden_states=False, output_attentions=False)
        part = less.vision_model_output if name in WHOLE else less
        assert "hidden_states" not in part
        assert "attentions" not in part
        ours.config.return_dict = False
        assert isinstance(ours(**given), tuple)
        assert isinstance(ours(**given, return_dict=True), dict)
        if name in WHOLE:
            assert isinstance(ours.get_text_features(given["input_ids"]), tuple)
            assert ours.encode(given["pixel_values"], given["input_ids"]).texts[0].shape[0] == 3


@pytest.mark.parametrize("kind", [torch.bool, torch.int32, torch.float32])
def test_masks_of_any_kind(pair: Any, kind: torch.dtype) -> None:
    name, ours, theirs, given = pair
    if name not in VISION:
        given = given | {"attention_mask": given["attention_mask"].to(kind)}
        same(ours(**given), theirs(**given))


def test_padding_on_the_left(pair: Any) -> None:
    name, ours, theirs, given = pair
    if name in VISION:
        return
    places = [9 - int(row.sum()) for row in given["attention_mask"]]
    ids = torch.stack([row.roll(shift) for row, shift in zip(given["input_ids"], places, strict=True)])
    given = given | {"input_ids": ids, "attention_mask": given["attention_mask"].flip(1)}
    mine, expected = ours(**given), theirs(**given)
    for key in {"pooler_output", "text_embeds", "logits_per_text"} & set(expected):
        same(mine[key], expected[key], key)


def test_positions_types_and_embeddings_of_ones_own(pair: Any) -> None:
    name, ours, theirs, given = pair
    if name in VISION:
        return
    given = given | {"position_ids": torch.arange(1, 10).flip(0).expand(3, -1)}
    same(ours(**given), theirs(**given))
    if name in (*BERTS, "VisionTextDualEncoderModel"):
        typed = given | {"token_type_ids": torch.ones(3, 9, dtype=torch.long)}
        same(ours(**typed), theirs(**typed))
    if name in BERTS:
        embeds = {"inputs_embeds": torch.linspace(-1, 1, 3 * 9 * 16).view(3, 9, 16)}
        for left_out in ({"input_ids"}, {"input_ids", "position_ids"}):
            rest = {key: value for key, value in given.items() if key not in left_out} | embeds
            same(ours(**rest), theirs(**rest))
        with pytest.raises(sightline.SightlineError, match="give one of them"):
            ours(**given, **embeds)


def test_pictures_of_other_sizes(pair: Any) -> None:
    name, ours, theirs, given = pair
    if name in TEXT:
        return
    pixels = given["pixel_values"]
    larger = F.interpolate(pixels.flatten(0, -4), scale_factor=2).unflatten(0, pixels.shape[:-3])
    mine = ours(**given | {"pixel_values": larger}, interpolate_pos_encoding=True)
    # The reference's GroupViT interpolates in its embeddings alone, and its dual encoder nowhere.
    if "GroupViT" not in name and name != "VisionTextDualEncoderModel":
        same(mine, theirs(**given | {"pixel_values": larger}, interpolate_pos_encoding=True))
    if not name.startswith("Align"):
        with pytest.raises(sightline.SightlineError, match="interpolate_pos_encoding=True or resize"):
            ours(**given | {"pixel_values": larger})
    same(ours(**given | {"pixel_values": pixels.double()}), ours(**given))


def test_what_is_missing_or_wrong_is_said(pair: Any) -> None:
    name, ours, _, given = pair
    with pytest.raises(sightline.SightlineError, match=r"needs (input_ids|them|one of them)"):
        ours()
    with pytest.raises(TypeError, match="'pixels'"):
        ours(**given, pixels=1)
    if name not in VISION:
        with pytest.raises(sightline.SightlineError, match="one number a token"):
            ours(**given | {"attention_mask": torch.ones(3, 1, 9, 9)})
    if name in ("BertModel", "RobertaModel"):
        with pytest.raises(sightline.SightlineError, match="an encoder"):
            ours(**given, encoder_hidden_states=torch.ones(3, 9, 16))


def test_segmentation() -> None:
    ours, theirs = twins.twins("GroupViTModel")
    given = twins.inputs("GroupViTModel")
    with torch.no_grad():
        for more in ({}, {"return_dict": False}, {"return_loss": True}):
            same(ours(**given, output_segmentation=True, **more), theirs(**given, output_segmentation=True, **more))


@pytest.mark.parametrize("name", WHOLE)
def test_parts_that_are_assigned_are_used(name: str) -> None:
    ours, theirs = twins.twins(name)
    given = twins.inputs(name)
    width = ours.config.projection_dim
    if name != "GroupViTModel":
        new = torch.nn.Linear(16, width, bias=False)
        ours.text_projection = theirs.text_projection = new
        assert ours.text_embed_dim == new.in_features
    if hasattr(ours, "logit_scale"):
        ours.logit_scale.data = torch.log(torch.tensor(7.0))
        theirs.logit_scale.data = torch.log(torch.tensor(7.0))
    with torch.no_grad():
        same(ours(**given), theirs(**given))


def test_every_class_that_both_have_is_here() -> None:
    named = {name for name in sightline.__all__ if isinstance(getattr(sightline, name), type)}
    models = {name for name in named if issubclass(getattr(sightline, name), PretrainedModel)}
    models -= {name for name in models if name.endswith("PreTrainedModel")}
    assert {name for name in models if hasattr(transformers, name)} == set(ALL)
