"""Configs as scripts for `transformers` use them, beside the reference's."""

import copy
import inspect
import json
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import sightline
from sightline.errors import CheckpointError, UsageError
from sightline.models.families import FAMILIES

FAMILY_NAMES = ["CLIP", "Align", "GroupViT", "XCLIP"]
TOWERS = [f"{name}{part}Config" for name in FAMILY_NAMES for part in ("Text", "Vision")] + [
    "BertConfig",
    "RobertaConfig",
]
PAIRS = [f"{name}Config" for name in FAMILY_NAMES]
EITHER = ["sightline", "transformers"]
DUAL = {"text_config": {"model_type": "bert"}, "vision_config": {"model_type": "clip_vision_model"}}


def library(name: str) -> Any:
    return {"sightline": sightline, "transformers": transformers}[name]


def same(ours: Any, theirs: Any) -> bool:
    """Equal, where a list is a tuple; the reference's version aside."""
    if isinstance(theirs, Mapping):
        ours, theirs = ({k: v for k, v in side.items() if k != "transformers_version"} for side in (ours, theirs))
        return ours.keys() == theirs.keys() and all(same(ours[key], value) for key, value in theirs.items())
    if isinstance(theirs, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return bool(ours == theirs)


@pytest.mark.parametrize("name", TOWERS + PAIRS)
def test_each_argument_of_the_reference_with_its_default(name: str) -> None:
    reference, ours = getattr(transformers, name), getattr(sightline, name)
    for argument in inspect.signature(reference).parameters.values():
        value = getattr(reference(), argument.name)
        if isinstance(value, transformers.PreTrainedConfig):
            value = value.to_dict()
        assert argument.name in ours()
        given = getattr(ours(**{argument.name: argument.default}), argument.name)
        assert same(given.to_dict() if isinstance(given, sightline.PreTrainedConfig) else given, value), argument.name


@pytest.mark.parametrize("name", [*TOWERS, *PAIRS, "VisionTextDualEncoderConfig"])
def test_dictionaries_go_both_ways(name: str) -> None:
    further = {"foo": [1, {"a": None}], "architectures": ["X"], "dtype": "float16"}
    further |= {"num_labels": 3, "output_attentions": True, "return_dict": False, "name_or_path": "here"}
    reference = getattr(transformers, name)(**further | (DUAL if "Dual" in name else {}))
    ours = getattr(sightline, name)(**reference.to_dict())
    assert same(ours.to_dict(), reference.to_dict())
    assert same(ours.to_diff_dict(), reference.to_diff_dict())
    assert same(type(reference)(**ours.to_dict()).to_dict(), reference.to_dict())
    assert same(json.loads(ours.to_json_string()), json.loads(reference.to_json_string()))
    assert same(json.loads(ours.to_json_string(use_diff=False)), json.loads(reference.to_json_string(use_diff=False)))
    assert repr(ours) == f"{name} {ours.to_json_string()}"


@pytest.mark.parametrize("name", [*TOWERS, *PAIRS, "VisionTextDualEncoderConfig"])
@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ("use_cache", False),
        ("output_attentions", True),
        ("output_hidden_states", True),
        ("return_dict", False),
        ("problem_type", "regression"),
        ("architectures", ["CLIPModel"]),
        ("name_or_path", "somewhere"),
        ("torch_dtype", torch.bfloat16),
        ("num_labels", 5),
        ("chunk_size_feed_forward", 4),
        ("foo", {"bar": [1]}),
        ("_attn_implementation", "eager"),
    ],
)
def test_assignment(name: str, changed: str, value: Any, tmp_path: Path) -> None:
    kind, reference = getattr(sightline, name), getattr(transformers, name)
    ours, theirs = kind(), reference(**DUAL) if "Dual" in name else reference()
    for config in (ours, theirs):
        setattr(config, changed, value)
        assert getattr(config, changed) == value
    assert same(ours.to_diff_dict(), theirs.to_diff_dict())
    for again in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), kind(**ours.to_dict())):
        assert same(again.to_dict(), ours.to_dict())
    assert (kind() == ours) == (changed in ("name_or_path", "_attn_implementation"))
    ours.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* unknown keys foo")
        assert same(kind.from_pretrained(tmp_path).to_diff_dict(), ours.to_diff_dict())
    if changed != "use_cache":  # which the reference loses with most classes
        assert same(reference.from_pretrained(tmp_path).to_diff_dict(), theirs.to_diff_dict())


