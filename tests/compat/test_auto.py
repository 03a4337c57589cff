"""`AutoConfig` and `AutoModel*` beside the reference's."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import sightline
from sightline.checkpoint.names import PACKAGED
from sightline.errors import OtherFamily, UsageError
from support import tiny

EITHER = ["sightline", "transformers"]
KINDS = [*tiny.FAMILIES, *(f"{family}_{part}_model" for family in tiny.FAMILIES for part in ("text", "vision"))]
KINDS += ["vision-text-dual-encoder", "bert", "roberta"]
TINY = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
TOWERS = {
    "bert": TINY | {"vocab_size": 20},
    "roberta": TINY | {"vocab_size": 20},
    "clip_text_model": TINY | {"vocab_size": 20},
    "clip_vision_model": TINY,
}
MODELS = ["AutoModel", "AutoModelForZeroShotImageClassification", "AutoModelForImageClassification"]


def library(name: str) -> Any:
    return {"sightline": sightline, "transformers": transformers}[name]


@pytest.mark.parametrize("kind", KINDS)
def test_configs_by_kind(kind: str, tmp_path: Path) -> None:
    further = {"vision_config": {"model_type": "clip_vision_model"}} if "dual" in kind else {}
    theirs = transformers.AutoConfig.for_model(kind, problem_type="regression", **further)
    ours = sightline.AutoConfig.for_model(kind, problem_type="regression")
    assert type(ours).__name__ == type(theirs).__name__
    ours.save_pretrained(tmp_path)
    for lib in EITHER:
        opened, unused = library(lib).AutoConfig.from_pretrained(
            tmp_path, return_unused_kwargs=True, foo=1, output_attentions=True, local_files_only=True
        )
        assert type(opened).__name__ == type(theirs).__name__
        assert (opened.output_attentions, opened.problem_type, opened.name_or_path) == (
            True,
            "regression",
            str(tmp_path),
        )
        assert unused["foo"] == 1


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_whole_models(family: str, tmp_path: Path) -> None:
    config = tiny.config(family, 0.0)
    made = sightline.AutoModel.from_config(config, dtype="float64")
    assert type(made) is sightline.models.FAMILIES[family].model
    assert made.dtype == torch.float64
    made.save_pretrained(tmp_path)
    opened = sightline.AutoModel.from_pretrained(tmp_path, torch_dtype=torch.float32, output_hidden_states=True)
    assert type(opened) is type(made)
    assert opened.dtype == torch.float32
    assert opened.config.output_hidden_states
    assert type(transformers.AutoModel.from_pretrained(tmp_path)).__name__ == type(made).__name__


@pytest.mark.parametrize("kind", TOWERS)
@pytest.mark.parametrize("lib", EITHER)
def test_towers(kind: str, lib: str, tmp_path: Path) -> None:
    of = library(lib)
    config = of.AutoConfig.for_model(kind, **TOWERS[kind])
    made = of.AutoModel.from_config(config)
    made.save_pretrained(tmp_path)
    for other in EITHER:
        opened = library(other).AutoModel.from_pretrained(tmp_path)
        assert type(opened).__name__ == type(made).__name__
        assert opened.config.hidden_size == 8
    assert of.AutoModel.from_pretrained(tmp_path, config=config).num_parameters() == made.num_parameters()


@pytest.mark.parametrize("family", ["clip", "align"])
def test_zero_shot(family: str) -> None:
    model = sightline.AutoModelForZeroShotImageClassification.from_config(tiny.config(family, 0.0))
    assert type(model) is sightline.models.FAMILIES[family].model


def test_image_classification(tmp_path: Path) -> None:
    tiny.model("clip").save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="the classifier of 3 classes is new"):
        model = sightline.AutoModelForImageClassification.from_pretrained(tmp_path, num_labels=3)
    assert type(model).__name__ == "CLIPForImageClassification"
    assert model.config.num_labels == 3


@pytest.mark.parametrize("lib", EITHER)
@pytest.mark.parametrize("name", ["AutoConfig", *MODELS])
def test_they_have_no_objects(lib: str, name: str) -> None:
    with pytest.raises(OSError, match=rf"{name}.*from_pretrained"):
        getattr(library(lib), name)()


@pytest.mark.parametrize("name", ["AutoConfig", *MODELS])
def test_the_table_of_families_is_not_changed_at_run_time(name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name}.register.*docs/adding-a-family.md"):
        getattr(sightline, name).register("duo", sightline.CLIPConfig)


def test_another_family_is_named(tmp_path: Path) -> None:
    transformers.AutoConfig.for_model("vit").save_pretrained(tmp_path)
    with pytest.raises(OtherFamily, match=r"'vit' cannot be opened; only align, .*clip_text_model.*, xclip"):
        sightline.AutoConfig.from_pretrained(tmp_path)
    with pytest.raises(OtherFamily, match="AutoModel has no model for model_type 'vit'; it has one for align, clip"):
        sightline.AutoModel.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="'vit' cannot be opened"):
        sightline.AutoConfig.for_model("vit")
    with pytest.raises(OtherFamily, match="no model for model_type 'align'; it has one for clip"):
        sightline.AutoModelForImageClassification.from_pretrained(PACKAGED / "mini-align")


def test_processing_of_videos_and_pictures_alone() -> None:
    videos = sightline.AutoVideoProcessor.from_pretrained("mini-xclip")
    assert type(videos) is sightline.VideoMAEImageProcessor
    assert type(sightline.AutoFeatureExtractor.from_pretrained("mini")) is sightline.CLIPImageProcessor
    with pytest.raises(sightline.SightlineError, match="takes images; open it with AutoImageProcessor"):
        sightline.AutoVideoProcessor.from_pretrained("mini")
    for auto in (sightline.AutoVideoProcessor, sightline.AutoFeatureExtractor):
        with pytest.raises(sightline.SightlineError, match="from_pretrained"):
            auto()


@pytest.mark.parametrize("kind", ["PYTORCH", "NUMPY"])
def test_kinds_of_tensors_by_name(kind: str) -> None:
    member, theirs = sightline.TensorType[kind], transformers.TensorType[kind]
    assert member == theirs.value
    found = sightline.CLIPProcessor.from_pretrained("mini")(text=["a dog"], return_tensors=member)
    assert type(found.input_ids).__module__ == ("torch" if kind == "PYTORCH" else "numpy")
