"""All of a video's frames in one pass, several segments from keyframe to keyframe at a time.

FFmpeg's threads make one decoder wait for the other (on two cores 1.2 to 1.4 times as fast as one, measured);
decoders of segments that don't need each other never do (2.0 times).
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

import av
from av import Packet, VideoFrame

from sightline.processing.video.decoding import MAX_HELD_BYTES, UnreliableMarksError, decoder_count
from sightline.processing.video.frames import ReducedFrame
from sightline.processing.video.reader import MAX_FRAME_PIXELS, VideoReader, VideoSource

T = TypeVar("T")

MAX_BATCH = 256
"""Packets that are decoded in one go at most: a video may have a single keyframe. Fewer of large frames."""

_MAX_LEADING = 64
"""Packets after a keyframe that may be shown before it: codecs reorder 16 frames at most."""


def scan_frames(
    source: VideoSource,
    short_side: int | None,
    process: Callable[[VideoReader, ReducedFrame], T],
    *,
    max_batch: int = MAX_BATCH,
) -> Iterator[tuple[int, T | None]]:
    """(time, result of `process`) of each frame, in order; last (the video's end, None). Times are in ticks.

    `process` is called by several threads, with frames reduced as `FrameConverter` does for `short_side`. Frames that
    no other refers to are left out where the codec marks them: every second frame, as x264 encodes. At most
    `max_batch` packets are decoded in one go. Raises VideoError if no frame can be decoded.
    """
    last = None
    try:
        for tick, result in _scan_segments(source, short_side, process, max_batch):
            yield tick, result
            last = tick
    except UnreliableMarksError:
        yield from _scan_in_order(source, short_side, process, last)


def _scan_in_order(
    source: VideoSource, short_side: int | None, process: Callable[[VideoReader, ReducedFrame], T], after: int | None
) -> Iterator[tuple[int, T | None]]:
    """The frames later than `after` (None: all), one after the other in a single decoder."""
    end = None
    with VideoReader(source, short_side, threads="SLICE", count=1) as reader:
        for tick, frame in reader.frames():
            if after is None or tick > after:
                yield tick, process(reader, reader.reduce(frame))
            end = tick + (reader.frame_ticks if frame.pts is None else frame.duration or reader.frame_ticks)
        if end is None:
            raise reader.no_frame()
        yield end, None


@dataclass
class _Segment:
    """What can be decoded from a keyframe on. Frames from `until` on belong to the next segment."""

    key: Packet
    until: int | None = None
    reader: VideoReader | None = None
    """The decoder that has begun with the segment."""

    key_confirmed: bool = False
    """Whether the decoder agrees that `key` is a keyframe."""


@dataclass
class _Batch:
    """Packets of a segment that a decoder gets in one go."""

    segment: _Segment
    packets: list[Packet]
    is_last: bool = False


def _batches(packets: Iterator[Packet], max_batch: int) -> Iterator[_Batch]:
    """Packets grouped into segments, and long segments into batches.

    Packets between a keyframe and the first packet that is shown after it go to both segments: they are decoded after
    the keyframe but shown before it, and may need frames of both sides.
    """
    batch = following = None
    for packet in packets:
        if packet.pts is None:
            raise UnreliableMarksError
        if following is not None and batch is not None and packet.pts > following.segment.key.pts:
            yield _ended(batch, following)
            batch, following = following, None
        if batch is None:
            batch = _Batch(_Segment(packet), []) if packet.is_keyframe else None
        elif packet.is_keyframe and following is None:
            following = _Batch(_Segment(packet), [])
        for open_batch in (batch, following):
            if open_batch is not None:
                open_batch.packets.append(packet)
        if following is not None and len(following.packets) > _MAX_LEADING:
            raise UnreliableMarksError
        if batch is not None and following is None and len(batch.packets) >= max_batch:
            yield batch
            batch = _Batch(batch.segment, [])
    if batch is not None:
        yield _ended(batch, following)
    if following is not None:
        yield _ended(following, None)


def _ended(batch: _Batch, following: _Batch | None) -> _Batch:
    batch.is_last = True
    if following is not None:
        batch.segment.until = following.segment.key.pts
        if batch.packets[-1] is following.segment.key:  # no packet is shown before the keyframe
            batch.packets.pop()
    return batch


def _scan_segments(
    source: VideoSource, short_side: int | None, process: Callable[[VideoReader, ReducedFrame], T], max_batch: int
) -> Iterator[tuple[int, T | None]]:
    """As `scan_frames`. Raises UnreliableMarksError as soon as the file contradicts itself."""
    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(source))
        count = decoder_count(reader.pixels)
        decoder = _SegmentDecoder(process)
        for _ in range(count):
            decoder.free.put(stack.enter_context(VideoReader(source, short_side, threads="SLICE", count=1)))
        pool = ThreadPoolExecutor(count, "sightline-video")
        stack.callback(pool.shutdown, cancel_futures=True)
        batches = _batches(reader.packets(), _batch_size(reader, short_side, max_batch))
        last = None
        for tick, result in _decode_ahead(pool, decoder, batches, 2 * count):
            if last is not None and tick <= last:
                raise UnreliableMarksError
            yield tick, result
            last = tick
        if last is None or reader.end is None:
            raise UnreliableMarksError
        yield max(reader.end, last + 1), None


def _batch_size(reader: VideoReader, short_side: int | None, max_batch: int) -> int:
    """Packets in a batch, so that its decoded frames take MAX_HELD_BYTES, about; 8 at least."""
    # 4:2:0 has 1.5 bytes a pixel, and 16:9 at 1.5 times `short_side` has 4 times its square: both rounded up.
    frame = 2 * min(reader.pixels, 5 * short_side**2 if short_side else MAX_FRAME_PIXELS)
    return max(min(max_batch, MAX_HELD_BYTES // max(frame, 1)), 8)


class _SegmentDecoder(Generic[T]):
    """Decodes batches in any number of threads, a segment's batches in order and with the same reader."""

    def __init__(self, process: Callable[[VideoReader, ReducedFrame], T]) -> None:
        self.free: SimpleQueue[VideoReader] = SimpleQueue()
        """Readers that no segment has begun with, or whose segment is done."""

        self._process = process

    def decode(self, batch: _Batch, previous: Future[list[tuple[int, T]]] | None) -> list[tuple[int, T]]:
        """(time, result) of each frame. `previous` is the segment's batch before this one."""
        if previous is not None:
            previous.result()
        segment = batch.segment
        reader = segment.reader or self.free.get()
        is_done = True
        try:
            if segment.reader is None:
                reader.flush()
                segment.reader = reader
            results = []
            for packet in [*batch.packets, None] if batch.is_last else batch.packets:
                for frame in _decoded(reader, packet, segment):
                    if frame.pts >= segment.key.pts and (segment.until is None or frame.pts < segment.until):
                        results.append((frame.pts, self._process(reader, reader.reduce(frame))))
            if batch.is_last and not segment.key_confirmed:
                raise UnreliableMarksError
            is_done = batch.is_last
            return results
        finally:
            if is_done:
                self.free.put(reader)


def _decode_ahead(
    pool: ThreadPoolExecutor, decoder: _SegmentDecoder[T], batches: Iterator[_Batch], ahead: int
) -> Iterator[tuple[int, T]]:
    """(time, result) of each frame in order, with `ahead` batches in work."""
    running: deque[Future[list[tuple[int, T]]]] = deque()
    previous = None
    for batch in batches:
        is_first = bool(batch.packets) and batch.packets[0] is batch.segment.key
        previous = pool.submit(decoder.decode, batch, None if is_first else previous)
        running.append(previous)
        while len(running) > ahead:
            yield from running.popleft().result()
    while running:
        yield from running.popleft().result()


def _decoded(reader: VideoReader, packet: Packet | None, segment: _Segment) -> list[VideoFrame]:
    try:
        frames = reader.decode(packet, skip=True)
    except av.FFmpegError:
        segment.key_confirmed = True  # damaged, which says nothing about the marks; what follows may be whole
        return []
    for frame in frames:
        is_key = frame.pts == segment.key.pts
        if frame.pts is None or (is_key and reader.marks_keyframes and not frame.key_frame):
            raise UnreliableMarksError
        segment.key_confirmed = segment.key_confirmed or segment.key.is_discard or is_key
    return frames
