"""Small drawn videos, on disk and as bytes."""

import io
from fractions import Fraction

import av
import numpy as np
from PIL import Image, ImageColor

from support.images import image


def film(path, seeds, seconds=1.0, rate=8, size=(64, 48)):
    """Writes a shot of `image(seed)` for each of `seeds`, so many seconds long; a moving light keeps it from
    standing still."""

    def pictures():
        for seed in seeds:
            for tick in range(round(seconds * rate)):
                picture = image(seed, size)
                if seed is not None:
                    left = 4 * tick % (size[0] - 8)
                    picture.paste("white", (left, 20, left + 8, 28))
                yield picture

    return write(path, pictures(), rate)


def colored(path, shots, rate=8, size=(64, 48)):
    """Writes shots of (color, seconds): some tiles are black, in each shot others, and a light moves."""

    def pictures():
        for number, (color, seconds) in enumerate(shots):
            lit = np.arange(12).reshape(3, 4, 1) % (number + 2) > 0
            tiles = Image.fromarray((np.array(ImageColor.getrgb(color)) * lit).astype(np.uint8))
            for tick in range(round(seconds * rate)):
                picture = tiles.resize(size, Image.Resampling.NEAREST)
                picture.paste("white", (8 * (tick % 2), 0, 8 * (tick % 2) + 8, 8))
                yield picture

    return write(path, pictures(), rate)


def write(path, pictures, rate):
    """Writes the pictures at a steady rate, in good quality; the file's kind is that of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        mux(container, pictures, "mpeg4", rate, settings=lambda stream: setattr(stream, "bit_rate", 4_000_000))
    return path


def encode(pictures, codec="libx264", kind="mp4", rate=10, **how):
    """The bytes of a video of the pictures; `how` as `mux` takes it."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        mux(container, pictures, codec, rate, **how)
    return file.getvalue()


def mux(container, pictures, codec, rate, ticks=None, base=None, pixels="yuv420p", options=None, settings=None):
    """Encodes the pictures into the container. `ticks` are the frames' times in units of `base`, else the rate is
    steady. `options` are the encoder's; `settings` gets the stream before anything is encoded."""
    stream = container.add_stream(codec, rate=rate, options={k: str(v) for k, v in (options or {}).items()})
    stream.pix_fmt = pixels
    for i, picture in enumerate(pictures):
        frame = np.asarray(picture)
        if i == 0:
            stream.height, stream.width = frame.shape[:2]
            stream.codec_context.time_base = base or Fraction(1, rate)
            if settings is not None:
                settings(stream)
        frame = av.VideoFrame.from_ndarray(frame, "rgba" if frame.shape[-1] == 4 else "rgb24")
        frame.pts = i if ticks is None else ticks[i]
        frame.time_base = base or Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def numbered(i, size=(64, 48)):
    """A picture that shows its number: a dark or light square for each bit, and a bar that moves."""
    width, height = size
    picture = np.full((height, width, 3), (60, 90, 120), np.uint8)
    for bit in range(8):
        left = bit * width // 8
        picture[: height // 3, left : left + width // 8] = 230 if i >> bit & 1 else 20
    left = i * 5 % (width - 8)
    picture[height // 2 :, left : left + 8] = (200, 40 + i * 7 % 150, 30)
    return picture


def numbered_film(count=30, **how):
    """The bytes of a video of so many numbered pictures."""
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
