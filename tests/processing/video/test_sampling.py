"""Frames by time are those of PyAV's own sequential decode, of whatever kind the film is."""

import io
import itertools
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from sightline.errors import VideoError
from sightline.processing.suffixes import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_image, is_video
from sightline.processing.video import reader, sampling
from sightline.processing.video.keyframes import KeyframeDecoder
from sightline.processing.video.sampling import duration, frames_at, sample_frames
from support.examples import examples
from support.videos import decoded, encode, numbered, numbered_film

QUICK = {"preset": "ultrafast"}
KINDS = {
    "h264 mp4": {"options": {"bf": 3, "g": 12}},
    "h264 mkv, open GOPs": {"kind": "matroska", "options": {"bf": 3, "g": 8, "x264-params": "open-gop=1:scenecut=0"}},
    "h264 flv": {"kind": "flv", "options": {"bf": 2, "g": 9}},
    "h264 nut": {"kind": "nut", "options": {"bf": 2, "g": 9}},
    "h264 mpegts": {"kind": "mpegts", "options": {"bf": 2, "g": 9}},
    "h264 avi": {"kind": "avi", "options": {"bf": 0, "g": 9}},
    "h264, refreshed bit by bit": {"options": {"x264-params": "intra-refresh=1", "g": 10, "bf": 0}},
    "h264, interlaced": {"options": {"bf": 2, "g": 9, "x264-params": "tff=1"}},
    "hevc mp4": {"codec": "libx265", "options": QUICK | {"x265-params": "log-level=none:keyint=9:min-keyint=3"}},
    "mpeg4 avi": {"codec": "mpeg4", "kind": "avi", "options": {"bf": 2, "g": 6}},
    "mpeg2 ts": {"codec": "mpeg2video", "kind": "mpegts", "rate": 25, "options": {"bf": 2, "g": 6}},
    "mpeg2 ps": {"codec": "mpeg2video", "kind": "mpeg", "rate": 25, "options": {"bf": 2, "g": 6}},
    "mpeg2 mkv": {"codec": "mpeg2video", "kind": "matroska", "rate": 25, "options": {"bf": 2, "g": 6}},
    "vp8 webm": {"codec": "libvpx", "kind": "webm", "options": {"deadline": "realtime", "g": 7}},
    "vp9 webm": {"codec": "libvpx-vp9", "kind": "webm", "options": {"deadline": "realtime", "cpu-used": 8, "g": 7}},
    "vp9 webm, hidden frames": {
        "codec": "libvpx-vp9",
        "kind": "webm",
        "options": {"cpu-used": 8, "g": 12, "auto-alt-ref": 1, "lag-in-frames": 8},
    },
    "wmv asf": {"codec": "wmv2", "kind": "asf", "options": {"g": 6}},
    "ffv1 mkv": {"codec": "ffv1", "kind": "matroska", "options": {"g": 5}},
    "mjpeg mov": {"codec": "mjpeg", "kind": "mov", "pixels": "yuvj420p"},
    "prores mov": {"codec": "prores_ks", "kind": "mov", "pixels": "yuv422p10le"},
    "gif": {"codec": "gif", "kind": "gif", "pixels": "rgb8"},
}


def shown(frames, time):
    """The frame on show then: the last one that has begun, of (time, picture); the first if none has."""
    return next((picture for begins, picture in reversed(frames) if begins <= time + 1e-9), frames[0][1])


def same(pictures, others):
    return len(pictures) == len(others) and all(map(np.array_equal, pictures, others))


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_the_sequential_ones(kind):
    source = numbered_film(40, **KINDS[kind])
    frames = decoded(source)
    assert len(frames) == 40
    if "mpegts" in str(KINDS[kind]) or kind == "mpeg2 ps":  # their clock starts anywhere
        frames = [(time - frames[0][0], picture) for time, picture in frames]
    times = [time for time, _ in frames]
    wanted = [times[17], times[3] + 0.01, 0.0, times[39], 99.0, times[18], times[30] + 0.001, -3.0, times[3]]
    expected = [shown(frames, time) for time in wanted]
    assert same(frames_at(source, wanted), expected)
    for i in (0, 3, 5):
        assert same(frames_at(source, [wanted[i]]), [expected[i]])


def test_a_stream_without_times_has_those_of_its_rate():
    source = numbered_film(30, kind="h264", rate=25, options={"bf": 0, "g": 10})
    frames = decoded(source)
    assert {time for time, _ in frames} == {None}
    wanted = [12 / 25, 0.5, 0.0, 7, 29 / 25]
    assert same(frames_at(source, wanted), [frames[i][1] for i in (12, 12, 0, 29, 29)])
    assert duration(source) == pytest.approx(30 / 25)


