"""Pictures varied: of the model's size, alike for all frames, and not at all unless asked for."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from sightline.errors import UsageError
from sightline.processing.image.profile import PixelProfile
from sightline.train.augment import Augment, _random_box
from support.examples import examples

PROFILE = PixelProfile.from_dict({"image_processor_type": "CLIPImageProcessor", "size": 24, "crop_size": 24})
SQUASHED = PixelProfile.from_dict({"image_processor_type": "EfficientNetImageProcessor", "size": [20, 28]})


def noise(width=60, height=40):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def slope(width, height):
    """Red grows to the right, green downwards: a pixel tells where it was."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    return Image.fromarray(np.round(255 * np.stack([x, y, 0 * x], -1)).astype(np.uint8))


def test_unless_asked_for_nothing_changes():
    rng = np.random.default_rng(0)
    for profile in (PROFILE, SQUASHED):
        np.testing.assert_array_equal(Augment(profile)([noise()], rng), profile.resize_and_crop(noise())[None])
    assert rng.random() == np.random.default_rng(0).random()
    assert Augment(PROFILE).short_side is None


def test_every_second_picture_is_mirrored():
    rng = np.random.default_rng(0)
    plain, flip = PROFILE.resize_and_crop(noise()), Augment(PROFILE, flip=True)
    count = 0
    for _ in range(200):
        (seen,) = flip([noise()], rng)
        mirrored = np.array_equal(seen, plain[:, ::-1])
        assert mirrored or np.array_equal(seen, plain)
        count += mirrored
    assert 70 < count < 130


@pytest.mark.parametrize("profile", [PROFILE, SQUASHED])
def test_parts_have_the_models_size_and_lie_anywhere(profile):
    rng, crop = np.random.default_rng(0), Augment(profile, crop=(0.1, 0.4))
    seen = np.stack([crop([slope(300, 200)], rng)[0] for _ in range(200)]).astype(float)
    assert seen.shape == (200, *crop.size, 3)
    left, right = seen[:, :, 0, 0].mean(1) / 255, seen[:, :, -1, 0].mean(1) / 255
    top, bottom = seen[:, 0, :, 1].mean(1) / 255, seen[:, -1, :, 1].mean(1) / 255
    shares = (right - left) * (bottom - top)
    aspects = 1.5 * (right - left) / (bottom - top)
    # Half a pixel of the result is missing at each edge.
    assert 0.07 < shares.min() < 0.15
    assert 0.3 < shares.max() < 0.45
    assert 0.68 < aspects.min() < 0.85
    assert 1.2 < aspects.max() < 1.45
    assert left.min() < 0.05
    assert right.max() > 0.95


@examples(200)
@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.01, 1), st.floats(0, 1), st.integers(0, 2**32))
def test_a_part_lies_in_the_picture(width, height, low, more, seed):
    crop = (low, min(1, low + more))
    left, top, right, bottom = _random_box(width, height, crop, np.random.default_rng(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_parts_are_antialiased():
    # Lines of one pixel, black and white: reduced to a third they become grey, where picking pixels keeps them.
    lines = Image.fromarray(np.indices((120, 120)).sum(0).astype(np.uint8) % 2 * 255).convert("RGB")
    (seen,) = Augment(PROFILE, crop=(0.9, 1.0))([lines], np.random.default_rng(1))
    assert np.abs(seen.astype(int) - 127).max() < 25


def test_colors_change_by_no_more_than_asked_for():
    rng, grey = np.random.default_rng(0), Image.new("RGB", (40, 40), (100, 100, 100))
    means = [Augment(PROFILE, color_jitter=0.3)([grey], rng).mean() for _ in range(100)]
    assert 65 < min(means) < 80
    assert 120 < max(means) < 135
    (colourful,) = Augment(PROFILE, color_jitter=0.3)([noise()], rng)
    assert not np.array_equal(colourful, PROFILE.resize_and_crop(noise()))


def test_all_frames_of_a_film_change_alike():
    vary = Augment(PROFILE, crop=(0.2, 0.5), flip=True, color_jitter=0.5)
    first, second, other = vary([noise(), noise(), slope(60, 40)], np.random.default_rng(3))
    np.testing.assert_array_equal(first, second)
    (alone,) = vary([slope(60, 40)], np.random.default_rng(3))
    np.testing.assert_array_equal(other, alone)


def test_large_pictures_are_decoded_as_far_as_the_smallest_part_needs():
    assert Augment(PROFILE, crop=(0.25, 1.0)).short_side == 48
    assert Augment(SQUASHED, crop=(0.25, 1.0)).short_side == 56


@pytest.mark.parametrize("changes", [{"do_resize": False}, {"do_center_crop": False}])
def test_pictures_of_different_sizes_make_no_batch(changes):
    with pytest.raises(UsageError, match="different sizes"):
        Augment(dataclasses.replace(PROFILE, **changes))


@pytest.mark.parametrize(
    "options", [{"crop": (0, 1)}, {"crop": (0.5, 1.5)}, {"color_jitter": -0.1}, {"color_jitter": 1}]
)
def test_options_that_make_no_sense(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        Augment(PROFILE, **options)
