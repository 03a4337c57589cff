"""Moments of drawn films: where they begin and end is known."""

import functools
import io
import itertools
import random
import tracemalloc
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from sightline.errors import VideoError
from sightline.processing.video.moments import FROZEN, LONGEST, SPLIT, moments
from sightline.processing.video.reader import VideoReader
from sightline.processing.video.sampling import duration, frames_at
from sightline.processing.video.scan import scan_frames
from support.examples import examples
from support.videos import decoded, encode, numbered, numbered_film

RATE = 20


@functools.cache
def scene(seed):
    """A landscape larger than the picture: soft hills, in each scene of other colors, as in photos."""
    draw = np.random.default_rng(seed)
    palette = draw.integers(30, 256, 3)
    coarse = (palette + draw.integers(-60, 60, (7, 10, 3))).clip(20, 255)
    return Image.fromarray(coarse.astype(np.uint8)).resize((400, 280), Image.Resampling.BICUBIC)


def look(seed, x=0.0, y=0.0, zoom=1.0, light=1.0):
    picture = scene(seed).transform(
        (128, 72), Image.Transform.AFFINE, (zoom, 0, x, 0, zoom, y), Image.Resampling.BILINEAR
    )
    return np.asarray(picture).astype(float).__mul__(light).clip(0, 255).astype(np.uint8)


def alive(seed, seconds, speed=30):
    """A scene seen by a camera that moves, so many pixels a second."""
    return [look(seed, 20 + i * speed / RATE, 30) for i in range(round(seconds * RATE))]


BLACK = np.zeros((72, 128, 3), np.uint8)


def to_array(reader, reduced):
    return np.asarray(reader.to_image(reduced))


def spans(pictures, **how):
    how = {"rate": RATE, "options": {"preset": "ultrafast"}} | how
    return [(round(m.start, 2), round(m.end, 2)) for m in moments(encode(pictures, **how), 4)]


@pytest.mark.parametrize("options", [{}, {"scenecut": None, "bf": 3}, {"bf": 0, "g": 1}, {"bf": 3, "g": 12}])
def test_cuts(options):
    if "scenecut" in options:  # no keyframe where the shot changes
        options = {"x264-params": "scenecut=0:keyint=1000", "bf": 3}
    pictures = [picture for seed in range(6) for picture in alive(seed, 1.5)]
    found = spans(pictures, options=options)
    assert len(found) == 6
    for i, (start, end) in enumerate(found):
        # Frames that no other refers to aren't looked at: a change is seen by up to four frames late.
        assert 0 <= start - 1.5 * i <= 4 / RATE
        assert 0 <= end - 1.5 * (i + 1) <= 4 / RATE


@pytest.mark.parametrize(
    "happens",
    {
        "a fast pan": lambda i: look(1, 20 + 200 * abs(1 - i % 50 / 25), 30),
        "a zoom": lambda i: look(1, 100, 60, 1.4 - 0.9 * abs(1 - i % 40 / 20)),
        "a large object that crosses": lambda i: crossed(look(1, 20, 30), i),
        "a flash of three frames": lambda i: (
            np.full((72, 128, 3), 255, np.uint8) if 30 <= i < 33 else look(1, 20 + i, 30)
        ),
        "one black frame": lambda i: BLACK if i == 30 else look(1, 20 + i, 30),
        "another shot for two frames": lambda i: look(2) if 30 <= i < 32 else look(1, 20 + i, 30),
        "light that goes on": lambda i: look(1, 20 + i, 30, 0.6 if i < 30 else 1.0),
    }.items(),
    ids=lambda happens: happens[0],
)
@pytest.mark.parametrize("between", [0, 3])
def test_what_is_no_cut(happens, between):
    pictures = [happens[1](i) for i in range(60)]
    assert spans(pictures, options={"bf": between, "preset": "ultrafast"}) == [(0, 3)]


