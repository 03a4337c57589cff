"""All of a film's frames in one pass, several stretches from keyframe to keyframe at a time.

FFmpeg's own threads make one decoder wait for the other (on two cores 1.2 to 1.4 times as fast as one, measured);
decoders of stretches that don't need each other never do (2.0 times).
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

import av
from av import Packet, VideoFrame

from sightline.errors import VideoError
from sightline.processing.video.frames import ReducedFrame
from sightline.processing.video.reader import MAX_FRAME, Source, VideoReader

T = TypeVar("T")

_PIECE = 256
"""Packets that are decoded in one go at most: a film may have a single keyframe. Fewer of large frames."""

_HELD = 1 << 26
"""Bytes of decoded frames that one piece may come to, about."""

_LEADING = 64
"""Packets after a keyframe that may be shown before it: codecs reorder 16 frames at most."""

_MOST = 4
"""Stretches at a time: what is decoded ahead lies in memory."""


def scan_frames(
    source: Source, short_side: int | None, take: Callable[[VideoReader, ReducedFrame], T]
) -> Iterator[tuple[int, T | None]]:
    """The time of each frame and what `take`, called by several threads, makes of it, in order; last the film's end.

    Frames come reduced as `FrameConverter` does for `short_side`. Those that no other refers to are left out where the
    codec marks them: every second one, as x264 encodes. Times are in ticks, the end comes with None. Raises VideoError
    if there is no frame at all.
    """
    last = end = None
    try:
        for tick, taken in _at_once(source, short_side, take):
            yield tick, taken
            last = tick
    except _Doubt:  # each frame after the other, then, from where we are
        pass
    else:
        return
    with VideoReader(source, short_side, threads="SLICE", count=1) as reel:
        for tick, frame in reel.frames():
            if last is None or tick > last:
                yield tick, take(reel, reel.still(frame))
            end = tick + (reel.step if frame.pts is None else frame.duration or reel.step)
        if end is None:
            raise VideoError(reel.name, "no frame of it can be decoded")
        yield end, None


class _Doubt(Exception):
    """The film isn't as its marks say."""


@dataclass
class _Stretch:
    """What can be decoded from one keyframe on. Frames from `until` on, where the next begins, are not its own."""

    key: Packet
    until: int | None = None
    reel: VideoReader | None = None
    sound: bool = False


@dataclass
class _Piece:
    """Packets that one decoder gets in one go."""

    stretch: _Stretch
    packets: list[Packet]
    is_last: bool = False


def _pieces(packets: Iterator[Packet], most: int) -> Iterator[_Piece]:
    piece = following = None
    for packet in packets:
        if packet.pts is None:
            raise _Doubt
        if following is not None and piece is not None and packet.pts > following.stretch.key.pts:
            yield _ended(piece, following)
            piece, following = following, None
        if piece is None:
            piece = _Piece(_Stretch(packet), []) if _starts_a_stretch(packet) else None
        elif _starts_a_stretch(packet) and following is None:
            following = _Piece(_Stretch(packet), [])
        for open_piece in (piece, following):
            # What comes after a keyframe but is shown before it needs frames of both sides: both get it.
            if open_piece is not None:
                open_piece.packets.append(packet)
        if following is not None and len(following.packets) > _LEADING:
            raise _Doubt
        if piece is not None and following is None and len(piece.packets) >= most:
            yield piece
            piece = _Piece(piece.stretch, [])
    if piece is not None:
        yield _ended(piece, following)
    if following is not None:
        yield _ended(following, None)


def _starts_a_stretch(packet: Packet) -> bool:
    return bool(packet.is_keyframe)


def _ended(piece: _Piece, following: _Piece | None) -> _Piece:
    piece.is_last = True
    if following is not None:
        piece.stretch.until = following.stretch.key.pts
        if piece.packets[-1] is following.stretch.key:  # nothing needs both
            piece.packets.pop()
    return piece


def _at_once(
    source: Source, short_side: int | None, take: Callable[[VideoReader, ReducedFrame], T]
) -> Iterator[tuple[int, T | None]]:
    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(source))
        # A decoder of frames beyond 4K may hold half a gigabyte.
        workers = 1 if reader.pixels > 1 << 23 else min(os.cpu_count() or 1, _MOST)
        free: SimpleQueue[VideoReader] = SimpleQueue()
        for _ in range(workers):
            free.put(stack.enter_context(VideoReader(source, short_side, threads="SLICE", count=1)))
        pool = ThreadPoolExecutor(workers, "sightline-film")
        stack.callback(pool.shutdown, cancel_futures=True)
        running: deque[Future[list[tuple[int, T]]]] = deque()
        before: Future[list[tuple[int, T]]] | None = None
        last = end = None

        def finished(left: int) -> Iterator[tuple[int, T]]:
            nonlocal last
            while len(running) > left:
                for tick, taken in running.popleft().result():
                    if last is not None and tick <= last:
                        raise _Doubt
                    yield tick, taken
                    last = tick

        def noted(packets: Iterator[Packet]) -> Iterator[Packet]:
            nonlocal end
            for packet in packets:
                if packet.pts is not None and not packet.is_discard:
                    end = max(end or packet.pts, packet.pts + (packet.duration or reader.step))
                yield packet

        frame = 2 * min(reader.pixels, 5 * short_side**2 if short_side else MAX_FRAME)  # bytes; 16:9 at 1.5 times that
        for piece in _pieces(noted(reader.packets()), max(min(_PIECE, _HELD // max(frame, 1)), 8)):
            begins = piece.packets and piece.packets[0] is piece.stretch.key
            before = pool.submit(_decoded, piece, None if begins else before, free, take)
            running.append(before)
            yield from finished(2 * workers)
        yield from finished(0)
        if last is None or end is None:
            raise _Doubt
        yield max(end, last + 1), None


def _decoded(
    piece: _Piece,
    before: Future[Any] | None,
    free: SimpleQueue[VideoReader],
    take: Callable[[VideoReader, ReducedFrame], T],
) -> list[tuple[int, T]]:
    if before is not None:
        before.result()
    stretch = piece.stretch
    reel = stretch.reel or free.get()
    try:
        if stretch.reel is None:
            reel.flush()
            stretch.reel = reel
        given = []
        for packet in [*piece.packets, None] if piece.is_last else piece.packets:
            for frame in _frames(reel, packet, stretch):
                if frame.pts >= stretch.key.pts and (stretch.until is None or frame.pts < stretch.until):
                    given.append((frame.pts, take(reel, reel.still(frame))))
        if piece.is_last and not stretch.sound:
            raise _Doubt
    except BaseException:
        free.put(reel)
        raise
    if piece.is_last:
        free.put(reel)
    return given


def _frames(reel: VideoReader, packet: Packet | None, stretch: _Stretch) -> list[VideoFrame]:
    try:
        frames = reel.decode(packet, skip=True)
    except av.FFmpegError:
        stretch.sound = True  # damaged, which is another thing than marked wrongly; what follows may be whole
        return []
    for frame in frames:
        if frame.pts is None or (frame.pts == stretch.key.pts and reel.marks_keyframes and not frame.key_frame):
            raise _Doubt
        stretch.sound = stretch.sound or stretch.key.is_discard or frame.pts == stretch.key.pts
    return frames
