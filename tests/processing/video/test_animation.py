"""Animated images as videos: moments from the frames' durations, complete frames, bounded."""

import numpy as np
import pytest
from PIL import Image

from sightline.errors import VideoError
from sightline.processing.image.formats import is_animation
from sightline.processing.image.reading import open_image
from sightline.processing.video import animation
from sightline.processing.video.animation import animation_moments, sample_animation
from support.images import image

KINDS = {"GIF": ".gif", "PNG": ".png", "WEBP": ".webp", "AVIF": ".avif"}


def animated(path, seeds, duration, **options):
    first, *rest = (image(seed) for seed in seeds)
    lossless = {"lossless": True} if path.suffix == ".webp" else {"quality": 95} if path.suffix == ".avif" else {}
    first.save(path, save_all=True, append_images=rest, duration=duration, loop=0, **lossless, **options)
    return path


@pytest.mark.parametrize("suffix", KINDS.values())
def test_moments_are_cut_where_the_picture_changes(tmp_path, suffix):
    path = animated(tmp_path / f"a{suffix}", [1, 2, 3], [500, 700, 800])
    assert is_animation(path)
    found = list(animation_moments(path, 2))
    assert [(moment.start, moment.end) for moment in found] == [(0, 0.5), (0.5, 1.2), (1.2, 2.0)]
    for moment, seed in zip(found, [1, 2, 3], strict=True):
        assert len(moment.frames) == 2
        for frame in moment.frames:
            assert frame.info["full_size"] == (48, 32)
            assert np.abs(np.asarray(frame, float) - np.asarray(image(seed))).mean() < (12 if suffix == ".avif" else 1)
    assert np.abs(np.asarray(open_image(path), float) - np.asarray(image(1))).mean() < 12


@pytest.mark.parametrize("duration", [0, 10])
def test_frames_without_a_duration_take_a_tenth_of_a_second(tmp_path, duration):
    path = animated(tmp_path / "a.gif", [1, 2] * 10, duration)
    *_, last = animation_moments(path, 1)
    assert last.end == 2.0


@pytest.mark.parametrize(("seeds", "duration"), [([1], 5000), ([1, 2, 3], 300), ([1, 1], 200)])
@pytest.mark.parametrize("suffix", KINDS.values())
def test_still_images_and_short_ones_have_none(tmp_path, suffix, seeds, duration):
    assert list(animation_moments(animated(tmp_path / f"a{suffix}", seeds, duration), 1)) == []


@pytest.mark.parametrize("disposal", [0, 1, 2])
def test_frames_are_complete_and_on_white(tmp_path, disposal):
    base = Image.new("RGBA", (48, 32), (255, 0, 0, 255))
    dot = Image.new("RGBA", (48, 32))
    dot.paste((0, 0, 255, 255), (0, 0, 24, 32))
    base.save(
        tmp_path / "a.gif", save_all=True, append_images=[dot], duration=[900, 900], disposal=disposal, optimize=False
    )
    frames = [moment.frames[0] for moment in animation_moments(tmp_path / "a.gif", 1)]
    with Image.open(tmp_path / "a.gif") as picture:
        picture.seek(picture.n_frames - 1)
        shown = Image.alpha_composite(Image.new("RGBA", (48, 32), "white"), picture.convert("RGBA"))
    assert frames[0].getpixel((40, 16)) == (255, 0, 0)
    assert np.array_equal(np.asarray(frames[-1]), np.asarray(shown.convert("RGB")))


def test_an_image_for_those_without_animations_is_no_frame(tmp_path):
    path = tmp_path / "a.png"
    image(9).save(path, save_all=True, append_images=[image(1), image(2)], duration=[1000, 1000], default_image=True)
    found = list(animation_moments(path, 1))
    assert [(moment.start, moment.end) for moment in found] == [(0, 1.0), (1.0, 2.0)]
    assert np.array_equal(np.asarray(found[0].frames[0]), np.asarray(image(1)))


def test_beyond_the_limits_it_is_an_image(tmp_path, monkeypatch):
    path = animated(tmp_path / "a.gif", [1, 2] * 5, 500)
    assert list(animation_moments(path, 1))
    monkeypatch.setattr(animation, "MAX_FRAMES", 9)
    assert not list(animation_moments(path, 1))
    monkeypatch.setattr(animation, "MAX_FRAMES", 10)
    monkeypatch.setattr(animation, "MAX_PIXELS", 48 * 32 * 10 - 1)
    assert not list(animation_moments(path, 1))


@pytest.mark.parametrize("suffix", KINDS.values())
def test_broken_files_never_raise(tmp_path, suffix):
    whole = animated(tmp_path / f"a{suffix}", [1, 2, 3, 4], 800).read_bytes()
    path = tmp_path / f"b{suffix}"
    for length in range(0, len(whole), max(len(whole) // 23, 1)):
        path.write_bytes(whole[:length])
        is_animation(path)
        for moment in animation_moments(path, 1):
            assert moment.frames
    assert not is_animation(tmp_path / "nothere.gif")
    assert not is_animation(tmp_path)


def test_frames_are_reduced(tmp_path):
    path = tmp_path / "a.webp"
    image(1, (400, 200)).save(path, save_all=True, append_images=[image(2, (400, 200))], duration=900)
    for moment in animation_moments(path, 1, 64):
        assert moment.frames[0].size == (192, 96)
        assert moment.frames[0].info["full_size"] == (400, 200)


def test_beyond_the_limits_is_said(tmp_path, monkeypatch, caplog):
    path = animated(tmp_path / "a.gif", [1, 2] * 5, 500)
    monkeypatch.setattr(animation, "MAX_FRAMES", 9)
    assert not list(animation_moments(path, 1))
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{path}: 10 frames are too many (at most 9): it is taken as an image, the first of them"
    )
    with pytest.raises(VideoError, match=r"a\.gif: 10 frames are too many"):
        sample_animation(path, 1)


@pytest.mark.parametrize("suffix", KINDS.values())
@pytest.mark.parametrize("as_bytes", [False, True])
def test_frames_are_sampled_by_time(tmp_path, suffix, as_bytes):
    path = animated(tmp_path / f"a{suffix}", [1, 2, 3, 4], [100, 100, 100, 900])
    source = path.read_bytes() if as_bytes else path
    # Middles of three parts: of 1.2 seconds at 0.2, 0.6 and 1.0; from 0.1 on at 0.28, 0.65 and 1.02.
    for options, seeds in (({}, [3, 4, 4]), ({"end": 0.3}, [1, 2, 3]), ({"start": 0.1, "end": 9.0}, [3, 4, 4])):
        frames = sample_animation(source, 3, **options)
        for frame, seed in zip(frames, seeds, strict=True):
            assert frame.size == (48, 32)
            assert np.abs(np.asarray(frame, float) - np.asarray(image(seed))).mean() < 20
    with pytest.raises(VideoError, match=r"ends at 1\.20 seconds"):
        sample_animation(source, 3, start=2.0)


def test_a_still_image_has_no_frames_to_sample(tmp_path):
    image(1).save(tmp_path / "a.gif")
    with pytest.raises(VideoError, match=r"a\.gif: an image \(GIF\) that does not move"):
        sample_animation(tmp_path / "a.gif", 2)