def test_even_colors_are_shots_too():
    def even(*color):
        picture = np.full((72, 128, 3), color, np.uint8)
        return [numbered_corner(picture, i) for i in range(RATE)]

    def numbered_corner(picture, i):
        picture = picture.copy()
        picture[8 * (i % 8) : 8 * (i % 8) + 16, :16] = 128
        return picture

    assert spans([*even(220, 20, 30), *even(20, 30, 220), *even(220, 220, 40)]) == [(0, 1), (1, 2), (2, 3)]
    # Light on a red film: two channels tell nothing.
    red = [np.repeat(look(1, 20 + i, 30)[..., :1] // 3 + np.uint8(100), 3, axis=2) for i in range(2 * RATE)]
    for i, picture in enumerate(red):
        picture[..., 1:] = 0
        picture[..., 0] = picture[..., 0] * (0.6 if i < RATE else 1.0)
    assert spans(red) == [(0, 2)]


def crossed(picture, i):
    picture = picture.copy()
    left = -40 + i * 9 % 200
    picture[16:56, max(left, 0) : max(left + 40, 0)] = (240, 30, 30)
    return picture


def test_the_longest_and_no_scraps():
    pictures = alive(1, 10.3, speed=10)
    assert spans(pictures[: 10 * RATE]) == [(0, LONGEST)]
    assert spans(pictures) == [(0, SPLIT), (SPLIT, 10.3)]
    found = spans(alive(1, 26, speed=8))
    assert found == [(0, 7.5), (7.5, 15), (15, 22.5), (22.5, 26)]


def test_black_is_left_out():
    noise = np.random.default_rng(0)
    dark = [noise.integers(0, 12, (72, 128, 3), dtype=np.uint8) for _ in range(30)]
    found = spans([*dark, *alive(1, 2), *[BLACK] * 40, *alive(2, 1.5), *dark])
    assert found == [(1.5, 3.5), (5.5, 7)]
    assert spans([BLACK] * 30) == []


def test_frozen_is_left_out_but_for_its_beginning():
    still = alive(1, 2)[-1]
    found = spans([*alive(1, 2), *[still] * 100, *alive(1, 4)[40:], *alive(2, 1)])
    assert found[0] == (0, pytest.approx(2 + FROZEN, abs=0.3))
    assert found[1:] == [(7, 9), (9, 10)]
    slides = spans([look(seed) for seed in range(3) for _ in range(4 * RATE)])
    assert [start for start, _ in slides] == [0, 4, 8]
    assert all(FROZEN <= end - start <= FROZEN + 0.5 for start, end in slides)  # x264 still refines it for a while


def test_frames_stay_seconds_long():
    """A film may show one frame for a minute: times are what counts, not frames."""
    ticks = [0, 60, 61, 3600, 3602]
    source = encode([look(i) for i in range(5)], kind="matroska", ticks=ticks, base=1, rate=1)
    found = [(m.start, m.end, len(m.frames)) for m in moments(source, 3)]
    assert [(start, end) for start, end, _ in found] == [(0, 1), (60, 61), (61, 62), (3600, 3602), (3602, 3603)]


@pytest.mark.parametrize("rate", [1, 2, 5])
def test_a_film_of_few_frames_a_second_moves_all_the_same(rate):
    """A camera that pans: each frame is on show as long as a rest lasts, yet there is none."""
    pictures = [look(1, 15 * i / rate, 0) for i in range(6 * rate)]
    assert spans(pictures, rate=rate) == [(0.0, 6.0)]


def test_frames_come_from_equal_parts():
    pictures = [numbered(i, (128, 72)) for i in range(160)]
    source = encode(pictures, rate=RATE, options={"bf": 3, "qp": 4})
    frames = [picture for _, picture in decoded(source)]
    (moment,) = moments(source, 8)
    assert (moment.start, moment.end) == (0, 8)
    at = [next(i for i, frame in enumerate(frames) if np.array_equal(frame, picture)) for picture in moment.frames]
    middles = [10 + 20 * i for i in range(8)]
    assert max(abs(a - b) for a, b in zip(at, middles, strict=True)) <= 5
    assert len(set(at)) == 8


def test_few_frames_are_repeated():
    for count in (1, 2, 3):
        (moment,) = moments(numbered_film(count, options={"bf": 0}), 8)
        assert len(moment.frames) == 8
        assert len({picture.tobytes() for picture in moment.frames}) == count
        assert (moment.start, moment.end) == (0, pytest.approx(count / 10))
    with pytest.raises(ValueError, match="at least one"):
        next(moments(numbered_film(2), 0))


def test_times_are_those_of_frames_at():
    pictures = [picture for seed in range(4) for picture in alive(seed, 1)]
    for kind, ticks in (("mpegts", None), ("matroska", [33 + 50 * i for i in range(80)])):
        base = None if ticks is None else Fraction(1, 1000)
        source = encode(pictures, kind=kind, rate=RATE, ticks=ticks, base=base, options={"bf": 0, "g": 8})
        found = list(moments(source, 2))
        assert len(found) == 4
        for seed, moment in enumerate(found):
            for picture in frames_at(source, [moment.start, moment.end - 1 / RATE]) + moment.frames:
                means = [np.asarray(scene(other), float).mean(axis=(0, 1)) for other in range(4)]
                away = np.abs(np.asarray(picture, float).mean(axis=(0, 1)) - means).sum(axis=1)
                assert away.argmin() == seed
        assert found[-1].end == pytest.approx(duration(source))


KINDS = {
    "h264": {"options": {"bf": 3, "g": 9}},
    "h264, open GOPs": {"kind": "matroska", "options": {"bf": 3, "x264-params": "open-gop=1:keyint=8:scenecut=0"}},
    "hevc": {
        "codec": "libx265",
        "options": {"preset": "ultrafast", "x265-params": "log-level=none:keyint=9:open-gop=1"},
    },
    "mpeg4": {"codec": "mpeg4", "kind": "avi", "options": {"bf": 2, "g": 6}},
    "mpeg2": {"codec": "mpeg2video", "kind": "mpegts", "rate": 25, "options": {"bf": 2, "g": 6}},
    "vp9": {"codec": "libvpx-vp9", "kind": "webm", "options": {"deadline": "realtime", "cpu-used": 8, "g": 7}},
    "mjpeg": {"codec": "mjpeg", "kind": "mov", "pixels": "yuvj420p"},
    "h264 without times": {"kind": "h264", "rate": 25, "options": {"bf": 0, "g": 9}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_of_the_pass_is_the_sequential_one(kind):
    source = numbered_film(50, **KINDS[kind])
    frames = decoded(source)
    *scanned, (end, nothing) = scan_frames(source, None, to_array, max_batch=5)
    assert nothing is None
    with VideoReader(source) as opened:
        times = [float(tick * opened.time_base) for tick, _ in scanned]
        assert opened.seconds(end) == pytest.approx(duration(source))
    if frames[0][0] is None:
        frames = [(i / 25, picture) for i, (_, picture) in enumerate(frames)]
    expected = {round(time, 4): picture for time, picture in frames}
    assert len(scanned) >= (50 if kind in ("hevc", "vp9", "mjpeg", "h264 without times") else 10)
    for time, (_, picture) in zip(times, scanned, strict=True):
        assert np.array_equal(picture, expected[round(time, 4)])


@examples(30)
@given(
    st.sampled_from(["mp4", "matroska", "mpegts"]),
    st.sampled_from(["libx264", "libx264", "mpeg2video"]),
    st.integers(1, 20),
    st.integers(0, 3),
    st.booleans(),
    st.lists(st.integers(1, 4), min_size=8, max_size=45),
    st.integers(1, 20),
)
def test_the_pass_over_any_film(kind, codec, gop, between, opened, gaps, batch):
    options = {"bf": between, "g": gop, **({"x264-params": f"open-gop={int(opened)}"} if codec == "libx264" else {})}
    ticks = None if codec == "mpeg2video" else np.cumsum(gaps).tolist()
    base = None if ticks is None else Fraction(1, 25)
    source = numbered_film(len(gaps), codec=codec, kind=kind, rate=25, ticks=ticks, base=base, options=options)
    frames = {round(time, 4): picture for time, picture in decoded(source)}
    *scanned, _ = scan_frames(source, None, to_array, max_batch=batch)
    with VideoReader(source) as video:
        times = [round(float(tick * video.time_base), 4) for tick, _ in scanned]
    assert times == sorted(set(times))
    assert all(np.array_equal(picture, frames[time]) for time, (_, picture) in zip(times, scanned, strict=True))
    assert len(scanned) >= len(frames) / (between + 1) - 1


@pytest.mark.parametrize("first", [0, 20])
def test_marks_of_keyframes_that_lie(first):
    """From the first frame that isn't what it is called on, frames are decoded in order, and none comes twice."""
    source = film_of_false_keyframes(50, first)
    ticks = [tick for tick, _ in scan_frames(source, None, lambda reader, reduced: None, max_batch=8)]
    assert len(ticks) == 51
    assert ticks == sorted(set(ticks))


def film_of_false_keyframes(count, first):
    """A film in which all frames from the number `first` on are marked as keyframes."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream = out.add_stream("mpeg4", rate=10, options={"g": "30"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(count + 1):
            frame = av.VideoFrame.from_ndarray(numbered(i), "rgb24") if i < count else None
            for packet in stream.encode(frame):
                packet.is_keyframe = packet.is_keyframe or i >= first
                out.mux(packet)
    return file.getvalue()


@examples(25)
@given(st.data())
def test_damage_gives_moments_or_an_error(data):
    source = BASES[data.draw(st.integers(0, 2))]
    damaged = bytearray(source)
    for place in data.draw(st.lists(st.integers(0, len(source) - 1), max_size=12)):
        damaged[place] ^= data.draw(st.integers(1, 255))
    damaged = bytes(damaged[: data.draw(st.integers(1, len(source)) | st.just(len(source)))])
    try:
        found = list(moments(damaged, 3))
    except VideoError:
        return
    assert all(len(moment.frames) == 3 and moment.start < moment.end for moment in found)
    assert all(one.end <= two.start for one, two in itertools.pairwise(found))


BASES = [
    numbered_film(40, options={"g": 8, "bf": 2}),
    numbered_film(40, kind="matroska", options={"g": 8}),
    numbered_film(40, kind="mpegts"),
]


def test_a_reader_who_leaves_stops_the_threads():
    import threading

    before = threading.active_count()
    found = moments(encode([p for seed in range(8) for p in alive(seed, 1)], rate=RATE), 4)
    next(found)
    found.close()
    assert threading.active_count() == before


def test_memory_does_not_grow_with_the_film():
    def most(seconds):
        draw = random.Random(0)
        source = encode(
            [look(1, draw.uniform(0, 200), 30) for _ in range(seconds * 5)], rate=5, options={"preset": "ultrafast"}
        )
        tracemalloc.start()
        for moment in moments(source, 4, 32, max_batch=16):
            del moment
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert most(160) < 1.5 * most(40)
