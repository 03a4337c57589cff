"""A film's frames by time: exactly those that decoding all of it gives, with as little decoding as that needs."""

import math
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain, groupby, pairwise

import av
from av import Packet, VideoFrame
from PIL import Image

from sightline.errors import VideoError
from sightline.processing.video.reader import Source, VideoReader


def frames_at(source: Source, times: Sequence[float], short_side: int | None = None) -> list[Image.Image]:
    """The frames on show at `times` (seconds, in any order): for each the last one that begins until then.

    Before the first frame that is the first, after the last the last. Time zero is the file's own; in MPEG transport
    and program streams, whose clocks start anywhere, the start of the stream. A time is rounded to the stream's clock,
    as the times in the file are. `short_side`: see `open_image`; libswscale then reduces to 1.5 times that. Each
    picture is "RGB" and upright, and its `info["full_size"]` the upright (width, height) in the film.

    Raises VideoError for whatever can't be read; of a damaged film what can be decoded is given.
    """
    if not all(map(math.isfinite, times)):
        raise ValueError("times must be finite numbers of seconds")
    with VideoReader(source) as reel:
        wanted = [reel.tick(time) for time in times]
        groups = _groups(reel, sorted(set(wanted)))
    shown: dict[int, Image.Image] = {}
    with ThreadPoolExecutor(max(len(groups), 1), "sightline-film") as pool:
        for some in pool.map(lambda group: _known(source, short_side, group, len(groups) == 1), groups):
            shown |= some
    left = sorted(set(wanted) - set(shown))
    if left:
        with VideoReader(source, short_side, threads="SLICE", count=1) as reel:
            for tick, frame in _in_order(reel, left):
                shown[tick] = reel.picture(reel.still(frame))
    return [shown[tick].copy() for tick in wanted]


def sample(
    source: Source, count: int, start: float = 0.0, end: float | None = None, short_side: int | None = None
) -> list[Image.Image]:
    """`count` frames of the seconds from `start` to `end`, or to the film's end: the middle one of each equal part.

    Source: X-CLIP (arXiv 2208.02816), section 4.1: one frame per segment, as TSN does (arXiv 1608.00859). A film of
    fewer frames repeats them. Raises VideoError, and ValueError for a count or times that make no sense.
    """
    end = duration(source) if end is None else end
    if count < 1 or not 0 <= start <= end < math.inf:
        raise ValueError(f"{count} frames from second {start:g} to {end:g}: at least one, and 0 <= start <= end")
    return frames_at(source, [start + (end - start) * (i + 0.5) / count for i in range(count)], short_side)


def duration(source: Source) -> float:
    """Seconds until the last frame ends, measured where the file says nothing or too much. Raises VideoError."""
    for declared in (True, False):
        with VideoReader(source) as reel:
            end = reel.end(declared)
            if end is not None:
                return reel.seconds(end)
    with VideoReader(source) as reel:  # no packet has a time
        for tick, _ in reel.frames():
            end = tick + reel.step
        if end is None:
            raise _nothing(reel)
        return reel.seconds(end)


_MOST = 4
"""Decoders at a time: each keeps some twenty frames."""

_HELD = 1 << 26
"""Bytes of packets that may wait for it to be known which of them matter."""


class _Doubt(Exception):
    """The file isn't as its index or its marks say."""


