"""Videos with all kinds of metadata, and what is right for each."""

import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
from av import AudioFrame, VideoFrame

from sightline.processing.metadata import Metadata
from support.headers import INSTANT, alternatives, captioned, dated, local, packet, picture, takeout


def film(path, tags=None, options=None, codec="mpeg4", rate=8, frames=15, audio=None):
    """A video of moving stripes; `audio`: the codec of a silent track."""
    if path.suffix == ".mov":
        options = {"movflags": "use_metadata_tags"}
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata.update(tags or {})
        video = container.add_stream(codec, rate=rate)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = Fraction(1, rate)
        sound = container.add_stream(audio, rate=48000) if audio else None
        for number in range(frames):
            frame = VideoFrame.from_image(picture(f"{path.name}{number // 8}").rotate(180 * (number % 2)))
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            for number in range(int(frames / rate * 48000) // 960):
                silence = AudioFrame(format=sound.format.name, layout="stereo", samples=960)
                for plane in silence.planes:
                    plane.update(bytes(plane.buffer_size))
                silence.sample_rate, silence.pts = 48000, number * 960
                container.mux(sound.encode(silence))
            container.mux(sound.encode(None))


@cache
def motion_video():
    """An MP4 file's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "motion.mp4")
        film(path)
        return path.read_bytes()


def videos(folder):
    measures = {"duration": 1.875, "fps": 8.0, "codec": "mpeg4", "has_audio": False}
    clock = {"creation_time": "2021-01-01T00:00:00Z"}
    apple = {
        "com.apple.quicktime.creationdate": "2021-06-01T12:00:00+0200",
        "com.apple.quicktime.location.ISO6709": "+52.5200-013.4050+034.000/",
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone 12",
        "com.apple.quicktime.title": "Holidays",
        "com.apple.quicktime.description": "At the sea",
        "com.apple.quicktime.keywords": "sea,gulls",
    }
    film(folder / "apple.mov", apple | clock)
    film(folder / "nothing.mp4")
    film(folder / "clock.mp4", clock | {"location": "+52.5200-013.4050/", "comment": "https://example.org/v"})
    film(folder / "zero.mp4", {"creation_time": "1970-01-01T00:00:00Z", "title": "Zero"})
    film(folder / "day.mp4", {"date": "2013-10-05T10:51:38+0200", "description": "Autumn"} | clock)
    film(folder / "release.mp4", {"date": "2010-03-05T08:00:00Z"})
    film(folder / "sound.mp4", audio="aac")
    film(folder / "h264.mp4", codec="libx264")
    film(
        folder / "recorded.mkv",
        {"DATE_RECORDED": "2019-05-06 07:08:09", "title": "A title", "comment": "By hand"} | clock,
    )
    film(folder / "clock.mkv", clock)
    film(folder / "sound.webm", codec="libvpx-vp9", audio="libopus")
    film(folder / "recorded.avi", {"date": "2009-08-07 06:05:04", "comment": "On tape"})
    film(folder / "takeout.mp4", clock)
    takeout(folder / "takeout.mp4.json", "A film", INSTANT + 86_400 * 200)
    film(folder / "beside.mp4", clock)
    (folder / "beside.mp4.xmp").write_bytes(
        packet(alternatives("dc:title", x_default="Beside"), 'photoshop:DateCreated="2001-02-03T04:05:06-01:00"')
    )
    return {
        "apple.mov": dated(
            *(2021, 6, 1, 12),
            offset=120,
            source="quicktime",
            latitude=52.52,
            longitude=-13.405,
            altitude=34.0,
            camera_make="Apple",
            camera_model="iPhone 12",
            title="Holidays",
            caption="At the sea",
            caption_source="mp4",
            keywords=("sea", "gulls"),
            **measures,
        ),
        "nothing.mp4": Metadata(**measures),
        "clock.mp4": Metadata(**local(), **measures, latitude=52.52, longitude=-13.405),
        "zero.mp4": Metadata(title="Zero", **measures),
        "day.mp4": dated(
            *(2013, 10, 5, 10, 51, 38),
            offset=120,
            source="quicktime",
            caption="Autumn",
            caption_source="mp4",
            **measures,
        ),
        "release.mp4": Metadata(**measures),
        "sound.mp4": Metadata(**measures | {"has_audio": True}),
        "h264.mp4": Metadata(**measures | {"codec": "h264"}),
        "recorded.mkv": dated(
            *(2019, 5, 6, 7, 8, 9),
            source="matroska",
            title="A title",
            caption="By hand",
            caption_source="matroska",
            **measures,
        ),
        "clock.mkv": Metadata(**local(source="matroska"), **measures),
        "sound.webm": Metadata(**measures | {"codec": "vp9", "has_audio": True}),
        "recorded.avi": dated(
            *(2009, 8, 7, 6, 5, 4), source="avi", caption="On tape", caption_source="avi", **measures
        ),
        "takeout.mp4": captioned("A film", "takeout", **local(INSTANT + 86_400 * 200, "takeout"), **measures),
        "beside.mp4": dated(2001, 2, 3, 4, 5, 6, offset=-60, source="sidecar", title="Beside", **measures),
    }
