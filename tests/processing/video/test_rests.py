"""Rests, of frames made by hand: where the picture stands still."""

import numpy as np
import pytest

from sightline.processing.video.changes import MAX_DRIFT, RestDetector


def even(level):
    return np.full((36, 64, 3), level, np.uint8)


def follow(levels, gap=1, frozen=10, longest=100):
    """For each frame, each `gap` ticks after the last: (moved, start of the rest, whether it is one at the next)."""
    detector = RestDetector(frozen, longest)
    return [
        (detector.add(gap * i, even(level)), detector.start, detector.is_rest(gap * (i + 1)))
        for i, level in enumerate(levels)
    ]


def test_a_picture_that_stands_still():
    assert follow([0, 100, *[50] * 12]) == [
        (True, 0, False),
        (True, 1, False),
        (True, 2, False),
        *[(False, 2, False)] * 8,
        *[(False, 2, True)] * 3,
    ]


def test_a_new_picture_ends_the_rest():
    *_, last, moving = follow([*[50] * 12, 90])
    assert last == (False, 0, True)
    assert moving == (True, 12, False)


@pytest.mark.parametrize(("drift", "moved"), [(MAX_DRIFT, False), (MAX_DRIFT + 1, True)])
def test_what_compression_does_is_no_motion(drift, moved):
    detector = RestDetector(10, 100)
    detector.add(0, even(50))
    noisy = even(50)
    noisy[3, 4, 1] += drift
    assert detector.add(1, noisy) == moved


def test_a_slow_drift_is_motion():
    """Each frame is compared with the first of the rest, not with the one before."""
    assert [moved for moved, _, _ in follow(range(50, 62))] == [True, False, False, False] * 3


def test_a_single_frame_is_a_rest_after_long_only():
    assert follow([50, 90, 130], gap=20) == [(True, 0, False), (True, 20, False), (True, 40, False)]
    assert follow([50, 50], gap=20) == [(True, 0, False), (False, 0, True)]
    assert follow([50], gap=100) == [(True, 0, True)]
