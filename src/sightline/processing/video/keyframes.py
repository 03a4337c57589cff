"""The frames on show at given times, each decoded from the keyframe before it."""

from collections import deque
from dataclasses import dataclass, field

from av import Packet, VideoFrame

from sightline.processing.video.decoding import MAX_HELD_BYTES, UnreliableMarksError
from sightline.processing.video.reader import VideoReader


@dataclass
class _Group:
    """Packets and frames from a keyframe on, as far as they were read and decoded."""

    key: Packet | None
    """None for packets at the start of a file that does not start with a keyframe."""

    key_confirmed: bool
    """Whether the decoder agrees that `key` is a keyframe."""

    waiting: deque[Packet] = field(default_factory=deque)
    """Read and not yet decoded."""

    waiting_bytes: int = 0
    ticks: set[int] = field(default_factory=set)
    """Of all frames, but for those before the last frame that was asked for."""

    frames: dict[int, VideoFrame] = field(default_factory=dict)
    """Decoded, by time."""

    drained: bool = False
    """Whether the decoder has given all that it held back."""


class KeyframeDecoder:
    """Decodes the frames on show at increasing times.

    Packets come in the order of decoding, and no frame is shown before it is decoded. So once a packet comes that is
    decoded later than a time, all frames that are shown until that time are known, and the decoder can leave out those
    that aren't needed. At most `max_waiting` bytes of packets wait for that, however rare the keyframes are.
    """

    def __init__(self, reader: VideoReader, max_waiting: int = MAX_HELD_BYTES) -> None:
        self._reader = reader
        self._max_waiting = max_waiting
        self._packets = reader.packets()
        self._position: int | None = None  # when the last packet is decoded, in ticks
        self._at_end = False
        self._group: _Group | None = None

    def frame_at(self, tick: int, following: int | None) -> VideoFrame:
        """The last frame that begins until `tick`, or the first frame. `following`: the next time to be asked for.
        Raises UnreliableMarksError as soon as the file contradicts itself."""
        self._jump(tick)
        self._read_until(tick)
        group = self._group
        if group is None or group.key is None or not group.ticks:
            raise UnreliableMarksError
        # No frame begins until `tick` at the very beginning only: there the first frame is on show.
        shown = max((other for other in group.ticks if other <= tick), default=min(group.ticks))
        group.ticks = {other for other in group.ticks if other >= shown}
        while shown not in group.frames:
            self._advance(group, shown, following)
        if not group.key_confirmed:
            raise UnreliableMarksError
        return group.frames[shown]

    def _jump(self, tick: int) -> None:
        """To the keyframe before `tick` where that saves reading."""
        keyframe = self._reader.keyframe_before(tick)
        if self._group is None:
            saves = self._reader.indexed and tick > self._reader.start
        else:
            saves = keyframe is not None and self._position is not None and keyframe > self._position
        if not saves:
            return
        first = self._seek(tick)
        if first.pts > tick and first.dts is not None:  # some indexes go by the time of decoding
            first = self._seek(first.dts - 1)
        if first.pts > tick:
            raise UnreliableMarksError
        self._position, self._at_end = None, False
        self._add(self._start_group(first), first)

    def _seek(self, tick: int) -> Packet:
        self._reader.seek(tick)
        self._packets = self._reader.packets()
        first = next(self._packets, None)
        if first is None or not first.is_keyframe or first.pts is None:
            raise UnreliableMarksError
        return first

    def _read_until(self, tick: int) -> None:
        """All packets whose frames are shown until `tick`, from the last keyframe on."""
        while not self._at_end and (self._position is None or self._position <= tick):
            group, packet = self._group, next(self._packets, None)
            if packet is None:
                self._at_end = True
            else:
                if group is None or (packet.is_keyframe and packet.pts is not None and packet.pts <= tick):
                    group = self._start_group(packet)
                self._add(group, packet)
            while group is not None and group.waiting_bytes > self._max_waiting:
                self._decode(group, tick, None, skip=False)

    def _start_group(self, packet: Packet) -> _Group:
        self._reader.flush()
        key = packet if packet.is_keyframe else None
        # A keyframe that an edit list hides never comes out; the table that calls it a keyframe is reliable.
        confirmed = not self._reader.marks_keyframes or (key is not None and key.is_discard)
        self._group = _Group(key, confirmed)
        return self._group

    def _add(self, group: _Group, packet: Packet) -> None:
        if packet.pts is None or packet.pts in group.ticks:
            raise UnreliableMarksError
        if packet.dts is not None:  # Matroska lacks it; FFmpeg's estimate lacks it for the first packets
            if packet.pts < packet.dts or (self._position is not None and packet.dts < self._position):
                raise UnreliableMarksError
            self._position = packet.dts
        group.waiting.append(packet)
        group.waiting_bytes += packet.size
        if not packet.is_discard:
            group.ticks.add(packet.pts)

    def _advance(self, group: _Group, tick: int, following: int | None) -> None:
        """A step towards the frame of `tick`: decodes a packet, reads another, or drains the decoder."""
        if group.waiting:
            self._decode(group, tick, following)
        elif not self._at_end:
            packet = next(self._packets, None)
            if packet is None:
                self._at_end = True
            else:
                self._add(group, packet)
        elif not group.drained:
            group.drained = True
            self._keep(group, self._reader.decode(None), tick)
        else:
            raise UnreliableMarksError

    def _decode(self, group: _Group, tick: int, following: int | None, skip: bool = True) -> None:
        packet = group.waiting.popleft()
        group.waiting_bytes -= packet.size
        # A frame that ends before the next time may be skipped too, but it may push out the wanted frame first.
        replaced = following is not None and any(packet.pts < other <= following for other in group.ticks)
        unwanted = packet.pts < tick or (replaced and packet.pts > tick)
        self._keep(group, self._reader.decode(packet, skip and unwanted), tick)

    def _keep(self, group: _Group, frames: list[VideoFrame], tick: int) -> None:
        for frame in frames:
            if frame.pts is None or frame.is_corrupt:  # what conceals damage depends on what was decoded before
                raise UnreliableMarksError
            if group.key is not None and frame.pts == group.key.pts:
                if not frame.key_frame and self._reader.marks_keyframes:
                    raise UnreliableMarksError
                group.key_confirmed = True
            group.frames[frame.pts] = frame
        last = max((other for other in group.frames if other <= tick), default=tick)
        group.frames = {other: frame for other, frame in group.frames.items() if other >= last}
