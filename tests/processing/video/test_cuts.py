"""Cuts, of frames made by hand: where the shot changes."""

import numpy as np
import pytest

from sightline.processing.video.changes import (
    CutDetector,
    arrangement_distance,
    color_distance,
    difference,
    is_change,
    is_visible,
)

BLACK = np.zeros((36, 64, 3), np.uint8)


def shot(seed):
    """Patches of few colors, others for each seed."""
    draw = np.random.default_rng(seed)
    patches = (draw.integers(40, 216, 3) + draw.integers(-30, 30, (6, 8, 3))).clip(40, 250)
    return patches.repeat(6, axis=0).repeat(8, axis=1).astype(np.uint8)


A, B = shot(1), shot(4)


def test_the_pictures_are_different():
    assert color_distance(A, B) > 0.2
    assert arrangement_distance(A, B) > 0.3


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (A, B, True),
        (A, A, False),
        (A, (A * 0.7).astype(np.uint8), False),  # the light goes down
        (A, A[:, ::-1], False),  # the same colors
        (A, (A + 9).astype(np.uint8), False),
        (A, BLACK, True),
        (BLACK, A, True),
        (BLACK, BLACK + 9, False),
    ],
)
def test_changes(before, after, change):
    assert is_change(before, after) == change


def test_measures():
    assert color_distance(A, A[::-1]) == 0
    assert color_distance(BLACK, BLACK + 200) == 1
    assert arrangement_distance(A, A) == pytest.approx(0)
    assert arrangement_distance(BLACK, BLACK + 200) == 1, "even pictures have no arrangement to compare"
    assert difference(BLACK, BLACK + 200).max() == difference(BLACK + 200, BLACK).max() == 200
    assert is_visible(BLACK + 32)
    assert not is_visible(BLACK + 31)


def follow(pictures, flash=3):
    """For each frame, a tick after the last: "=" in the present shot, "?" after a change, "|" after a cut."""
    detector, marks = CutDetector(flash), ""
    detector.restart(pictures[0])
    for tick, picture in enumerate(pictures[1:], 1):
        if detector.is_cut(tick):
            detector.accept()
            marks += "|"
        marks += "=" if detector.add(tick, picture) else "?"
    return marks, detector


def test_a_cut_is_known_once_it_lasts():
    assert follow([A, A, B, B, B, B, B])[0] == "=???|=="


def test_a_flash_is_no_cut():
    marks, detector = follow([A, A, B, B, A, A])
    assert marks == "=??=="
    assert detector.change is None


def test_a_flash_of_many_pictures_is_no_cut():
    """Only the return to the picture before the change counts."""
    assert follow([A, B, shot(2), A, A])[0] == "??=="


def test_two_cuts():
    assert follow([A, B, B, B, B, A, A, A, A])[0] == "???|=???|="


def test_a_change_at_the_end_is_a_cut():
    _, detector = follow([A, A, B])
    assert detector.change == 2
    assert not detector.is_cut(3)
    assert detector.is_cut(None)
    assert not CutDetector(3).is_cut(None)


def test_after_a_restart_nothing_is_compared():
    detector = CutDetector(3)
    detector.restart(A)
    detector.add(1, B)
    detector.restart(shot(2))
    assert detector.change is None
    assert detector.add(3, shot(2))