@pytest.mark.parametrize("lib", EITHER)
def test_towers_are_assigned_to(lib: str) -> None:
    config = library(lib).CLIPConfig()
    config.vision_config.image_size = 384
    config.vision_config.hidden_size = 64  # for a moment no multiple of its 12 heads
    config.vision_config.num_attention_heads = 4
    config.projection_dim = 64
    config.text_config.update({"vocab_size": 99, "note": "mine"})
    again = type(config)(**config.to_dict())
    assert (again.vision_config.image_size, again.vision_config.hidden_size, again.projection_dim) == (384, 64, 64)
    assert (again.text_config.vocab_size, again.text_config.note) == (99, "mine")
    assert config.get_text_config() is config.text_config
    assert config.text_config.get_text_config() is config.text_config


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("projection_dim", "wide"),
        ("projection_dim", 0),
        ("vision_config", 3),
        ("text_config", {"hidden_size": 0}),
        ("text_config", {"hidden_size": 10}),
        ("return_dict", "no"),
        ("problem_type", "guessing"),
        ("id2label", {"a": "cat"}),
        ("label2id", ["cat"]),
        ("num_labels", -1),
        ("model_type", "align"),
        ("regions", (1, 2, 3)),
        ("to_dict", 4),
    ],
)
def test_what_is_refused_leaves_the_config_as_it_was(name: str, value: Any) -> None:
    config = sightline.CLIPConfig(id2label={0: "cat"})
    before = config.to_dict()
    for change in (
        lambda: setattr(config, name, value),
        lambda: config.update({"initializer_factor": 2.0, name: value}),
        lambda: sightline.CLIPConfig(**{name: value}),
    ):
        with pytest.raises(CheckpointError, match=r"^\S+ config: |the config says") as error:
            change()
        assert "\n" not in str(error.value)
    assert config.to_dict() == before


def test_what_does_not_fit_together_is_refused_where_it_is_used(tmp_path: Path) -> None:
    config = sightline.CLIPConfig()
    config.vision_config.hidden_size = 50
    for use in (config.validate, lambda: config.save_pretrained(tmp_path), lambda: sightline.CLIPModel(config)):
        with pytest.raises(CheckpointError, match="hidden_size 50 is no multiple of 12 heads"):
            use()
    assert not list(tmp_path.iterdir())


def test_a_value_that_json_lacks_is_refused_before_a_file_is_made(tmp_path: Path) -> None:
    config = sightline.CLIPConfig()
    config.function = print
    with pytest.raises(UsageError, match="clip config: a value that JSON cannot hold"):
        config.save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(UsageError, match="nonsense: no such argument"):
        config.save_pretrained(tmp_path / "new", nonsense=True)


@pytest.mark.parametrize("lib", EITHER)
@pytest.mark.parametrize("name", PAIRS)
def test_towers_as_dictionaries_configs_or_none(lib: str, name: str) -> None:
    kind = getattr(library(lib), name)
    text, vision = (getattr(library(lib), name.replace("Config", f"{part}Config")) for part in ("Text", "Vision"))
    assert kind.sub_configs == {"text_config": text, "vision_config": vision}
    mixed = kind(text_config=text(hidden_dropout_prob=0.5), vision_config={"hidden_act": "gelu"})
    assert (mixed.text_config.hidden_dropout_prob, mixed.vision_config.hidden_act) == (0.5, "gelu")
    assert kind(text_config=None, vision_config=None).to_dict() == kind().to_dict()
    own = text()
    assert kind(text_config=own).text_config is own
    old = kind(text_config={"vocab_size": 9, "pad_token_id": 0}, text_config_dict={"vocab_size": 7, "pad_token_id": 0})
    assert old.text_config.vocab_size == (7 if name != "AlignConfig" or lib == "sightline" else 9)


@pytest.mark.parametrize("name", PAIRS)
def test_from_the_towers_configs(name: str) -> None:
    kind = getattr(sightline, name)
    given = kind(initializer_factor=2.0)
    made = kind.from_text_vision_configs(given.text_config, given.vision_config, initializer_factor=2.0)
    assert made == given
    assert made == kind.from_vision_text_configs(given.vision_config, given.text_config, initializer_factor=2.0)
    assert made.text_config is not given.text_config


@pytest.mark.parametrize("lib", EITHER)
def test_of_a_pair_of_any_towers(lib: str) -> None:
    of = library(lib)
    config = of.VisionTextDualEncoderConfig.from_vision_text_configs(
        of.CLIPVisionConfig(patch_size=16), of.RobertaConfig(vocab_size=70), projection_dim=9
    )
    assert (config.vision_config.patch_size, config.text_config.vocab_size, config.projection_dim) == (16, 70, 9)
    assert type(config.text_config) is of.RobertaConfig


