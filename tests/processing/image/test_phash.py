"""The perceptual hash: near for what looks alike, far for what does not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, UnidentifiedImageError

from sightline.processing.image.thumbnail import perceptual_hash


def scene(seed, size=(192, 144)):
    colors = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(colors).resize(size, Image.Resampling.BICUBIC)


def hashed(image, quality=80):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return perceptual_hash(out.getvalue())


def distance(first, second):
    return ((first ^ second) & (1 << 64) - 1).bit_count()


def test_it_fits_int64():
    hashes = [hashed(scene(seed)) for seed in range(50)]
    assert np.array(hashes, np.int64).tolist() == hashes
    assert len(set(hashes)) == 50
    assert min(hashes) >= 0  # the first bit is that of the mean brightness


def test_what_looks_alike_is_near():
    for seed in range(20):
        image = scene(seed)
        whole = hashed(image)
        assert distance(whole, hashed(image, quality=30)) <= 4
        assert distance(whole, hashed(image.resize((120, 90)))) <= 6
        assert distance(whole, hashed(ImageEnhance.Brightness(image).enhance(0.8))) <= 6
        assert distance(whole, hashed(image.convert("L"))) <= 6


def test_what_looks_different_is_far():
    hashes = [hashed(scene(seed)) for seed in range(30)]
    assert min(distance(a, b) for a in hashes for b in hashes if a != b) >= 12


def test_flat_images_are_equal():
    assert {hashed(Image.new("RGB", (64, 48), color)) for color in ("white", "black", "red")} == {0}


def test_no_image():
    with pytest.raises(UnidentifiedImageError):
        perceptual_hash(b"text")