def _groups(reel: VideoReader, wanted: list[int]) -> list[list[int]]:
    """Times for a decoder each; those after the same keyframe stay together, as far as there is an index."""
    if reel.indexed and len(wanted) > 1:
        with suppress(av.FFmpegError):
            reel.seek(wanted[-1])  # only then Matroska's index is read
    together = [list(group) for _, group in groupby(wanted, reel.keyframe)]
    most = 1 if reel.pixels > 1 << 23 else min(os.cpu_count() or 1, _MOST, len(together))
    ends = [len(together) * i // max(most, 1) for i in range(most + 1)]
    return [list(chain(*together[begin:end])) for begin, end in pairwise(ends)]


def _known(source: Source, short_side: int | None, wanted: list[int], alone: bool) -> dict[int, Image.Image]:
    """The frames that can be had for certain from the keyframes before them."""
    shown = {}
    threads, count = ("AUTO", 0) if alone else ("SLICE", 1)
    with (
        VideoReader(source, short_side, threads=threads, count=count) as reel,
        suppress(_Doubt, av.FFmpegError, OSError),
    ):
        for tick, frame in _by_keyframes(reel, wanted):
            shown[tick] = reel.picture(reel.still(frame))
    return shown


def _in_order(reel: VideoReader, wanted: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
    """The definition: the frame shown at a time is the one before the first that begins later."""
    left = deque(wanted)
    shown: VideoFrame | None = None
    for tick, frame in reel.frames():
        while left and tick > left[0]:
            yield left.popleft(), shown or frame
        if not left:
            return
        shown = frame
    if shown is None:
        raise _nothing(reel)
    for want in left:
        yield want, shown


def _nothing(reel: VideoReader) -> VideoError:
    return VideoError(reel.name, "no frame of it can be decoded")


def _by_keyframes(reel: VideoReader, wanted: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
    """The same from the keyframe before each time. Raises _Doubt as soon as something isn't as it should be."""
    run = _Run(reel)
    for want, following in zip(wanted, [*wanted[1:], None], strict=True):
        yield want, run.shown(want, following)


class _Run:
    """Packets and frames from a keyframe on, as far as they were needed.

    Packets come in the order of decoding, and none is shown before it is decoded. So once one comes that is decoded
    later than a time, all that is shown until then is known, and the decoder can leave out what is not.
    """

    def __init__(self, reel: VideoReader) -> None:
        self.reel = reel
        self.packets = reel.packets()
        self.position: int | None = None  # of the last packet, in the order of decoding
        self.begun = self.over = self.drained = False
        self._restart(None)

    def _restart(self, key: Packet | None) -> None:
        self.reel.flush()
        self.waiting: deque[Packet] = deque()  # not yet decoded
        self.held = 0  # bytes that wait
        self.ticks: set[int] = set()  # of all frames, but for those before the last one shown
        self.ready: dict[int, VideoFrame] = {}
        self.key = key
        # A keyframe that an edit list hides never comes out; the table that calls it one is the most reliable there is.
        self.sound = not self.reel.marks_keyframes or (key is not None and key.is_discard)

    def shown(self, want: int, following: int | None) -> VideoFrame:
        """`following`: the next time that will be asked for."""
        self._jump(want)
        self._gather(want)
        if self.key is None or not self.ticks:
            raise _Doubt
        # Nothing until then is right at the very beginning only: the first frame is shown.
        tick = max((tick for tick in self.ticks if tick <= want), default=min(self.ticks))
        self.ticks = {other for other in self.ticks if other >= tick}
        while tick not in self.ready:
            if not self.waiting and not self.over:
                self._take(next(self.packets, None))
            elif self.waiting:
                self._decode(tick, following)
            elif not self.drained:
                self.drained = True
                self._keep(self.reel.decode(None), tick)
            else:
                raise _Doubt
        if not self.sound:
            raise _Doubt
        return self.ready[tick]

    def _jump(self, want: int) -> None:
        """To a later keyframe where that saves reading."""
        known = self.reel.keyframe(want)
        if not self.begun:
            worth = self.reel.indexed and want > self.reel.start
        else:
            worth = known is not None and self.position is not None and known > self.position
        if not worth:
            return
        first = self._found(want)
        if first.pts > want and first.dts is not None:  # some indexes go by the time of decoding
            first = self._found(first.dts - 1)
        if first.pts > want:
            raise _Doubt
        self.position, self.begun, self.over, self.drained = None, True, False, False
        self._restart(first)
        self._take(first)

    def _found(self, tick: int) -> Packet:
        self.reel.seek(tick)
        self.packets = self.reel.packets()
        first = next(self.packets, None)
        if first is None or not first.is_keyframe or first.pts is None:
            raise _Doubt
        return first

    def _gather(self, want: int) -> None:
        """All packets that are shown until then, from the last keyframe on."""
        while not self.over and (self.position is None or self.position <= want):
            packet = next(self.packets, None)
            if packet is not None and self._starts(packet, want):
                self._restart(packet)
            self.begun = True
            self._take(packet)
            while self.held > _HELD:
                self._decode(want, None, skip=False)

    def _starts(self, packet: Packet, want: int) -> bool:
        return packet.is_keyframe and packet.pts is not None and (packet.pts <= want or not self.begun)

    def _take(self, packet: Packet | None) -> None:
        if packet is None:
            self.over = True
            return
        if packet.pts is None or packet.pts in self.ticks:
            raise _Doubt
        if packet.dts is not None:  # Matroska doesn't have it; what FFmpeg makes of it lacks for the first ones
            if packet.pts < packet.dts or (self.position is not None and packet.dts < self.position):
                raise _Doubt
            self.position = packet.dts
        self.waiting.append(packet)
        self.held += packet.size
        if not packet.is_discard:
            self.ticks.add(packet.pts)

    def _decode(self, want: int, following: int | None, skip: bool = True) -> None:
        packet = self.waiting.popleft()
        self.held -= packet.size
        # One that is over before the next time needs not come out either, but perhaps those that push out the wanted.
        over = following is not None and any(packet.pts < tick <= following for tick in self.ticks)
        unwanted = packet.pts < want or (over and packet.pts > want)
        self._keep(self.reel.decode(packet, skip and unwanted), want)

    def _keep(self, frames: list[VideoFrame], want: int) -> None:
        for frame in frames:
            if frame.pts is None or frame.is_corrupt:  # what conceals damage depends on what was decoded before
                raise _Doubt
            if self.key is not None and frame.pts == self.key.pts:
                if not frame.key_frame and self.reel.marks_keyframes:
                    raise _Doubt
                self.sound = True
            self.ready[frame.pts] = frame
        last = max((tick for tick in self.ready if tick <= want), default=want)
        self.ready = {tick: frame for tick, frame in self.ready.items() if tick >= last}
