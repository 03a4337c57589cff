"""Spans, of frames made by hand: rests and cuts put together, and long shots split."""

from fractions import Fraction

import numpy as np
import pytest

from sightline.processing.video.moments import Span, find_spans

RATE = 20  # frames a second, ticks a second
BLACK = np.zeros((36, 64, 3), np.uint8)


def shot(seed, seconds, speed=5):
    """A scene that moves by `speed` 64ths of the width a second (0: stands still)."""
    draw = np.random.default_rng(seed)
    patches = (draw.integers(40, 216, 3) + draw.integers(-30, 30, (6, 40, 3))).clip(40, 250)
    wide = patches.repeat(6, axis=0).repeat(8, axis=1).astype(np.uint8)
    starts = [round(i * speed / RATE * 4) / 4 for i in range(round(seconds * RATE))]
    return [blend(wide, start) for start in starts]


def blend(wide, start):
    """64 columns from a position between two columns."""
    left, share = int(start), start - int(start)
    return ((1 - share) * wide[:, left : left + 64] + share * wide[:, left + 1 : left + 65]).astype(np.uint8)


def black(seconds):
    return [BLACK] * round(seconds * RATE)


def spans(*shots, gaps=None):
    """(start, end) in seconds."""
    thumbnails = [thumbnail for part in shots for thumbnail in part]
    ticks = range(len(thumbnails)) if gaps is None else np.cumsum([0, *gaps]).tolist()
    frames = [(tick, (thumbnail, tick)) for tick, thumbnail in zip(ticks, thumbnails, strict=False)]
    end = len(thumbnails) if gaps is None else ticks[-1]
    found = list(find_spans(iter([*frames, (end, None)]), Fraction(1, RATE), 16))
    for span in found:
        assert 0 < len(span.frames) < 16
        assert all(span.start <= tick < span.end for tick, _ in span.frames)
        assert all(tick == frame for tick, frame in span.frames)
    return [(span.start / RATE, span.end / RATE) for span in found]


def test_a_shot_is_a_span():
    assert spans(shot(1, 3)) == [(0, 3)]
    assert spans(shot(1, 3), shot(4, 2)) == [(0, 3), (3, 5)]


def test_long_shots_are_split_without_scraps():
    assert spans(shot(1, 10)) == [(0, 10)]
    assert spans(shot(1, 10.5)) == [(0, 7.5), (7.5, 10.5)]
    assert spans(shot(1, 26)) == [(0, 7.5), (7.5, 15), (15, 22.5), (22.5, 26)]


def test_rests_are_left_out_but_for_their_first_second():
    assert spans(shot(1, 5, speed=0)) == [(0, 1)]
    assert spans(shot(1, 2), [shot(1, 2)[-1]] * 40) == [(0, 2.95)]
    assert spans(shot(1, 5, speed=0), shot(4, 2)) == [(0, 1), (5, 7)]


def test_a_rest_that_began_before_a_split_is_left_out():
    """The last picture is on show when the shot gets too long: nothing new is left for the second part."""
    last = shot(1, 7.1)[-1:]
    assert spans(shot(1, 7), last * 3, gaps=[1] * 140 + [65, 1, 24]) == [(0, 7.5)]


def test_black_is_left_out():
    assert spans(black(3)) == []
    assert spans(black(1), shot(1, 2), black(2), shot(4, 1), black(1)) == [(1, 3), (5, 6)]


def test_flashes_are_part_of_the_shot():
    first = shot(1, 3)
    for flash in (black(0.2), shot(4, 0.2)):
        assert spans(first[:20], flash, first[24:]) == [(0, 3)]
    assert spans(first[:20], shot(4, 0.4), first[28:]) == [(0, 1), (1, 1.4), (1.4, 3)]


def test_a_change_just_before_the_end_is_a_cut():
    assert spans(shot(1, 2), shot(4, 0.1)) == [(0, 2), (2, 2.1)]


def test_no_frame_no_span():
    assert spans() == []


def test_kept_frames_are_evenly_apart():
    span = Span(0, 8)
    for tick in range(100):
        span.add(tick, str(tick))
    assert span.frames == [(tick, str(tick)) for tick in range(0, 100, 16)]
    assert span.ended(100).nearest(4) == [1, 2, 4, 5]


def test_a_split_parts_the_frames():
    span = Span(0, 8)
    for tick in range(12):
        span.add(tick, tick)
    first, rest = span.split(5)
    assert (first.start, first.end, [tick for tick, _ in first.frames]) == (0, 5, [0, 2, 4])
    assert (rest.start, [tick for tick, _ in rest.frames]) == (5, [6, 8, 10])
    rest.add(12, 12)
    rest.add(13, 13)
    assert [tick for tick, _ in rest.frames] == [6, 8, 10, 12], "it goes on at the same distance"
    assert [tick for tick, _ in span.split(50)[1].frames] == []


@pytest.mark.parametrize("count", [1, 3, 8])
def test_few_frames_are_repeated(count):
    span = Span(10, 16)
    span.add(10, "a")
    span.add(15, "b")
    assert set(span.ended(20).nearest(count)) <= {0, 1}
    assert len(span.nearest(count)) == count
