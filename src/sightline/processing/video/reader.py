"""An open video: its packets and frames with their times. One stream of pictures; sound is never decoded."""

import io
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import av
from av import CodecContext, Packet, VideoFrame
from av.container import InputContainer
from av.stream import Discard, Disposition
from PIL import Image

from sightline.errors import ImageError, SightlineError, VideoError
from sightline.files import wrong_content
from sightline.processing.image.formats import image_format
from sightline.processing.image.sources import open_source, source_name
from sightline.processing.video.decoding import UnreliableMarksError
from sightline.processing.video.frames import FrameConverter, ReducedFrame, Thumbnail

VideoSource: TypeAlias = str | os.PathLike[str] | bytes
"""A path, or a video file's bytes."""

MAX_FRAME_PIXELS = 1 << 25
"""Pixels that a frame may have: 8K has fewer. A decoder keeps about twenty frames in memory."""

_FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,gif,h264,hevc,m4v,ivf,obu,mjpeg,mxf,nut,rm,dv,yuv4mpegpipe,"
    "mp3,wav,flac,aac"
)
"""Without playlists that name other files, devices and single pictures. Sounds are opened for a better message."""

_FREE_CLOCK_FORMATS = ("mpegts", "mpeg")
"""Formats whose clock starts anywhere. In the others zero is the video's beginning."""

_INDEXED_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""Formats that give each packet's exact time wherever reading starts. In the others FFmpeg guesses it after a jump."""

_SKIPPING_CODECS = ("h264", "mpeg1video", "mpeg2video", "mpeg4")
"""Codecs in which no other frame needs a frame that is not marked as a reference. (HEVC's mark only speaks of the same
temporal layer.)"""

_MAX_TICK = 1 << 62
"""The largest time that FFmpeg's 64-bit arithmetic can work with."""

_PROGRESSIVE = 1  # or 0, unknown

_TRANSPARENT_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""By codec. FFmpeg's built-in decoders of these leave transparency out."""


