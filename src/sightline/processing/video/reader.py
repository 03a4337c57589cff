"""An open film: its packets and frames with their times. One stream of pictures; sound is never decoded."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import av
import numpy as np
from av import CodecContext, Packet, VideoFrame
from av.stream import Discard, Disposition
from numpy.typing import NDArray
from PIL import Image

from sightline.errors import ImageError, VideoError
from sightline.processing.image.reading import name_of, open_file, picture_format
from sightline.processing.video.frames import FrameConverter, ReducedFrame

Source: TypeAlias = str | os.PathLike[str] | bytes

MAX_FRAME = 1 << 25
"""Pixels that a frame may have: 8K has fewer. A decoder keeps some twenty frames."""

# No playlists that name other files, no devices, no single pictures. The sounds are there for a better message.
_FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,gif,h264,hevc,m4v,ivf,obu,mjpeg,mxf,nut,rm,dv,yuv4mpegpipe,"
    "mp3,wav,flac,aac"
)
_CLOCKED = ("mpegts", "mpeg")
"""Formats whose clock starts anywhere. In the others zero is the film's beginning."""

_INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""Formats that tell each packet's own time wherever one starts to read. In the others it is guessed after a jump."""

_SKIPPING = ("h264", "mpeg1video", "mpeg2video", "mpeg4")
"""Codecs in which a frame that is marked as no reference is none: leaving it out changes no other. HEVC's mark only
speaks of the same temporal layer."""

_EVER = 1 << 62
"""A tick that a 64-bit clock can still reckon with."""

_PROGRESSIVE = 1  # or 0, unknown