@examples(40)
@given(
    st.sampled_from(["mp4", "matroska", "mov", "nut"]),
    st.sampled_from(["libx264", "libx264", "mpeg4"]),
    st.integers(1, 25),
    st.integers(0, 4),
    st.booleans(),
    st.lists(st.integers(1, 400), min_size=1, max_size=45),
    st.integers(0, 3000),
    st.lists(st.floats(-1, 20), min_size=1, max_size=8),
    st.lists(st.integers(0, 44), max_size=6),
)
def test_any_times_of_any_film(kind, codec, gop, between, opened, gaps, start, times, exact):
    if codec == "mpeg4":
        between = min(between, 2)
    ticks = np.cumsum([start, *gaps[1:]]).tolist()
    options = {"bf": between, "g": gop, **({"x264-params": f"open-gop={int(opened)}"} if codec == "libx264" else {})}
    source = numbered_film(len(ticks), codec=codec, kind=kind, ticks=ticks, base=Fraction(1, 1000), options=options)
    frames = decoded(source)
    times = times + [frames[i % len(frames)][0] for i in exact]
    # A time half a tick before a frame's may be rounded to it.
    times = [t for t in times if not any(0 < begins - t <= 0.001 for begins, _ in frames)]
    assert same(frames_at(source, times), [shown(frames, time) for time in times])


def test_little_is_decoded(monkeypatch):
    count, decode = [], reader.VideoReader.decode
    monkeypatch.setattr(
        reader.VideoReader, "decode", lambda *given, **named: count.append(1) or decode(*given, **named)
    )
    for kind in ("mp4", "matroska", "mpegts", "avi"):
        source = numbered_film(300, kind=kind, options=QUICK | {"g": 25, "bf": 0})
        frames = decoded(source)
        count.clear()
        assert same(frames_at(source, [20.5 + frames[0][0] * (kind == "avi")]), [frames[205][1]])
        assert len(count) < 25, kind


def test_references_are_decoded_but_others_left_out(monkeypatch):
    skipped, decode = [], reader.VideoReader.decode

    def counting(self, packet, skip=False):
        skipped.append(skip)
        return decode(self, packet, skip)

    monkeypatch.setattr(reader.VideoReader, "decode", counting)
    source = numbered_film(100, options={"g": 100, "bf": 3, "x264-params": "scenecut=0"})
    assert same(frames_at(source, [7.55]), [decoded(source)[75][1]])
    assert sum(skipped) >= 70


@pytest.mark.parametrize("kind", ["mp4", "matroska"])
def test_times_after_one_keyframe_share_a_decoder(kind, monkeypatch):
    monkeypatch.setattr(sampling, "decoder_count", lambda pixels: 2)
    source = numbered_film(100, kind=kind, options=QUICK | {"g": 20, "bf": 0, "x264-params": "scenecut=0"})
    with reader.VideoReader(source) as opened:
        wanted = [opened.tick(i / 10) for i in (1, 5, 18, 22, 25, 41, 60, 79, 80, 99)]
        first, second = sampling._groups(opened, wanted)
        assert first + second == wanted
        assert opened.keyframe_before(first[-1]) < opened.keyframe_before(second[0])


@pytest.mark.parametrize("held", [0, 300, 2000])
def test_few_packets_wait(held):
    """In a film with a single keyframe, what waits is decoded before it is known whether it matters."""
    source = numbered_film(80, options={"g": 200, "bf": 3, "x264-params": "scenecut=0"})
    frames = decoded(source)
    wanted = [0.3, 2.75, 2.85, 6.1, 7.9]
    with reader.VideoReader(source) as opened:
        decoder = KeyframeDecoder(opened, max_waiting=held)
        ticks = [*map(opened.tick, wanted), None]
        found = [decoder.frame_at(tick, following) for tick, following in itertools.pairwise(ticks)]
        found = [opened.to_image(opened.reduce(frame)) for frame in found]
    assert same(found, [shown(frames, time) for time in wanted])


def test_hidden_beginnings_are_not_shown():
    """An edit list that starts amid a group of frames: all are decoded, those before it never shown."""
    file = io.BytesIO()
    plain = numbered_film(40, options={"g": 20, "bf": 2})
    with av.open(io.BytesIO(plain)) as given, av.open(file, "w", format="mp4") as out:
        out_stream = out.add_stream_from_template(given.streams.video[0])
        out.flags &= ~0x200000
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.pts -= round(0.75 / packet.time_base)
                packet.dts -= round(0.75 / packet.time_base)
                packet.stream = out_stream
                out.mux(packet)
    source = file.getvalue()
    frames = decoded(source)
    assert 0 < len(frames) <= 40
    wanted = [0.0, 0.5, 1.3, frames[-1][0]]
    assert same(frames_at(source, wanted), [shown(frames, time) for time in wanted])