@pytest.mark.parametrize("lib", EITHER)
@pytest.mark.parametrize(("name", "setting"), [("CLIPConfig", "initializer_factor"), ("BertConfig", "layer_norm_eps")])
def test_opening_with_overrides(lib: str, name: str, setting: str, tmp_path: Path) -> None:
    kind = getattr(library(lib), name)
    kind(**{setting: 0.5}).save_pretrained(tmp_path)
    config, unused = kind.from_pretrained(
        tmp_path, output_attentions=True, foo=False, return_unused_kwargs=True, dtype="bfloat16", num_labels=7
    )
    assert (config.output_attentions, unused["foo"], config.num_labels) == (True, False, 7)
    assert str(config.dtype).removeprefix("torch.") == "bfloat16"
    data, rest = kind.get_config_dict(tmp_path, foo=1, local_files_only=True)
    assert (data[setting], rest["foo"]) == (0.5, 1)
    config.to_json_file(tmp_path / "other.json")
    for found in (kind.from_json_file(tmp_path / "other.json"), kind.from_pretrained(tmp_path / "other.json")):
        assert found.to_dict() == config.to_dict()
    if name == "CLIPConfig":
        found = kind.from_pretrained(tmp_path, text_config={"vocab_size": 20, "bos_token_id": 1, "eos_token_id": 2})
        assert (found.text_config.vocab_size, found.text_config.hidden_size) == (20, 512)


@pytest.mark.parametrize("lib", EITHER)
@pytest.mark.parametrize("name", [*PAIRS, "VisionTextDualEncoderConfig"])
def test_a_towers_config_out_of_the_whole(lib: str, name: str, tmp_path: Path) -> None:
    of = library(lib)
    whole = of.VisionTextDualEncoderConfig(**DUAL) if "Dual" in name else getattr(of, name)()
    for tower in (whole.text_config, whole.vision_config):
        tower.initializer_range = 0.5
    whole.save_pretrained(tmp_path)
    for tower in (whole.text_config, whole.vision_config):
        assert type(tower).from_pretrained(tmp_path).to_diff_dict() == tower.to_diff_dict() | _version(lib)


def _version(lib: str) -> dict[str, str]:
    return {"transformers_version": transformers.__version__} if lib == "transformers" else {}


@pytest.mark.parametrize("lib", EITHER)
def test_update_from_a_string(lib: str) -> None:
    config = library(lib).BertConfig(note="mine")
    config.update_from_string("hidden_size=24,layer_norm_eps=0.5,use_cache=false,note=yours")
    assert (config.hidden_size, config.layer_norm_eps, config.use_cache, config.note) == (24, 0.5, False, "yours")
    for wrong in ("nothing=3", "hidden_size=wide", "hidden_size"):
        with pytest.raises(ValueError, match=r"nothing|wide|hidden_size|unpack|dictionary"):
            config.update_from_string(wrong)


def test_labels_that_are_lost_are_told() -> None:
    with pytest.warns(UserWarning, match="num_labels is 3, so the 1 of id2label are lost"):
        assert sightline.CLIPConfig(id2label={0: "cat"}, num_labels=3).id2label[2] == "LABEL_2"


def test_an_override_that_is_no_setting_is_told(tmp_path: Path) -> None:
    sightline.CLIPConfig().save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match=r"clip config: projection_dims is no setting .*did you mean projection_dim\?"):
        sightline.CLIPConfig.from_pretrained(tmp_path, projection_dims=3)


def test_unknown_keys_of_a_file_are_told_and_written_back(tmp_path: Path) -> None:
    data = {"model_type": "clip", "brand_new": {"a": 1}, "text_config": {"older": True}, "tie_word_embeddings": False}
    with pytest.warns(UserWarning, match="unknown keys (older|brand_new)") as told:
        config = sightline.CLIPConfig.from_dict(data)
    assert [str(warning.message) for warning in told] == [
        "clip_text_model config: unknown keys older",
        "clip config: unknown keys brand_new",
    ]
    config.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert (written["brand_new"], written["text_config"]["older"]) == ({"a": 1}, True)
    assert written["tie_word_embeddings"] is False


@pytest.mark.parametrize("family", FAMILIES)
def test_the_settings_of_layers_are_those_alone(family: str) -> None:
    kind = FAMILIES[family].config
    plain = kind()
    loaded = kind(output_attentions=True, num_labels=9, dtype="float16", foo=1, name_or_path="x", problem_type=None)
    loaded.text_config.use_cache = False
    loaded.text_config.foo = 1
    assert loaded.settings() == plain.settings()
    assert loaded != plain


def test_the_class_above_all_holds_any_file(tmp_path: Path) -> None:
    sightline.AlignConfig(foo=3).save_pretrained(tmp_path)
    config = sightline.PretrainedConfig.from_pretrained(tmp_path)
    assert (config.model_type, config.foo, config.projection_dim) == ("align", 3, 640)
    assert isinstance(sightline.CLIPTextConfig(), sightline.PreTrainedConfig)
    assert "torch_dtype" not in sightline.PretrainedConfig().to_dict()
