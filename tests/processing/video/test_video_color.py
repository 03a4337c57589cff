"""A film looks the same in whatever color space it is stored: HDR, wide gamuts, odd matrices."""

import numpy as np
import pytest
from PIL import Image

from sightline.processing.image.color_space import space_of_codes, to_srgb
from sightline.processing.video.moments import moments
from sightline.processing.video.reader import VideoReader
from sightline.processing.video.sampling import frames_at
from support.colors import CODES, colorful, tagged_film
from support.videos import decoded

PQ, HLG, LINEAR, GAMMA22, GAMMA28 = (CODES[name] for name in ("pq", "hlg", "linear", "gamma22", "gamma28"))


def difference(frame):
    """The mean and the greatest mean (in a tile of 8 x 8) difference to the picture that was filmed, in levels."""
    levels = np.abs(np.asarray(frame, float) - np.asarray(colorful()))
    tiles = levels.reshape(6, 8, 8, 8, 3).mean((1, 3))
    return levels.mean(), tiles.max()


@pytest.mark.parametrize(
    ("primaries", "transfer", "matrix", "how"),
    [
        (9, PQ, 9, {}),
        (9, HLG, 9, {}),
        (9, PQ, 9, {"full": True}),
        (9, HLG, 9, {"full": True}),
        (9, PQ, 9, {"bits": 12}),
        (9, HLG, 9, {"bits": 12, "full": True}),
        (9, PQ, 14, {}),
        (9, HLG, 14, {}),
        (9, PQ, 9, {"tags": (2, PQ, 2)}),
        (9, HLG, 9, {"tags": (2, HLG, 2)}),
        (1, PQ, 1, {}),
        (12, PQ, 9, {}),
        (9, 14, 9, {}),
        (9, 15, 9, {"bits": 12}),
        (9, 1, 9, {"bits": 8}),
        (9, 14, 9, {"tags": (2, 2, 9)}),
        (9, 14, 10, {}),
        (1, 1, 8, {"full": True}),
        (12, 13, 5, {"bits": 8}),
        (12, 1, 1, {"bits": 8}),
        (12, 13, 5, {"bits": 8, "full": True}),
        (1, LINEAR, 1, {}),
        (1, GAMMA22, 1, {"bits": 8}),
        (1, GAMMA28, 1, {"bits": 8}),
        (1, 1, 1, {"tags": (2, 2, 2), "matrix": 5}),
        (1, 1, 5, {"full": True}),
    ],
)
def test_looks_as_the_picture(tmp_path, primaries, transfer, matrix, how):
    film = tagged_film(tmp_path / "film.mp4", colorful(), primaries, transfer, **({"matrix": matrix} | how))
    (frame,) = frames_at(film, [1.0])
    mean, worst = difference(frame)
    assert mean < 1.6, (mean, worst)
    assert worst < 3.5, (mean, worst)


@pytest.mark.parametrize(("transfer", "matrix"), [(PQ, 9), (HLG, 9), (PQ, 14), (14, 10)])
def test_reduced_frames_moments_and_thumbnails_too(tmp_path, transfer, matrix):
    picture = colorful(256, 192)
    film = tagged_film(tmp_path / "film.mp4", picture, 9, transfer, matrix)
    (reduced,) = frames_at(film, [1.0], short_side=32)
    assert reduced.size == (64, 48)
    (moment,) = moments(film, 2, 32)
    for frame in (reduced, *moment.frames):
        assert difference(frame)[0] < 3
    with VideoReader(film, 32) as reader:
        _, frame = next(reader.frames())
        small = reader.thumbnail(reader.reduce(frame))
    assert small.shape == (36, 64, 3)
    assert np.abs(small - np.asarray(picture.resize((64, 36), Image.Resampling.BOX), float)).mean() < 3


def test_brighter_than_white_keeps_its_order():
    signals = np.repeat(np.linspace(30_000, 60_000, 50).astype(np.uint16)[:, None], 3, axis=1)
    for transfer in (PQ, HLG):
        levels = to_srgb(signals, space_of_codes(9, transfer))[:, 0].astype(int)
        assert (np.diff(levels) >= 0).all()
        assert levels[-1] >= 253
        assert len(set(levels)) > 20


@pytest.mark.parametrize(
    ("primaries", "transfer"),
    [(1, 1), (2, 2), (5, 6), (6, 6), (5, 5), (4, 4), (7, 7), (1, 13), (22, 6), (0, 0), (3, 3), (99, 99), (2, 14)],
)
def test_ordinary_sdr_is_shown_as_it_is(primaries, transfer):
    assert space_of_codes(primaries, transfer) is None


def test_ordinary_sdr_stays_bit_for_bit(tmp_path):
    film = tagged_film(tmp_path / "film.mp4", colorful(), matrix=1, bits=8)
    (_, plain), *_ = decoded(film)
    (frame,) = frames_at(film, [0.0])
    assert np.array_equal(np.asarray(frame), plain)
