"""Modes and arrays to 8-bit RGB, compared with the reference's own conversion."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from transformers.image_transforms import convert_to_rgb, to_pil_image

from sightline.errors import ImageError
from sightline.processing.image import color
from sightline.processing.image.color import array_to_rgb, array_to_uint8, to_rgb, to_uint8
from sightline.processing.image.reading import open_image
from support.examples import examples

RNG = np.random.default_rng(3)
RGBA = Image.fromarray(RNG.integers(0, 256, (50, 70, 4), np.uint8))


def with_transparency(image, value):
    image.info["transparency"] = value
    return image


PICTURES = {
    "1": RGBA.convert("RGB").convert("1"),
    "L": RGBA.convert("L"),
    "LA": RGBA.convert("LA"),
    "P": RGBA.convert("RGB").quantize(32),
    "P, one clear": with_transparency(RGBA.convert("RGB").quantize(32), 7),
    "P, half clear": with_transparency(RGBA.convert("RGB").quantize(32), bytes(range(0, 256, 8))),
    "PA": RGBA.convert("PA"),
    "RGB": RGBA.convert("RGB"),
    "RGB, one clear": with_transparency(RGBA.convert("RGB"), RGBA.convert("RGB").getpixel((4, 4))),
    "RGBA": RGBA,
    "RGBa": RGBA.convert("RGBa"),
    "CMYK": RGBA.convert("RGB").convert("CMYK"),
    "YCbCr": RGBA.convert("RGB").convert("YCbCr"),
    "HSV": RGBA.convert("RGB").convert("HSV"),
    "LAB": Image.frombytes("LAB", (70, 50), RGBA.convert("RGB").tobytes()),
}


@pytest.mark.parametrize("strip", [1 << 22, 70 * 7])
@pytest.mark.parametrize("name", PICTURES)
def test_every_mode_is_flattened_as_the_reference_does(name, strip, monkeypatch):
    monkeypatch.setattr(color, "_STRIP_PIXELS", strip)
    flat = to_rgb(PICTURES[name])
    assert flat.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(flat), convert_to_rgb(PICTURES[name], return_numpy=True))


def test_a_mode_that_can_not_be_converted_is_an_error():
    with pytest.raises(ImageError):
        open_image(Image.new("La", (4, 4)))


def grey(picture):
    bands = np.asarray(open_image(picture))
    assert (bands == bands[..., :1]).all()
    return bands[..., 0]


RAMP = np.linspace(0, 1, 4096).reshape(64, 64)


@pytest.mark.parametrize("strip", [1 << 22, 64 * 5])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("dtype", ["<u2", ">u2", "int32"])
def test_deep_integers_fill_the_range(bits, dtype, strip, monkeypatch):
    monkeypatch.setattr(color, "_STRIP_PIXELS", strip)
    values = (RAMP * (2**bits - 1)).astype(dtype)
    picture = Image.fromarray(values)
    assert picture.mode[0] == "I"
    np.testing.assert_array_equal(grey(picture), values >> (bits - 8))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (RAMP, RAMP * 255),
        (RAMP * 0.25, RAMP * 0.25 * 255),
        (RAMP * 300 - 100, RAMP * 255),
        (np.full((4, 4), 7.0), np.full((4, 4), 255)),
        (np.full((4, 4), -7.0), np.zeros((4, 4))),
        (np.full((4, 4), np.nan), np.zeros((4, 4))),
        (np.array([[np.nan, -np.inf, np.inf, 0.5]]), np.array([[0, 0, 255, 128]])),
    ],
)
def test_floats_fill_the_range(values, expected):
    np.testing.assert_allclose(grey(Image.fromarray(values.astype(np.float32))), expected, atol=1)


def test_negative_integers_are_black():
    assert grey(Image.fromarray(np.array([[-5, 0, 255]], np.int32))).tolist() == [[0, 0, 255]]


def test_to_uint8_leaves_others_alone():
    for name, picture in PICTURES.items():
        assert to_uint8(picture) is picture, name


@examples(100)
@given(
    array=st.sampled_from(
        [(1, 9, 7), (3, 9, 7), (4, 9, 7), (9, 7, 1), (9, 7, 3), (9, 7, 4), (3, 7, 3), (1, 1, 1)]
    ).flatmap(lambda shape: arrays(np.uint8, shape) | arrays(np.float32, shape, elements=st.floats(0, 1, width=32)))
)
def test_arrays_of_every_layout_are_those_of_the_reference(array):
    theirs = convert_to_rgb(array, return_numpy=True)
    ours = array_to_rgb(array)
    assert ours.dtype == array.dtype
    assert ours.shape[-1] == 3
    np.testing.assert_array_equal(ours, theirs if theirs.shape == ours.shape else np.moveaxis(theirs, 0, -1))
    np.testing.assert_array_equal(
        array_to_uint8(ours)[0], np.asarray(to_pil_image(ours, input_data_format="channels_last"))
    )


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((5, 6), 9, np.uint8), (9, 9, 9)),
        (np.full((3, 5, 6), 9, np.int64), (9, 9, 9)),
        (np.full((5, 6, 3), 0.5), (127, 127, 127)),
        (np.full((5, 6, 3), 200.0), (200, 200, 200)),
        (np.full((5, 6, 3), 1, np.float16), (255, 255, 255)),
        (np.full((5, 6, 3), True), (255, 255, 255)),
        (np.zeros((5, 6), bool), (0, 0, 0)),
        (np.full((5, 6), 9, np.uint16), (9, 9, 9)),
        (np.full((5, 6), 51200, np.uint16), (200, 200, 200)),
        (np.full((5, 6, 3), 0.5, np.float32), (127, 127, 127)),
        (np.full((5, 6, 4), [255, 0, 0, 255], np.int64), (255, 0, 0)),
        (np.full((5, 6, 4), [1.0, 0, 0, 0.5]), (255, 127, 127)),
        (np.zeros((5, 6, 4), np.uint8), (255, 255, 255)),
    ],
)
def test_an_array_is_a_picture(array, expected):
    image = open_image(array)
    assert image.size == (6, 5)
    assert image.getpixel((2, 2)) == expected


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((5, 6, 2), np.uint8),
        np.zeros((0, 6, 3), np.uint8),
        np.zeros(7),
        np.zeros((2, 5, 6, 3)),
        np.full((5, 6, 3), 256),
        np.full((5, 6, 3), -1),
        np.full((5, 6, 3), 1.5),
        np.full((5, 6, 3), np.nan),
        np.full((5, 6, 4), 2.0),
        np.full((5, 6, 3), -1, np.int16),
        np.full((5, 6, 3), 1 + 2j),
        np.full((5, 6), None),
    ],
)
def test_an_array_that_is_no_picture_is_an_error(array):
    with pytest.raises(ImageError, match="shape"):
        open_image(array)
