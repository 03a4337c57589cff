"""The record that every reader of this folder returns, and how several records become one."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What is known of an image or a video. A field that its file does not state, or states wrongly, is None."""

    taken: datetime | None = None
    """Local wall-clock time at the camera, without a zone."""
    taken_offset: int | None = None
    """Minutes east of UTC. Where `taken` was turned from UTC, the offset of this machine's zone at that time."""
    taken_source: str | None = None
    """Where `taken` was read: "quicktime", "exif", "xmp", "iptc", "png", "sidecar" (an .xmp file beside), "takeout",
    "mp4", "matroska" or "avi". Names of files are not read as dates."""

    camera_make: str | None = None
    camera_model: str | None = None
    lens: str | None = None
    iso: int | None = None
    f_number: float | None = None
    exposure: float | None = None
    """Seconds."""
    focal_length: float | None = None
    """Millimetres."""

    latitude: float | None = None
    """Degrees north (WGS 84)."""
    longitude: float | None = None
    """Degrees east (WGS 84)."""
    altitude: float | None = None
    """Metres above sea level."""

    orientation: int | None = None
    """The EXIF flag, 1 to 8."""
    rating: int | None = None
    """0 to 5 stars; -1 for a rejected image."""
    keywords: tuple[str, ...] = ()
    title: str | None = None
    caption: str | None = None
    caption_source: str | None = None
    """Where `caption` was read: "xmp", "iptc", "exif", "png", "sidecar" (an .xmp file beside), "takeout", "mp4",
    "matroska" or "avi"."""

    pair_id: str | None = None
    """Equal for the image and the video of one Live Photo (Apple's content identifier). A motion photo, which holds
    its video in its own file, has "motion:" and a hash of that video: only copies of the file share it."""
    burst_id: str | None = None
    """Equal for the images of one burst."""

    duration: float | None = None
    """Seconds."""
    fps: float | None = None
    """Frames per second, on average."""
    codec: str | None = None
    """FFmpeg's name: "h264", "hevc", "av1", "vp9" ..."""
    has_audio: bool | None = None
    frames: int | None = None
    """Number of frames of an animated image; None for a still image."""


NOTHING = Metadata()

_TOGETHER = (
    ("taken", "taken_offset", "taken_source"),
    ("latitude", "longitude", "altitude"),
    ("caption", "caption_source"),
)
"""Fields that come from the same record: the first that has the first field of the group."""
_WRITTEN = {"rating", "keywords", "title", "caption"}
"""What people write."""
_GROUPS = (
    *_TOGETHER,
    *((field.name,) for field in fields(Metadata) if not any(field.name in group for group in _TOGETHER)),
)


def merge(stated: Sequence[Metadata], written: Sequence[Metadata]) -> Metadata:
    """Each field from the first of `stated` that has it; what people write from the first of `written` that has it.

    A reader may name the source of a date or a caption that its file lacks: it is left out here.
    """
    values: dict[str, Any] = {}
    for group in _GROUPS:
        for record in map(vars, written if group[0] in _WRITTEN else stated):
            if record[group[0]] not in (None, ()):
                values.update((name, record[name]) for name in group)
                break
    return Metadata(**values)
