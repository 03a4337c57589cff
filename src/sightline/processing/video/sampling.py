"""A video's frames by time: exactly those that decoding all of it gives, with as little decoding as that needs."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain, groupby, pairwise

import av
from av import VideoFrame
from PIL import Image

from sightline.errors import VideoError
from sightline.processing.video.decoding import UnreliableMarksError, decoder_count
from sightline.processing.video.keyframes import KeyframeDecoder
from sightline.processing.video.reader import VideoReader, VideoSource, failures_as_video_errors


def frames_at(source: VideoSource, times: Sequence[float], short_side: int | None = None) -> list[Image.Image]:
    """The frames on show at `times` (seconds, in any order): for each the last frame that begins until then.

    Before the first frame that is the first, after the last the last. Time zero is the file's zero; in MPEG transport
    and program streams, whose clocks start anywhere, the start of the stream. A time is rounded to the stream's clock,
    as the times in the file are. `short_side`: see `open_image`; libswscale then reduces to 1.5 times that. Each
    picture is "RGB" and upright, and its `info["full_size"]` the upright (width, height) in the video.

    Raises VideoError for a video that can't be read; of a damaged video the frames that can be decoded count. Raises
    ValueError for times that are not finite.
    """
    if not all(map(math.isfinite, times)):
        raise ValueError("times must be finite numbers of seconds")
    with failures_as_video_errors(source):
        return _frames_at(source, times, short_side)


def _frames_at(source: VideoSource, times: Sequence[float], short_side: int | None) -> list[Image.Image]:
    with VideoReader(source) as reader:
        ticks = [reader.tick(time) for time in times]
        groups = _groups(reader, sorted(set(ticks)))
    pictures: dict[int, Image.Image] = {}
    with ThreadPoolExecutor(max(len(groups), 1), "sightline-video") as pool:
        for part in pool.map(lambda group: _decode_from_keyframes(source, short_side, group, len(groups)), groups):
            pictures |= part
    missing = sorted(set(ticks) - set(pictures))
    if missing:
        with VideoReader(source, short_side, threads="SLICE", count=1) as reader:
            for tick, frame in _decode_in_order(reader, missing):
                pictures[tick] = reader.to_image(reader.reduce(frame))
    return [pictures[tick].copy() for tick in ticks]


def sample_frames(
    source: VideoSource, count: int, start: float = 0.0, end: float | None = None, short_side: int | None = None
) -> list[Image.Image]:
    """`count` frames of the seconds from `start` to `end`, or to the video's end: the middle one of each equal part.

    Source: X-CLIP (arXiv 2208.02816), section 4.1: one frame per segment, as TSN does (arXiv 1608.00859). A video of
    fewer frames repeats them. The pictures are as in `frames_at`. Raises VideoError, and ValueError for a count below
    one or times that don't satisfy 0 <= start <= end < infinity.
    """
    end = duration(source) if end is None else end
    if count < 1 or not 0 <= start <= end < math.inf:
        raise ValueError(f"{count} frames from second {start:g} to {end:g}: at least one, and 0 <= start <= end")
    return frames_at(source, [start + (end - start) * (i + 0.5) / count for i in range(count)], short_side)


def duration(source: VideoSource) -> float:
    """Seconds until the last frame ends, measured where the file says nothing or too much. Raises VideoError."""
    for measure in (VideoReader.declared_end, VideoReader.last_packet_end):
        with VideoReader(source) as reader:
            end = measure(reader)
            if end is not None:
                return reader.seconds(end)
    with VideoReader(source) as reader:  # no packet has a time
        for tick, _ in reader.frames():
            end = tick + reader.frame_ticks
        if end is None:
            raise reader.no_frame()
        return reader.seconds(end)


def _groups(reader: VideoReader, ticks: list[int]) -> list[list[int]]:
    """Sorted times, parted for a decoder each; as far as there is an index, those after the same keyframe together."""
    if reader.indexed and len(ticks) > 1:
        with suppress(av.FFmpegError):
            reader.seek(ticks[-1])  # only then FFmpeg reads Matroska's index
    by_keyframe = [list(group) for _, group in groupby(ticks, reader.keyframe_before)]
    count = min(decoder_count(reader.pixels), len(by_keyframe))
    bounds = [len(by_keyframe) * i // max(count, 1) for i in range(count + 1)]
    return [list(chain(*by_keyframe[first:last])) for first, last in pairwise(bounds)]


def _decode_from_keyframes(
    source: VideoSource, short_side: int | None, ticks: list[int], decoders: int
) -> dict[int, Image.Image]:
    """The frames on show at `ticks`, until the first that can't be had for certain from the keyframe before it.
    `decoders`: how many work at the same time. A single decoder takes all of FFmpeg's threads."""
    pictures = {}
    threads, count = ("AUTO", 0) if decoders == 1 else ("SLICE", 1)
    with VideoReader(source, short_side, threads=threads, count=count) as reader:
        try:
            decoder = KeyframeDecoder(reader)
            for tick, following in zip(ticks, [*ticks[1:], None], strict=True):
                pictures[tick] = reader.to_image(reader.reduce(decoder.frame_at(tick, following)))
        except VideoError:  # an OSError, too
            raise
        except (UnreliableMarksError, av.FFmpegError, OSError):
            pass
    return pictures


def _decode_in_order(reader: VideoReader, ticks: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
    """The definition: the frame on show at a time is the frame before the first that begins later."""
    remaining = deque(ticks)
    latest: VideoFrame | None = None
    for tick, frame in reader.frames():
        while remaining and tick > remaining[0]:
            yield remaining.popleft(), latest or frame
        if not remaining:
            return
        latest = frame
    if latest is None:
        raise reader.no_frame()
    for tick in remaining:
        yield tick, latest