_TRANSPARENT = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own decoders of these leave transparency out."""


class VideoReader:
    """Times are in ticks of the stream's clock; `tick` and `seconds` convert.

    Raises VideoError for whatever can't be opened.
    """

    def __init__(self, source: Source, short_side: int | None = None, *, threads: str = "AUTO", count: int = 0) -> None:
        self.name = f"a film of {len(source)} bytes" if isinstance(source, bytes) else name_of(source)
        try:
            self._file = io.BytesIO(source) if isinstance(source, bytes) else open_file(Path(source), self.name)
        except ImageError as error:
            raise VideoError(error.source, error.reason) from error
        try:
            self._open()
            self._context = self._decoder(threads, count)
            aspect = self._stream.sample_aspect_ratio or 1
            self._darkroom = FrameConverter(float(aspect) if Fraction(1, 4) <= aspect <= 4 else 1.0, short_side)
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        head = self._file.read(16)
        if not head:
            raise VideoError(self.name, "empty file")
        picture = picture_format(head)
        if picture is not None and picture != "GIF":
            raise VideoError(self.name, f"a picture ({picture}), not a film")
        self._file.seek(0)
        try:
            self._container = av.open(
                self._file,
                options={"format_whitelist": _FORMATS, "max_pixels": str(MAX_FRAME)},
                metadata_errors="replace",
                buffer_size=1 << 17,
                io_open=_refuse,
            )
        except (av.FFmpegError, OSError, ValueError, RuntimeError) as error:
            box = head[4:8] == b"ftyp"  # MP4 and its kin keep the table of frames in one place, often the end
            raise VideoError(
                self.name, "cut short or broken: its table of frames can't be read" if box else "not a film, or broken"
            ) from error
        films = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not films:
            raise VideoError(self.name, "only sound" if self._container.streams.audio else "no film in it")
        self._stream = films[0]
        if self._stream.codec_context is None:
            raise VideoError(self.name, "a kind of film that can't be decoded here")
        for other in self._container.streams:
            if other is not self._stream:
                other.discard = Discard.all
        context = self._stream.codec_context
        self.pixels = context.width * context.height
        if self.pixels > MAX_FRAME:
            many = f"{context.width} x {context.height} pixels are too many (at most {MAX_FRAME / 1e6:.0f} million)"
            raise VideoError(self.name, many)
        self._tell_time()

    def _tell_time(self) -> None:
        stream, container = self._stream, self._container
        self.base: Fraction = stream.time_base or Fraction(1, 90000)
        rate = stream.average_rate or stream.guessed_rate or 25
        self.step = max(round(1 / (rate * self.base)), 1)
        """Ticks from one frame to the next, as far as the file says."""
        self.start: int = stream.start_time or 0
        """Of the first frame, as far as the file says."""
        self.zero = min(self.start, 0)
        if container.format.name in _CLOCKED and container.start_time is not None:
            self.zero = round(Fraction(container.start_time, av.time_base) / self.base)
        self.marks_keyframes = True
        self.indexed = container.format.name in _INDEXED
        # In interlaced film one half of a frame may be a reference and the other not.
        self.skipping = stream.codec_context.name in _SKIPPING and stream.codec_context.field_order <= _PROGRESSIVE

    def _decoder(self, threads: str, count: int) -> CodecContext:
        context = self._stream.codec_context
        if context.name in _TRANSPARENT and self._stream.metadata.get("alpha_mode") == "1":
            context = CodecContext.create(_TRANSPARENT[context.name], "r")
            self.marks_keyframes = False
        context.options = {"max_pixels": str(MAX_FRAME)}  # sizes can change on the way
        context.thread_type = threads
        context.thread_count = count
        return context

    def tick(self, seconds: float) -> int:
        """The nearest tick, as the file's times are rounded too (Matroska's to 1 ms)."""
        tick = self.zero + round(Fraction(float(seconds)) / self.base)
        return max(min(tick, _EVER), -_EVER)

    def seconds(self, tick: int) -> float:
        return float((tick - self.zero) * self.base)

    def still(self, frame: VideoFrame) -> ReducedFrame:
        """Raises VideoError."""
        with self._converting(frame):
            return self._darkroom.still(frame)

    def picture(self, still: ReducedFrame) -> Image.Image:
        """Raises VideoError."""
        with self._converting(still.frame):
            return self._darkroom.picture(still)

    def look(self, still: ReducedFrame) -> NDArray[np.uint8]:
        """Raises VideoError."""
        with self._converting(still.frame):
            return self._darkroom.look(still)

    @contextmanager
    def _converting(self, frame: VideoFrame) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, ValueError, MemoryError) as error:
            raise VideoError(self.name, f"a frame in {frame.format.name} can't be converted") from error

    def packets(self) -> Iterator[Packet]:
        """From where the file is, until its end or where it can't be read any further."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):
                return
            if packet is None or (packet.size == 0 and packet.pts is None and packet.dts is None):
                return  # PyAV's own, to flush the decoder with
            yield packet

    def decode(self, packet: Packet | None, skip: bool = False) -> list[VideoFrame]:
        """What comes out by this packet, or at the end of all by None. `skip`: nothing need come out for this one.

        Raises av.FFmpegError for a damaged packet.
        """
        self._context.skip_frame = "NONREF" if skip and self.skipping else "DEFAULT"
        frames: list[VideoFrame] = self._context.decode(packet)
        return frames

    def flush(self) -> None:
        """Before a packet that doesn't follow the last one."""
        self._context.flush_buffers()

    def frames(self) -> Iterator[tuple[int, VideoFrame]]:
        """Every frame from the start that can be decoded, in order, with its time.

        A frame without a time, or with one that has been, follows the one before at the film's rate.
        """
        tick = None
        for frame in self._all_frames():
            following = self.zero if tick is None else tick + self.step
            tick = following if frame.pts is None or (tick is not None and frame.pts <= tick) else frame.pts
            yield tick, frame

    def _all_frames(self) -> Iterator[VideoFrame]:
        for packet in self.packets():
            try:
                yield from self.decode(packet)
            except av.FFmpegError:
                continue  # a damaged part; what follows may be whole
        try:
            yield from self.decode(None)
        except av.FFmpegError:
            return

    def keyframe(self, tick: int) -> int | None:
        """The time of the last keyframe until `tick` that the file's index knows of, if it has an index."""
        entries = self._stream.index_entries
        at = entries.search_timestamp(tick) if self.indexed and len(entries) else -1
        return entries[at].timestamp if at >= 0 else None

    def seek(self, tick: int) -> None:
        """To a keyframe not later than `tick`, if the index is right. Raises av.FFmpegError."""
        self._container.seek(tick, stream=self._stream)

    def end(self, declared: bool) -> int | None:
        """Where the last frame ends, by the packets alone: all of them, or `declared`, those where the film's end is
        said to be. None if there are none with a time."""
        if declared:
            length = self._stream.duration or 0
            if not length and self._container.duration:
                length = round(Fraction(self._container.duration, av.time_base) / self.base)
            if not (self.indexed and length):
                return None
            try:
                self.seek(self.start + length)
            except av.FFmpegError:
                return None
        timed = (packet for packet in self.packets() if packet.pts is not None and not packet.is_discard)
        return max((packet.pts + (packet.duration or self.step) for packet in timed), default=None)

    def close(self) -> None:
        if hasattr(self, "_container"):
            self._container.close()
        self._file.close()

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refuse(*_: Any) -> Any:
    raise PermissionError("a film is one file")
