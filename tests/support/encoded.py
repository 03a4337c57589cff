"""Films as bytes, each frame of them another picture."""

import io
from fractions import Fraction

import av
import numpy as np


def numbered(i, size=(64, 48)):
    """A picture that tells its number: a dark or light square for each bit, and a bar that moves."""
    width, height = size
    picture = np.full((height, width, 3), (60, 90, 120), np.uint8)
    for bit in range(8):
        left = bit * width // 8
        picture[: height // 3, left : left + width // 8] = 230 if i >> bit & 1 else 20
    left = i * 5 % (width - 8)
    picture[height // 2 :, left : left + 8] = (200, 40 + i * 7 % 150, 30)
    return picture


def encode(
    pictures, codec="libx264", kind="mp4", rate=10, ticks=None, base=None, pixels="yuv420p", options=None, settings=None
):
    """The film's bytes. `ticks` are the frames' times in units of `base`, else the film has a steady rate.

    `options` are the encoder's. `settings` gets the stream before anything is encoded.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as out:
        stream = out.add_stream(codec, rate=rate, options={k: str(v) for k, v in (options or {}).items()})
        pictures = [np.asarray(picture) for picture in pictures]
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        if base is not None:
            stream.codec_context.time_base = base
        if settings is not None:
            settings(stream)
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgba" if picture.shape[-1] == 4 else "rgb24")
            frame.pts = i if ticks is None else ticks[i]
            frame.time_base = Fraction(1, rate) if base is None else base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def film(count=30, **how):
    return encode([numbered(i) for i in range(count)], **how)


def decoded(source):
    """What PyAV's plain loop gives: (time in seconds or None, picture) of each frame, errors left out."""
    frames = []
    with av.open(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as container:
        for packet in container.demux(video=0):
            try:
                frames += [(frame.time, np.asarray(frame.to_image())) for frame in packet.decode()]
            except av.FFmpegError:
                continue
    return frames
