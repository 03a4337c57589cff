"""Pixels equal to transformers' PIL processors, to the last bit; files of every age; pictures of every shape."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image
from transformers import CLIPImageProcessorPil
from transformers.models.efficientnet.image_processing_pil_efficientnet import EfficientNetImageProcessorPil
from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

from sightline.errors import CheckpointError, ImageError
from sightline.processing.image import profile as pixels
from sightline.processing.image.preprocessor_config import CLIP_MEAN, CLIP_STD
from sightline.processing.image.profile import PixelProfile
from support.examples import examples

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
SMALL = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
ALIGN = {
    "image_processor_type": "EfficientNetImageProcessor",
    "size": {"height": 46, "width": 46},
    "crop_size": {"height": 39, "width": 39},
    "do_center_crop": True,
    "do_normalize": False,
    "include_top": False,
    "rescale_factor": 1 / 127.5,
    "rescale_offset": True,
    "resample": 2,
}
PROFILES = {
    "CLIP": SMALL,
    "CLIP, odd crop": {"size": {"shortest_edge": 33}, "crop_size": {"height": 20, "width": 27}},
    "CLIP, crop larger": {"size": {"shortest_edge": 20}, "crop_size": {"height": 31, "width": 34}},
    "CLIP, bilinear": SMALL | {"resample": 2},
    "CLIP, lanczos": SMALL | {"resample": 1},
    "CLIP, nearest": SMALL | {"resample": 0},
    "CLIP, squash": SMALL | {"size": {"height": 30, "width": 41}},
    "CLIP, no resize": SMALL | {"do_resize": False},
    "CLIP, no normalize": SMALL | {"do_normalize": False},
    "CLIP, no rescale": SMALL | {"do_rescale": False},
    "GroupViT": SMALL | IMAGENET,
    "X-CLIP": SMALL | IMAGENET | {"image_processor_type": "VideoMAEImageProcessor"},
    "ALIGN": ALIGN,
    "ALIGN, top": ALIGN | {"include_top": True, "do_normalize": True},
}
REFERENCES = {
    "CLIPImageProcessor": CLIPImageProcessorPil,
    "EfficientNetImageProcessor": EfficientNetImageProcessorPil,
    "VideoMAEImageProcessor": VideoMAEImageProcessorPil,
}
# Every remainder of long and short side by 4, both ways up; tiny, narrow, just fitting.
SIZES = [(64 + i, 97 + j) for i in range(4) for j in range(4)] + [(97 + j, 64 + i) for i in range(4) for j in range(4)]
SIZES += [
    (1, 1),
    (1, 2),
    (2, 1),
    (1, 60),
    (60, 1),
    (3, 500),
    (500, 3),
    (32, 32),
    (31, 33),
    (33, 31),
    (46, 46),
    (39, 39),
]
SIZES += [(32, 35), (35, 32), (300, 200), (32, 999)]


def picture(height, width, mode="RGB", seed=0):
    rng = np.random.default_rng([height, width, seed])
    smooth = rng.integers(0, 256, (height // 3 + 1, width // 3 + 1, 3), np.uint8).repeat(3, 0).repeat(3, 1)
    noise = rng.integers(-30, 30, (height, width, 3))
    array = (smooth[:height, :width] + noise).clip(0, 255).astype(np.uint8)
    return Image.fromarray(array).convert(mode)


def reference(data):
    kind = REFERENCES[data.get("image_processor_type", "CLIPImageProcessor")](**data)

    def values(image):
        if isinstance(kind, VideoMAEImageProcessorPil):
            return kind([image], return_tensors="np").pixel_values[0]
        return kind(image, return_tensors="np").pixel_values

    return values


def agree(data, image):
    profile = PixelProfile.from_dict(data)
    ours = profile.normalize(profile.resize_and_crop(image)[None])
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours, reference(data)(image))


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_and_size_to_the_last_bit(name):
    for size in SIZES:
        agree(PROFILES[name], picture(*size))


@examples(150)
@given(
    size=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    edge=st.integers(1, 60),
    crop=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_any_geometry_to_the_last_bit(size, edge, crop):
    data = {"size": {"shortest_edge": edge}, "crop_size": {"height": crop[0], "width": crop[1]}}
    agree(data, picture(*size))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "I", "F"])
def test_pictures_handed_over_open_in_every_mode(mode):
    image = picture(50, 70, "RGBA" if mode in ("RGBA", "LA", "PA") else "RGB")
    if "A" in mode and mode != "LAB":
        image.putalpha(picture(50, 70, "L", seed=1))
    image = image.convert("L").convert(mode) if mode in ("I", "F", "PA") else convert(image, mode)
    agree(SMALL, image)


def convert(image, mode):
    if mode != "LAB":
        return image.convert(mode)
    return Image.frombytes("LAB", image.size, image.convert("RGB").tobytes())


def test_a_transparent_color_is_laid_on_white():
    image = picture(40, 60).quantize(16)
    image.info["transparency"] = 3
    agree(SMALL, image)
    image = picture(40, 60)
    image.info["transparency"] = image.getpixel((5, 5))
    agree(SMALL, image)


@pytest.mark.parametrize("size", [(10, 9_000), (9_000, 10), (7, 3_001), (3_001, 7), (1, 900), (900, 1), (223, 9_999)])
def test_a_narrow_picture_is_the_same_without_the_whole_resize(size, monkeypatch):
    image, profile = picture(*size), PixelProfile.from_dict({})
    monkeypatch.setattr(pixels, "_WINDOW_ABOVE", 0)
    windowed = profile.resize_and_crop(image)
    monkeypatch.setattr(pixels, "_WINDOW_ABOVE", 1 << 40)
    monkeypatch.setattr(pixels, "MAX_PIXELS", 1 << 40)
    np.testing.assert_array_equal(windowed, profile.resize_and_crop(image))


@examples(150)
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    edge=st.integers(1, 120),
    crop=st.integers(1, 150),
    resample=st.sampled_from([2, 3]),
)
def test_the_window_is_the_same_for_any_geometry(size, edge, crop, resample):
    image = picture(*size)
    data = {"size": {"shortest_edge": edge}, "crop_size": crop, "resample": resample}
    profile = PixelProfile.from_dict(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels, "_WINDOW_ABOVE", 0)  # of what is reduced, the whole is computed all the same
        windowed = profile.resize_and_crop(image)
    np.testing.assert_array_equal(windowed, profile.resize_and_crop(image))


@pytest.mark.parametrize("size", [(1, 20_000_000), (20_000_000, 1)])
def test_the_narrowest_picture_needs_no_memory(size):
    image, profile = Image.new("RGB", size[::-1], (9, 8, 7)), PixelProfile.from_dict({})
    tracemalloc.start()
    assert (profile.resize_and_crop(image) == (9, 8, 7)).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_a_picture_too_narrow_for_a_whole_resize_is_an_error():
    profile = PixelProfile.from_dict({"do_center_crop": False})
    with pytest.raises(ImageError, match="1 x 3000000: too narrow"):
        profile.resize_and_crop(Image.new("RGB", (1, 3_000_000)))


def test_a_batch_in_bytes_and_in_floats():
    profile = PixelProfile.from_dict(SMALL)
    crops = np.stack([profile.resize_and_crop(picture(40, 60, seed=seed)) for seed in range(3)])
    assert crops.dtype == np.uint8
    assert crops.shape == (3, 32, 32, 3)
    by_table = profile.normalize(crops)
    assert by_table.shape == (3, 3, 32, 32)
    np.testing.assert_array_equal(by_table, profile.normalize(crops.astype(np.float32)))
    expected = (crops / 255 - CLIP_MEAN) / CLIP_STD
    np.testing.assert_allclose(by_table, np.moveaxis(expected, -1, 1), atol=1e-6)


AGES = {
    "2021": (
        {
            "crop_size": 40,
            "do_center_crop": True,
            "do_normalize": True,
            "do_resize": True,
            "feature_extractor_type": "CLIPFeatureExtractor",
            "image_mean": list(CLIP_MEAN),
            "image_std": list(CLIP_STD),
            "resample": 3,
            "size": 42,
        },
        {"size": 42, "crop_size": (40, 40)},
    ),
    "2022": (
        {
            "image_processor_type": "CLIPImageProcessor",
            "size": {"shortest_edge": 42},
            "crop_size": {"height": 9, "width": 8},
        },
        {"size": 42, "crop_size": (9, 8)},
    ),
    "fast": (
        {"image_processor_type": "CLIPImageProcessorFast", "size": {"height": 30, "width": 31}, "do_convert_rgb": None},
        {"size": (30, 31), "crop_size": (224, 224)},
    ),
    "empty": (
        {},
        {"size": 224, "crop_size": (224, 224), "resample": 3, "image_mean": CLIP_MEAN, "rescale_factor": 1 / 255},
    ),
    "nulls": (
        {"size": None, "image_mean": None, "do_rescale": None},
        {"size": 224, "image_mean": CLIP_MEAN, "do_rescale": True},
    ),
    "one mean": ({"image_mean": 0.5, "image_std": 1}, {"image_mean": (0.5,) * 3, "image_std": (1.0,) * 3}),
    "video": ({"feature_extractor_type": "VideoMAEFeatureExtractor", "size": 224}, {"size": 224, "resample": 2}),
    "squashing": (
        {"image_processor_type": "EfficientNetImageProcessor", "size": 300, "include_top": False},
        {"size": (300, 300), "do_center_crop": False, "crop_size": (289, 289), "include_top": False},
    ),
}


@pytest.mark.parametrize("age", AGES)
def test_files_of_every_age(age, tmp_path):
    data, expected = AGES[age]
    profile = PixelProfile.from_dict(data)
    assert {name: getattr(profile, name) for name in expected} == expected
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(data))
    assert PixelProfile.from_folder(tmp_path) == profile
    assert PixelProfile.from_dict(profile.to_dict()) == profile
    nested = {"image_processor": profile.to_dict(), "processor_class": "CLIPProcessor"}
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": 7}))
    assert PixelProfile.from_folder(tmp_path) == profile
    (tmp_path / "processor_config.json").write_text(json.dumps({"processor_class": "CLIPProcessor"}))
    assert PixelProfile.from_folder(tmp_path).size == 7


@pytest.mark.parametrize(
    ("cfg", "vision", "expected"),
    [
        ({"mean": [0.5] * 3, "std": [0.25] * 3}, {"image_size": 240}, (240, (240, 240), 3, (0.5,) * 3)),
        (
            {"interpolation": "bilinear", "resize_mode": "squash"},
            {"image_size": 96},
            ((96, 96), (96, 96), 2, CLIP_MEAN),
        ),
        ({"size": [200, 180]}, {}, (180, (200, 180), 3, CLIP_MEAN)),
    ],
)
def test_open_clips_own_file(tmp_path, cfg, vision, expected):
    data = {"model_cfg": {"vision_cfg": vision}, "preprocess_cfg": cfg}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(data))
    profile = PixelProfile.from_folder(tmp_path)
    assert (profile.size, profile.crop_size, profile.resample, profile.image_mean) == expected


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"size": "224"}, "size is '224'"),
        ({"size": 0}, "size is 0"),
        ({"size": True}, "size is True"),
        ({"size": {"longest_edge": 20}}, "size is"),
        ({"size": {"shortest_edge": 20, "longest_edge": 20}}, "size is"),
        ({"size": 10**9}, "size is"),
        ({"crop_size": [1, 2, 3]}, "crop_size is"),
        ({"crop_size": {"height": -1, "width": 3}}, "crop_size is -1"),
        ({"resample": 17}, "resample is 17"),
        ({"resample": "bicubic"}, "resample is 'bicubic'"),
        ({"image_mean": [0.5, 0.5]}, "image_mean"),
        ({"image_mean": "grey"}, "image_mean"),
        ({"image_std": [1, 0, 1]}, "image_std"),
        ({"rescale_factor": float("nan")}, "rescale_factor"),
        ({"do_resize": "yes"}, "do_resize is 'yes'"),
        ({"do_pad": True}, "do_pad"),
        ({"image_processor_type": "ViltImageProcessor"}, "ViltImageProcessor"),
    ],
)
def test_a_value_that_makes_no_sense_is_named_with_its_file(tmp_path, data, says):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=says) as caught:
        PixelProfile.from_folder(tmp_path)
    assert str(tmp_path / "preprocessor_config.json") in str(caught.value)


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        (None, "", "no preprocessor_config.json"),
        ("preprocessor_config.json", "{", "not JSON"),
        ("preprocessor_config.json", "[]", "expected an object"),
        ("processor_config.json", "\xff", "not JSON"),
        ("open_clip_config.json", '{"preprocess_cfg": {"resize_mode": "longest"}}', "longest"),
    ],
)
def test_a_folder_without_a_readable_file_is_named(tmp_path, file, text, says):
    if file:
        (tmp_path / file).write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=says) as caught:
        PixelProfile.from_folder(tmp_path)
    assert str(tmp_path) in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["height", "width", "shortest_edge"]), inner)
    ),
    max_leaves=4,
)


@examples(500)
@given(data=st.dictionaries(st.sampled_from([*PixelProfile.from_dict({}).to_dict(), "rescale_offset", "do_pad"]), JSON))
def test_whatever_a_file_holds_is_a_profile_or_an_error(data):
    try:
        profile = PixelProfile.from_dict(data)
    except CheckpointError:
        return
    assert PixelProfile.from_dict(profile.to_dict()).to_dict() == profile.to_dict()


@pytest.mark.parametrize(
    ("data", "hint"),
    [({}, 224), ({"size": {"height": 30, "width": 46}}, 46), ({"do_resize": False}, 1 << 30)],
)
def test_the_hint_for_decoding(data, hint):
    assert PixelProfile.from_dict(data).size_hint == hint


@pytest.mark.shared
def test_photos_through_the_checkpoints_own_files(shared):
    from transformers import CLIPImageProcessorPil

    folder = shared / "checkpoints" / "clip-flickr8k"
    profile, theirs = PixelProfile.from_folder(folder), CLIPImageProcessorPil.from_pretrained(folder)
    for path in sorted((shared / "data" / "photos" / "images").iterdir())[:20]:
        with Image.open(path) as image:
            expected = theirs(image, return_tensors="np").pixel_values
            np.testing.assert_array_equal(profile.normalize(profile.resize_and_crop(image)[None]), expected)
