"""The metadata of a video, from its container and the files beside it."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from sightline.processing.metadata.record import NOTHING, Metadata, merge
from sightline.processing.metadata.sidecar import with_sidecars
from sightline.processing.metadata.tags import read_clock, read_tags
from sightline.processing.metadata.values import positive
from sightline.processing.metadata.xmp import Packet, read_xmp

_KINDS = {"matroska,webm": "matroska", "avi": "avi"}
"""Names of sources, by FFmpeg's names of the containers; all others are "mp4"."""


def read_video_metadata(path: Path) -> Metadata:
    """What the container of a video says, and the files beside it: .xmp files, and Google Takeout's .json files.

    Never raises: what cannot be read is None. Of several dates the first counts, in this order: Apple's
    `creationdate`, the container's other dates that are local time (QuickTime's day with an offset, Matroska's
    DATE_RECORDED, AVI's), XMP in the container, the .xmp file, Takeout, and the container's clock, which is UTC and
    turned by this machine's zone. For what people write the order is that of `read_image_metadata`.
    """
    header = clock = NOTHING
    with suppress(Exception):
        if path.is_file():  # opening a pipe would wait
            with path.open("rb") as file, _open(file) as container:
                header, clock = _read(container)
    return with_sidecars(path, header, clock)


def _open(file: Any) -> Any:
    return av.open(file, options={"export_xmp": "1"}, metadata_errors="replace", io_open=_refuse)


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
        duration=positive(duration, 1e9),
        fps=positive(float(rate)) if rate else None,
        codec=context.codec.canonical_name if context else None,
        has_audio=bool(container.streams.audio),
    )


def _refuse(*_: Any) -> Any:
    raise PermissionError("a video is one file")
