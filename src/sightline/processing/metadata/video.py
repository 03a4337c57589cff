"""The metadata of a video, from its container and the files beside it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from sightline.files import open_file
from sightline.processing.metadata import values
from sightline.processing.metadata.dates import LocalTime, dated, local_time, parse_date
from sightline.processing.metadata.record import NOTHING, Metadata, merge
from sightline.processing.metadata.sidecar import with_sidecars
from sightline.processing.metadata.xmp import Packet, read_xmp
from sightline.processing.video.reader import open_container

_KINDS = {"matroska,webm": "matroska", "avi": "avi"}
"""Names of sources, by FFmpeg's names of the containers; all others are "mp4"."""
_APPLE = "com.apple.quicktime."
_POINT = re.compile(r"([+-])(\d+)((?:\.\d*)?)([+-])(\d+)((?:\.\d*)?)([+-]\d+(?:\.\d*)?)?")
"""ISO 6709, annex H: latitude, longitude and altitude, as ±DD.D, ±DDMM.M or ±DDMMSS.S."""
_NO_COMMENT = re.compile(r"https?://\S*|.*\b(handbrake|lavf\S*|vlc|ffmpeg)\b.*", re.IGNORECASE | re.DOTALL)
"""What programs write into comments."""


def read_video_metadata(path: Path) -> Metadata:
    """What the container of a video says, and the files beside it: .xmp files, and Google Takeout's .json files.

    Never raises: what cannot be read is None. Of several dates the first counts, in this order: Apple's
    `creationdate`, the container's other dates that are local time (QuickTime's day with an offset, Matroska's
    DATE_RECORDED, AVI's), XMP in the container, the .xmp file, Takeout, and the container's clock, which is UTC and
    turned by this machine's zone. For what people write the order is that of `read_image_metadata`.
    """
    header = clock = NOTHING
    with suppress(Exception), open_file(path) as file, open_container(file, export_xmp="1") as container:
        header, clock = _read(container)
    return with_sidecars(path, header, clock)


def _read(container: Any) -> tuple[Metadata, Metadata]:
    """What the container says, and its clock."""
    videos = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    tags: dict[str, str] = {}
    for source in (container, *videos[:1]):
        for name, text in source.metadata.items():
            tags.setdefault(name.lower(), text)
    kind = _KINDS.get(container.format.name, "mp4")
    measures = written = xmp = clock = NOTHING
    with suppress(Exception):
        measures = _measure(container, videos[0])
    with suppress(Exception):
        written = read_tags(tags, kind)
    with suppress(Exception):
        clock = read_clock(tags, kind)
    with suppress(Exception):
        xmp = read_xmp(Packet(tags["xmp"].encode()))
    return merge((written, xmp, measures), (xmp, written)), clock


def _measure(container: Any, video: Any) -> Metadata:
    """Duration, rate and codec of the first video stream. The container's duration counts where the stream has none."""
    duration = None
    if video.duration and video.time_base:
        duration = float(video.duration * video.time_base)
    elif container.duration:
        duration = container.duration / av.time_base
    rate = video.average_rate or video.guessed_rate
    context = video.codec_context
    return Metadata(
        duration=values.positive(duration, 1e9),
        fps=values.positive(float(rate)) if rate else None,
        codec=context.codec.canonical_name if context else None,
        has_audio=bool(container.streams.audio),
    )


def read_tags(tags: Mapping[str, str], kind: str) -> Metadata:
    """`tags`: QuickTime's, MP4's, Matroska's and AVI's, by the names that FFmpeg gives them, in lower case.

    `kind`: "mp4", "matroska" or "avi", for the sources of the record.
    """

    def first(*names: str) -> str | None:
        return next((tags[name] for name in names if tags.get(name, "").strip()), None)

    local, source = next((dated for dated in _local_dates(tags, kind) if dated[0]), (None, None))
    comment = first("comment", f"{_APPLE}comment") or ""
    locations = [tags.get(f"{_APPLE}location.iso6709", "")]
    locations += (text for name, text in tags.items() if name.partition("-")[0] == "location")
    return Metadata(
        **dated(local, source),
        camera_make=values.name_text(first(f"{_APPLE}make", "com.android.manufacturer", "make")),
        camera_model=values.name_text(first(f"{_APPLE}model", "com.android.model", "model")),
        lens=values.name_text(first(f"{_APPLE}camera.lens_model", "lens_model")),
        **next(filter(None, map(_place, locations)), {}),
        rating=values.stars(values.fraction(first(f"{_APPLE}rating.user"))),
        keywords=values.unique(re.split("[,;]", first(f"{_APPLE}keywords", "keywords") or "")),
        title=values.clean(first(f"{_APPLE}displayname", f"{_APPLE}title", "title")),
        caption=values.caption_text(first(f"{_APPLE}description", "description", "synopsis", "summary"))
        or (None if _NO_COMMENT.fullmatch(comment.strip()) else values.caption_text(comment)),
        caption_source=kind,
        pair_id=values.clean(first(f"{_APPLE}content.identifier")),
    )


def read_clock(tags: Mapping[str, str], kind: str) -> Metadata:
    """The date of the container's clock, in UTC, as the clocks of this machine's zone showed it."""
    text = tags.get("creation_time", "")
    instant = parse_date(text) if _is_utc(text) else None
    return Metadata(**dated(instant and local_time(instant.time), kind))


def _local_dates(tags: Mapping[str, str], kind: str) -> Iterator[tuple[LocalTime | None, str]]:
    """The dates that are local time, each with its source."""
    yield parse_date(tags.get(f"{_APPLE}creationdate")), "quicktime"
    yield parse_date(tags.get("date_recorded")), kind
    if not _is_utc(tags.get("creation_time", "")):
        yield parse_date(tags.get("creation_time")), kind
    day = parse_date(tags.get("date"))
    if kind == "avi":
        yield day, kind
    elif day and day.offset is not None and not _is_utc(tags["date"]):
        # An older iPhone's. In other MP4s this is the day of a release, in Matroska that of the tags.
        yield day, "quicktime"


def _is_utc(text: str) -> bool:
    """AVI's dates have no zone; they are local time."""
    return text.strip().upper().endswith("Z")


def _place(text: str) -> dict[str, Any]:
    match = _POINT.match(text.strip())
    if not match:
        return {}
    latitude = _degrees(match[1], match[2], match[3], 2)
    return values.place(latitude, _degrees(match[4], match[5], match[6], 3), values.fraction(match[7]))


def _degrees(sign: str, digits: str, rest: str, width: int) -> float | None:
    """`width`: how many of the digits are degrees; pairs of minutes and seconds may follow."""
    parts = [digits[:width], *re.findall("..", digits[width:])]
    parts[-1] += rest
    degrees = values.sexagesimal(parts)
    return -degrees if degrees is not None and sign == "-" else degrees
