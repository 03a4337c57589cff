"""A film's pictures by time: the frame that a player shows then. Sound is never opened."""

import io
import math
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import av
from av import VideoFrame
from PIL import Image

from sightline.errors import FilmError, ImageError
from sightline.processing.frames import to_picture
from sightline.processing.images import name_of, open_file

Source: TypeAlias = str | os.PathLike[str] | bytes

VIDEO_SUFFIXES = frozenset(
    [".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".divx", ".wmv", ".asf", ".flv", ".f4v"]
) | {".mpg", ".mpeg", ".vob", ".mts", ".m2ts", ".ogv", ".mxf"}
"""Suffixes, in lower case, of the files worth opening. Not ".ts": most files of that name are programs."""

MAX_FRAME = 1 << 25
"""Pixels that a frame may have: 8K has fewer. A decoder keeps some twenty of them."""

# No list of other files (HLS, concat), no device, no text drawn as a film, no single picture.
_FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,gif,h264,hevc,m4v,ivf,obu,av1,vp9,mjpeg,mxf,nut,rm,dv,wtv,"
    "yuv4mpegpipe,swf,live_flv,vc1,h263,h261,cavsvideo,apng,webp_anim"
)
_CLOCKS = ("mpegts", "mpeg")
"""Formats whose time begins anywhere; the others' begins at zero."""


class Film:
    """An open film: its frames in order, each with its time in ticks of the stream's clock.

    Raises FilmError, also later on, for whatever can't be read.
    """

    def __init__(self, source: Source) -> None:
        self.name = name_of(source)
        try:
            self._file = io.BytesIO(source) if isinstance(source, bytes) else open_file(Path(source), self.name)
        except ImageError as error:
            raise FilmError(error.source, error.reason) from error
        try:
            self._open()
        except BaseException:
            self._file.close()
            raise

    def _open(self) -> None:
        if not self._file.read(1):
            raise FilmError(self.name, "empty file")
        self._file.seek(0)
        try:
            self._container = av.open(
                self._file,
                container_options={"format_whitelist": _FORMATS},
                options={"max_pixels": str(MAX_FRAME)},
                metadata_errors="replace",
                buffer_size=1 << 17,
                io_open=_refuse,
            )
        except (av.FFmpegError, ValueError, OSError, RuntimeError) as error:
            raise FilmError(self.name, "not a film, or too damaged to be opened") from error
        streams = [s for s in self._container.streams.video if s.codec_context is not None]
        films = [s for s in streams if not s.disposition & av.stream.Disposition.attached_pic]
        if not films:
            raise FilmError(self.name, "there is no film in it" + (", only sound" if self._container.streams else ""))
        self.stream = films[0]
        for other in self._container.streams:
            if other is not self.stream:
                other.discard = av.stream.Discard.all
        context = self.stream.codec_context
        if context.width * context.height > MAX_FRAME:
            raise FilmError(self.name, f"{context.width} x {context.height} pixels are too many")
        self.base = self.stream.time_base or Fraction(1, 1000)
        rate = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        self.step = max(round(1 / (rate * self.base)), 1)
        start = self.stream.start_time or 0
        if self._container.format.name in _CLOCKS:
            start = round((self._container.start_time or 0) / Fraction(av.time_base) / self.base)
            self.zero = start
        else:
            self.zero = min(start, 0)
        aspect = self.stream.sample_aspect_ratio
        self.aspect = float(aspect) if aspect and Fraction(1, 4) <= aspect <= 4 else 1.0
        context.thread_type = "AUTO"

    def ticks(self, seconds: float) -> int:
        """The nearest tick, as a file's times are rounded too (to 1 ms in Matroska)."""
        return self.zero + round(seconds / self.base)

    def seconds(self, tick: int) -> float:
        return float((tick - self.zero) * self.base)

    def frames(self) -> Iterator[tuple[int, VideoFrame]]:
        """Every frame that can be decoded, in order. One without a time follows the one before it at the film's rate.

        Raises FilmError if there is none.
        """
        tick = None
        for frame in self._decoded():
            following = self.zero if tick is None else tick + self.step
            tick = following if frame.pts is None else frame.pts
            yield tick, frame
        if tick is None:
            raise FilmError(self.name, "no frame of it can be decoded")

    def _decoded(self) -> Iterator[VideoFrame]:
        packets = self._container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.FFmpegError, OSError):
                break
            if packet.dts is None and packet.pts is None and packet.size == 0:
                break
            yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(self, packet: Any) -> Sequence[VideoFrame]:
        try:
            frames: Sequence[VideoFrame] = self.stream.codec_context.decode(packet)
            return frames
        except (av.FFmpegError, OSError):
            return []  # a damaged part: what follows may be whole

    def picture(self, frame: VideoFrame, short_side: int | None) -> Image.Image:
        return to_picture(frame, self.aspect, short_side)

    def __enter__(self) -> "Film":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()
        self._file.close()


def frames_at(source: Source, times: Sequence[float], short_side: int | None = None) -> list[Image.Image]:
    """The frames that a player shows at `times`, in seconds, in any order: what a full sequential decode shows then.

    Before the first frame that is the first, after the last the last. `short_side`: see `open_image`. Each picture's
    `info["full_size"]` is its upright (width, height) in the film. Raises FilmError.
    """
    with Film(source) as film:
        wanted = sorted({film.ticks(time) for time in times})
        shown: dict[int, Image.Image] = {}
        before: VideoFrame | None = None
        waiting = iter(wanted)
        want = next(waiting, None)
        for tick, frame in film.frames():
            if want is None:
                break
            picture = None
            while want is not None and tick > want:
                picture = picture or film.picture(before or frame, short_side)
                shown[want] = picture
                want = next(waiting, None)
            before = frame
        picture = None
        while want is not None and before is not None:
            picture = picture or film.picture(before, short_side)
            shown[want] = picture
            want = next(waiting, None)
        return [shown[film.ticks(time)].copy() for time in times]


def duration(source: Source) -> float:
    """Seconds until the last frame ends. Raises FilmError."""
    with Film(source) as film:
        last = None
        for tick, frame in film.frames():
            last = tick + (frame.duration or film.step)
        return film.seconds(last) if last is not None else 0.0


def sample(
    source: Source, count: int, start: float = 0.0, end: float | None = None, short_side: int | None = None
) -> list[Image.Image]:
    """`count` frames of the seconds from `start` to `end`, or to the film's end: the middle one of each equal segment.

    Source: X-CLIP (arXiv 2208.02816), section 4.1, after TSN (arXiv 1608.00859). Raises FilmError.
    """
    if end is None:
        end = duration(source)
    if not (count >= 1 and 0 <= start <= end and math.isfinite(end)):
        raise ValueError(f"{count} frames from {start} to {end} seconds: at least one, from a time to a later one")
    return frames_at(source, [start + (end - start) * (i + 0.5) / count for i in range(count)], short_side)


def _refuse(*_: Any) -> Any:
    raise PermissionError("a film is one file")