class VideoReader(AbstractContextManager["VideoReader"]):
    """An open video. Times are in ticks of the stream's clock, which `tick` and `seconds` convert.

    `short_side`: the frames are reduced as `FrameConverter` says. `threads` ("AUTO", "SLICE" or "FRAME") and `count`
    (0: FFmpeg chooses) are the decoder's threads. Attributes: `name`, the source in words; `pixels` of a frame;
    `time_base`, seconds per tick; `frame_ticks`, from one frame to the next as far as the file says; `start`, the first
    frame's tick as far as the file says; `end`, where the last frame of the packets that were read ends, None before
    the first that has a time; `zero`, the tick of second 0; `indexed`, whether packets keep their exact times after a
    jump; `marks_keyframes`, whether decoded frames tell if they are keyframes; `skipping`, whether frames that no other
    refers to can be left out. Raises VideoError if the source can't be opened as a video.
    """

    def __init__(
        self, source: VideoSource, short_side: int | None = None, *, threads: str = "AUTO", count: int = 0
    ) -> None:
        self.name = video_name(source)
        try:
            self._file = io.BytesIO(source) if isinstance(source, bytes) else open_source(Path(source), self.name)
        except ImageError as error:
            raise VideoError(error.source, error.reason) from error
        try:
            self._open()
            self._read_clock()
            self._context = self._decoder(threads, count)
            aspect = self._stream.sample_aspect_ratio or 1
            self._converter = FrameConverter(float(aspect) if Fraction(1, 4) <= aspect <= 4 else 1.0, short_side)
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        head = self._file.read(16)
        if not head:
            raise VideoError(self.name, "empty file")
        picture = image_format(head)
        if picture is not None and picture != "GIF":
            raise VideoError(self.name, f"an image ({picture}), not a video")
        self._file.seek(0)
        try:
            self._container = open_container(self._file)
        except (av.FFmpegError, OSError, ValueError, RuntimeError) as error:
            is_mp4 = head[4:8] == b"ftyp"  # MP4 and its kin keep the table of frames in one place, often the end
            broken = "cut short or broken: its table of frames can't be read"
            self._file.seek(0)
            reason = broken if is_mp4 else wrong_content(self._file.read(512)) or "not a video, or broken"
            raise VideoError(self.name, reason) from error
        streams = self._container.streams
        videos = [stream for stream in streams.video if not stream.disposition & Disposition.attached_pic]
        if not videos:
            raise VideoError(self.name, "only sound" if streams.audio else "no video in it")
        self._stream = videos[0]
        context = self._stream.codec_context
        if context is None:
            raise VideoError(self.name, "a kind of video that can't be decoded here")
        for stream in streams:
            if stream is not self._stream:
                stream.discard = Discard.all
        self.pixels: int = context.width * context.height
        if self.pixels > MAX_FRAME_PIXELS:
            size, limit = f"{context.width} x {context.height}", f"{MAX_FRAME_PIXELS / 1e6:.0f} million"
            raise VideoError(self.name, f"{size} pixels are too many (at most {limit})")
        self.marks_keyframes = True
        # In interlaced video one half of a frame may be a reference and the other not.
        self.skipping = context.name in _SKIPPING_CODECS and context.field_order <= _PROGRESSIVE

    def _read_clock(self) -> None:
        stream, container = self._stream, self._container
        self.time_base: Fraction = stream.time_base or Fraction(1, 90000)
        rate = stream.average_rate or stream.guessed_rate or 25
        self.frame_ticks = max(round(1 / (rate * self.time_base)), 1)
        self.start: int = stream.start_time or 0
        self.end: int | None = None
        self.zero = min(self.start, 0)
        if container.format.name in _FREE_CLOCK_FORMATS and container.start_time is not None:
            self.zero = round(Fraction(container.start_time, av.time_base) / self.time_base)
        self.indexed = container.format.name in _INDEXED_FORMATS

    def _decoder(self, threads: str, count: int) -> CodecContext:
        context = self._stream.codec_context
        if context.name in _TRANSPARENT_DECODERS and self._stream.metadata.get("alpha_mode") == "1":
            context = CodecContext.create(_TRANSPARENT_DECODERS[context.name], "r")
            self.marks_keyframes = False
        context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}  # sizes can change on the way
        context.thread_type = threads
        context.thread_count = count
        return context

    def tick(self, seconds: float) -> int:
        """The nearest tick, as the file's times are rounded too (Matroska's to 1 ms)."""
        tick = self.zero + round(Fraction(float(seconds)) / self.time_base)
        return max(min(tick, _MAX_TICK), -_MAX_TICK)

    def seconds(self, tick: int) -> float:
        """The time of a tick, as `tick` takes it."""
        return float((tick - self.zero) * self.time_base)

    def reduce(self, frame: VideoFrame) -> ReducedFrame:
        """See `FrameConverter.reduce`. Raises VideoError."""
        with self._converting(frame):
            return self._converter.reduce(frame)

    def to_image(self, reduced: ReducedFrame) -> Image.Image:
        """See `FrameConverter.to_image`. Raises VideoError."""
        with self._converting(reduced.frame):
            return self._converter.to_image(reduced)

    def thumbnail(self, reduced: ReducedFrame) -> Thumbnail:
        """See `FrameConverter.thumbnail`. Raises VideoError."""
        with self._converting(reduced.frame):
            return self._converter.thumbnail(reduced)

    def no_frame(self) -> VideoError:
        """The error for a video without a frame that can be decoded."""
        return VideoError(self.name, "no frame of it can be decoded")

    @contextmanager
    def _converting(self, frame: VideoFrame) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, ValueError, MemoryError) as error:
            raise VideoError(self.name, f"a frame in {frame.format.name} can't be converted") from error

    def packets(self) -> Iterator[Packet]:
        """The packets from the present position to the file's end, or to where it can't be read any further."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):
                return
            if packet is None or (packet.size == 0 and packet.pts is None and packet.dts is None):
                return  # PyAV appends it, to flush the decoder with
            if packet.pts is not None and not packet.is_discard:
                end = packet.pts + (packet.duration or self.frame_ticks)
                self.end = end if self.end is None else max(self.end, end)
            yield packet

    def decode(self, packet: Packet | None, skip: bool = False) -> list[VideoFrame]:
        """The frames that the decoder gives for this packet; for None, those that it still holds back.

        `skip`: the packet's frame is not needed. Raises av.FFmpegError for a damaged packet.
        """
        self._context.skip_frame = "NONREF" if skip and self.skipping else "DEFAULT"
        frames: list[VideoFrame] = self._context.decode(packet)
        return frames

    def flush(self) -> None:
        """Prepares the decoder for a packet that doesn't follow the last one."""
        self._context.flush_buffers()

    def frames(self) -> Iterator[tuple[int, VideoFrame]]:
        """Every frame from the start that can be decoded, in order, with its time.

        A frame without a time, or with a time that is not later than the last, follows the last at the video's rate.
        """
        tick = None
        for frame in self._all_frames():
            following = self.zero if tick is None else tick + self.frame_ticks
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

    def keyframe_before(self, tick: int) -> int | None:
        """The time of the last keyframe until `tick` that the file's index knows of, if it has an index."""
        entries = self._stream.index_entries
        entry = entries.search_timestamp(tick) if self.indexed and len(entries) else -1
        return entries[entry].timestamp if entry >= 0 else None

    def seek(self, tick: int) -> None:
        """To a keyframe not later than `tick`, if the index is right. Raises av.FFmpegError."""
        self._container.seek(tick, stream=self._stream)

    def declared_end(self) -> int | None:
        """Where the last frame ends, by the packets near the end that the file declares; None if it declares none."""
        length = self._stream.duration or 0
        if not length and self._container.duration:
            length = round(Fraction(self._container.duration, av.time_base) / self.time_base)
        if not (self.indexed and length):
            return None
        try:
            self.seek(self.start + length)
        except av.FFmpegError:
            return None
        return self.last_packet_end()

    def last_packet_end(self) -> int | None:
        """`end` after the packets from the present position on."""
        for _ in self.packets():
            pass
        return self.end

    def close(self) -> None:
        if hasattr(self, "_container"):
            self._container.close()
        self._file.close()

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def failures_as_video_errors(source: VideoSource) -> Iterator[None]:
    """Turns what decoders raise besides errors of ours, the system's and memory's into a VideoError."""
    try:
        yield
    except (SightlineError, UnreliableMarksError, OSError, MemoryError):
        raise
    except Exception as error:
        raise VideoError(video_name(source), "broken, or of an unusual kind") from error


def video_name(source: VideoSource) -> str:
    """What messages call the source."""
    return f"a video of {len(source)} bytes" if isinstance(source, bytes) else source_name(source)


def open_container(file: BinaryIO, **options: str) -> InputContainer:
    """The container in `file`, of a known format only, with FFmpeg's `options`. No other file is ever opened. Raises
    av.FFmpegError, OSError, ValueError or RuntimeError."""
    container: InputContainer = av.open(
        _Seekable(file),
        options={"format_whitelist": _FORMATS, "max_pixels": str(MAX_FRAME_PIXELS)} | options,
        metadata_errors="replace",
        buffer_size=1 << 17,
        io_open=_refuse,
    )
    return container


class _Seekable:
    """An open file that answers -1 for a place that it cannot have: broken videos ask for such, and PyAV would write
    the error to standard error."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.tell, self._seek = file.read, file.tell, file.seek

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


def _refuse(*_: Any) -> Any:
    raise PermissionError("a video is a single file")