@pytest.mark.parametrize("codec", ["mpeg4", "libx264", "libvpx-vp9"])
def test_marks_of_keyframes_that_lie(codec):
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream = out.add_stream(codec, rate=10, options={"g": "30", "deadline": "realtime"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture in [*map(numbered, range(30)), None]:
            frame = picture if picture is None else av.VideoFrame.from_ndarray(picture, "rgb24")
            for packet in stream.encode(frame):
                packet.is_keyframe = True
                out.mux(packet)
    frames = decoded(file.getvalue())
    assert same(frames_at(file.getvalue(), [1.75, 2.0]), [frames[17][1], frames[20][1]])


def test_samples_are_the_middles_of_equal_parts():
    source = numbered_film(40)
    frames = [picture for _, picture in decoded(source)]
    assert duration(source) == pytest.approx(4)
    assert same(sample_frames(source, 4), [frames[i] for i in (5, 15, 25, 35)])
    assert same(sample_frames(source, 2, start=1, end=3), [frames[i] for i in (15, 25)])
    assert same(sample_frames(numbered_film(1), 3), [decoded(numbered_film(1))[0][1]] * 3)
    for count, start, end in ((0, 0, 1), (2, 2, 1), (2, -1, 1), (2, 0, float("inf")), (2, float("nan"), 3)):
        with pytest.raises(ValueError, match="at least one"):
            sample_frames(source, count, start, end)
    with pytest.raises(ValueError, match="finite"):
        frames_at(source, [float("nan")])
    assert frames_at(source, []) == []
    for kind in ("mp4", "matroska", "mpegts"):
        first, last = frames_at(numbered_film(12, kind=kind, options={"bf": 0}), [-1e300, np.float32(1e30)])
        assert not np.array_equal(first, last)


def test_a_length_that_is_not_told_or_not_true(tmp_path):
    live = io.BytesIO()
    live.seekable = lambda: False
    with av.open(live, "w", format="matroska") as out:  # can't go back to say how long it is
        stream = out.add_stream("libx264", rate=10, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture in map(numbered, range(35)):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        out.mux(stream.encode(None))
    with av.open(io.BytesIO(live.getvalue())) as container:
        assert container.duration is None
    assert duration(live.getvalue()) == pytest.approx(3.5, abs=0.01)
    assert same(sample_frames(live.getvalue(), 2), [decoded(live.getvalue())[i][1] for i in (8, 26)])
    whole = numbered_film(100, kind="matroska", options={"g": 10})
    assert duration(whole) == pytest.approx(10)
    cut = whole[: len(whole) // 2]
    assert 3 < duration(cut) < 8
    assert len({picture.tobytes() for picture in sample_frames(cut, 4)}) == 4


def colors_of(source, size=None):
    picture = frames_at(source, [0.0], size)[0]
    width, height = picture.size
    return np.array([picture.getpixel((width // 8 + i * width // 4, height // 2)) for i in range(4)], int)


BARS = np.array([(250, 20, 30), (20, 240, 40), (30, 30, 250), (240, 230, 220)], np.uint8)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le", "yuv444p", "yuv422p"])
@pytest.mark.parametrize(
    ("matrix", "tagged", "height"), [(1, True, 96), (5, True, 720), (5, False, 96), (1, False, 720)]
)
@pytest.mark.parametrize("levels", [1, 2])
def test_colors(pixels, matrix, tagged, height, levels):
    """BT.709 and BT.601, also where nothing is said: HD is BT.709 then. Limited and full levels."""
    if not tagged and levels == 2:
        levels = 1  # what says nothing is limited
    bars = np.repeat(np.repeat(BARS[None], height * 16 // 9 // 4 // 2 * 2, axis=1), height, axis=0)
    frame = av.VideoFrame.from_ndarray(bars, "rgb24")
    frame = frame.reformat(format=pixels, dst_colorspace=matrix, dst_color_range=levels)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=5, options=QUICK | {"qp": "2"})
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pixels
        if tagged:
            stream.codec_context.colorspace, stream.codec_context.color_range = matrix, levels
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    for size in (None, 30):
        assert np.abs(colors_of(file.getvalue(), size) - BARS).max() <= 4


@pytest.mark.parametrize(
    ("codec", "pixels"), [("png", "rgb24"), ("qtrle", "rgb24"), ("libx264rgb", "rgb24"), ("ffv1", "bgr0")]
)
def test_what_has_no_matrix(codec, pixels):
    bars = np.repeat(np.repeat(BARS[None], 320, axis=1), 720, axis=0)
    source = encode([bars] * 2, codec=codec, kind="mov" if codec != "ffv1" else "matroska", pixels=pixels)
    for size in (None, 30):
        assert np.abs(colors_of(source, size) - BARS).max() <= 6


@pytest.mark.parametrize(
    ("codec", "name"), [("libvpx-vp9", "webm"), ("libvpx", "webm"), ("qtrle", "mov"), ("png", "mov")]
)
def test_transparency_is_laid_on_white(codec, name):
    picture = np.zeros((48, 64, 4), np.uint8)
    picture[:, 32:] = (255, 0, 0, 255)
    pixels = {"libvpx-vp9": "yuva420p", "libvpx": "yuva420p", "qtrle": "argb", "png": "rgba"}[codec]
    options = {"auto-alt-ref": 0, "deadline": "realtime"} if "vpx" in codec else {}
    source = encode([picture] * 20, codec=codec, kind=name, pixels=pixels, options=options)
    for size in (None, 8):
        for shown_frame in frames_at(source, [0.0, 1.15], size):
            left, right = (np.array(shown_frame.getpixel((shown_frame.width * x // 8, 5)), int) for x in (1, 7))
            assert np.abs(left - 255).max() <= 3
            assert np.abs(right - (255, 0, 0)).max() <= 6
        assert shown_frame.size == ((64, 48) if size is None else (16, 12))
        assert shown_frame.info["full_size"] == (64, 48)


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
@pytest.mark.parametrize(("across", "down"), [(False, False), (True, False), (False, True)])
def test_films_are_set_upright(degrees, across, down):
    def turned(stream):
        stream.set_display_rotation(degrees, across, down)

    picture = frames_at(numbered_film(3, settings=turned), [0.1])[0]
    plain = frames_at(numbered_film(3), [0.1])[0]
    # FFmpeg's call turns anticlockwise, then mirrors what is shown.
    plain = plain.rotate(degrees, expand=True)
    if across:
        plain = plain.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if down:
        plain = plain.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    assert picture.info["full_size"] == picture.size == plain.size
    assert np.array_equal(picture, plain)


def test_frames_with_exif():
    """A camera's film of JPEGs: PyAV can't list what stands beside such a frame, but tells the angle."""
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as out:
        stream = out.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        exif = Image.Exif()
        exif[0x0112] = 6
        for i in range(3):
            packet = av.Packet(saved(numbered(i), "JPEG", exif=exif))
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, i, i, Fraction(1, 10)
            packet.is_keyframe = True
            out.mux(packet)
    picture = frames_at(file.getvalue(), [0.1])[0]
    assert picture.size == (48, 64)
    assert np.array_equal(picture.transpose(Image.Transpose.ROTATE_90), decoded(file.getvalue())[1][1])


def test_reduced_frames():
    source = numbered_film(4, options={"qp": 1})
    large = encode([np.asarray(Image.fromarray(numbered(i)).resize((640, 480))) for i in range(4)], options={"qp": 1})
    whole, reduced = frames_at(large, [0.1])[0], frames_at(large, [0.1], 100)[0]
    assert reduced.size == (200, 150)
    assert reduced.info["full_size"] == (640, 480)
    difference = np.abs(np.asarray(reduced, int) - np.asarray(whole.resize((200, 150), Image.Resampling.BOX), int))
    assert difference.mean() < 2
    assert frames_at(source, [0.0], 100)[0].size == (64, 48)


def test_pixels_that_are_not_square():
    def wide(stream):
        stream.sample_aspect_ratio = Fraction(4, 3)

    picture = frames_at(numbered_film(3, settings=wide), [0.1])[0]
    assert picture.size == picture.info["full_size"] == (85, 48)


def test_sound_is_never_opened(monkeypatch):
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream, sound = out.add_stream("libx264", rate=10, options={"g": "10"}), out.add_stream("aac", rate=8000)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(20):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(i), "rgb24")))
            broken = av.Packet(bytes(range(7)) * 40)
            broken.stream, broken.pts, broken.dts = sound, i * 1024, i * 1024
            out.mux(broken)
        out.mux(stream.encode(None))
    source = file.getvalue()
    with av.open(io.BytesIO(source)) as container, pytest.raises(av.FFmpegError):
        list(container.decode(audio=0))
    frames = decoded(source)
    assert same(frames_at(source, [0.55, 1.9]), [frames[5][1], frames[19][1]])
    assert duration(source) == pytest.approx(2)


def saved(picture, kind, **how):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **how)
    return file.getvalue()


def only_sound():
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        sound = out.add_stream("aac", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        samples.sample_rate = 8000
        out.mux(sound.encode(samples))
        out.mux(sound.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: b"", "empty file"),
        (lambda: b"nothing of the kind" * 50, "not a video"),
        (lambda: saved(numbered(1), "JPEG"), r"an image \(JPEG\)"),
        (lambda: saved(numbered(1), "PNG"), r"an image \(PNG\)"),
        (lambda: saved(numbered(1), "AVIF"), r"an image \(AVIF\)"),
        (only_sound, "only sound"),
        (lambda: numbered_film()[:900], "cut short"),
        (lambda: numbered_film().replace(b"avc1", b"zzzz"), "can't be decoded here"),
        (lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "not a video"),
        (lambda: b"ffconcat version 1.0\nfile 'a.mp4'\n", "not a video"),
    ],
)
@pytest.mark.parametrize("call", [lambda film: frames_at(film, [0.0]), lambda film: sample_frames(film, 2), duration])
def test_what_is_no_film(make, reason, call, tmp_path):
    path = tmp_path / "-some film.mp4"
    path.write_bytes(make())
    for source in (path, make()):
        with pytest.raises(VideoError, match=reason) as caught:
            call(source)
    assert caught.value.source


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for name, reason in ((".", "a folder"), ("pipe.mp4", "a pipe"), ("missing.mp4", "no such file")):
        with pytest.raises(VideoError, match=reason):
            frames_at(tmp_path / name, [0.0])


def test_names_that_look_like_something_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = numbered_film(5)
    for name in ("-i", "-dash.mp4", "http:", "concat:a|b.mp4", "ü 猫 %03d.mp4", "a\nb.mp4"):
        (tmp_path / name).write_bytes(source)
        assert same(frames_at(name, [0.2]), frames_at(source, [0.2]))
    odd = os.fsencode(tmp_path) + b"/\xff.mp4"
    with open(odd, "wb") as file:  # noqa: PTH123
        file.write(source)
    assert same(frames_at(os.fsdecode(odd), [0.2]), frames_at(source, [0.2]))


def test_too_many_pixels(monkeypatch):
    source = numbered_film(2)
    monkeypatch.setattr(reader, "MAX_FRAME_PIXELS", 64 * 48 - 1)
    with pytest.raises(VideoError, match="64 x 48 pixels are too many"):
        frames_at(source, [0.0])


BASES = [
    numbered_film(40, options={"g": 8, "bf": 2}),
    numbered_film(40, kind="matroska", options={"g": 8}),
    numbered_film(40, kind="mpegts"),
]


@examples(60)
@given(st.sampled_from(BASES), st.data())
def test_damage_gives_frames_or_an_error(source, data):
    damaged = bytearray(source)
    for place in data.draw(st.lists(st.integers(0, len(source) - 1), max_size=12)):
        damaged[place] ^= data.draw(st.integers(1, 255))
    damaged = bytes(damaged[: data.draw(st.integers(1, len(source)) | st.just(len(source)))])
    try:
        pictures = sample_frames(damaged, 3)
    except VideoError:
        return
    assert len(pictures) == 3
    assert {picture.mode for picture in pictures} == {"RGB"}


def test_half_a_film_gives_its_half():
    source = numbered_film(60, kind="mpegts", options={"g": 10})
    frames = decoded(source)
    half = source[: len(source) // 2]
    readable = len(decoded(half))
    assert 20 < readable < 50
    start = frames[0][0]
    assert same(frames_at(half, [frames[12][0] - start, 99]), [frames[12][1], decoded(half)[-1][1]])


def test_quiet(capfd):
    for base in BASES:
        for cut in (100, 1000, len(base) - 200):
            try:
                sample_frames(base[:cut], 2)
            except VideoError:
                continue
    assert capfd.readouterr() == ("", "")


def test_suffixes():
    assert is_video("folder.x/A.MP4")
    assert is_image(Path("a.b.jpeg"))
    assert not is_video("a.jpeg")
    assert not is_image(".png")
    assert {".mp4", ".mkv", ".webm", ".mov", ".avi"} <= VIDEO_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in VIDEO_SUFFIXES)
    assert VIDEO_SUFFIXES.isdisjoint(IMAGE_SUFFIXES)
