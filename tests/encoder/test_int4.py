"""Precision "int4": towers with weights in 4 bits, and checkpoints that were quantised before."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import sightline
from sightline import scenes
from sightline.errors import UsageError

TEXTS = ["a red circle above a blue square", "two green triangles", "a yellow star"]


@pytest.fixture(scope="module")
def pictures() -> list[object]:
    return [scene.draw(64) for scene in scenes.distinct(6, seed=3)]


@pytest.fixture(scope="module")
def eight_bits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged CLIP as a checkpoint in 8 bits, with all that an encoder reads."""
    folder = tmp_path_factory.mktemp("eight")
    sightline.CLIPModel.from_pretrained("mini", load_in_8bit=True).save_pretrained(folder)
    sightline.CLIPProcessor.from_pretrained("mini").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def four_bits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bits") / "four"
    sightline.CLIPModel.from_pretrained("mini", load_in_4bit=True).save_pretrained(folder)
    sightline.CLIPProcessor.from_pretrained("mini").save_pretrained(folder)
    return folder


def test_vectors_are_near_those_in_float32(pictures: list[object]) -> None:
    plain, small = (sightline.load("mini", precision=name) for name in ("float32", "int4"))
    assert small.precision == "int4"
    for encode in ("encode_images", "encode_text"):
        given = pictures if encode == "encode_images" else TEXTS
        a, b = getattr(plain, encode)(given), getattr(small, encode)(given)
        assert (a * b).sum(1).mean() > 0.95  # a model of few numbers, whose maps are small
    maps = [type(module).__name__ for module in small._image.modules()]
    assert maps.count("Linear4bit") > 4


@pytest.mark.parametrize("kind", ["int4", "8 bits"])
def test_no_picture_s_vector_depends_on_the_others(kind: str, pictures: list[object], eight_bits: Path) -> None:
    precision = "int4" if kind == "int4" else "float32"
    encoder = sightline.load("mini" if kind == "int4" else eight_bits, precision=precision, batch_size=3)
    first = encoder.encode_images(pictures[:3])
    other = encoder.encode_images([pictures[4], pictures[1], pictures[5]])
    assert np.array_equal(first[1], other[1])
    assert not np.array_equal(first[0], other[0])


def test_a_checkpoint_in_4_bits_computes_in_the_precision_that_is_asked_for(tmp_path: Path) -> None:
    model = sightline.CLIPModel.from_pretrained(
        "mini", quantization_config=sightline.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype="float16")
    )
    model.save_pretrained(tmp_path)
    sightline.CLIPProcessor.from_pretrained("mini").save_pretrained(tmp_path)
    encoder = sightline.load(tmp_path, precision="float32")
    layer = encoder._image.get_submodule("vision_model.encoder.layers.0.mlp.fc1")
    assert layer.compute_dtype == torch.float32
    with torch.no_grad():
        inputs = sightline.CLIPProcessor.from_pretrained("mini")(text=TEXTS, return_tensors="pt", padding=True)
        expected = model.get_text_features(**inputs).pooler_output
    found = encoder.encode_text(TEXTS)
    assert (found * torch.nn.functional.normalize(expected).numpy()).sum(1).min() > 0.999


def test_what_is_quantised_is_not_quantised_in_another_way(four_bits: Path, pictures: list[object]) -> None:
    with pytest.raises(UsageError, match=r"its weights were quantised by bitsandbytes; .*dequantize") as told:
        sightline.load(four_bits, precision="int8").encode_images(pictures)
    assert "\n" not in str(told.value)
    vectors = [sightline.load(four_bits, precision=name).encode_images(pictures) for name in ("int4", "auto")]
    assert np.array_equal(*vectors)
    assert sightline.load(four_bits, precision="fast").encode_images(pictures).shape == vectors[0].shape


def test_an_encoder_in_4_bits_is_pickled(pictures: list[object]) -> None:
    encoder = sightline.load("mini", precision="int4")
    expected = encoder.encode_images(pictures)
    assert np.array_equal(pickle.loads(pickle.dumps(encoder)).encode_images(pictures), expected)


def test_a_tower_without_linear_maps_is_one_line(pictures: list[object]) -> None:
    encoder = sightline.load("mini-align", precision="int4")
    assert encoder.encode_text(TEXTS).shape[0] == 3
    with pytest.raises(UsageError, match="has no linear maps, so nothing of it can be quantised") as told:
        encoder.encode_images(pictures[:1])
    assert "\n" not in str(told.value)
