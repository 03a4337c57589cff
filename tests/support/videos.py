"""Small drawn films: shots of still colors, each its own for its seed."""

from fractions import Fraction

import av
import numpy as np
from av import VideoFrame
from PIL import Image, ImageColor


def shot(seed, size=(64, 48)):
    """A picture of 4 x 3 random colors; black for None."""
    if seed is None:
        return Image.new("RGB", size)
    colors = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(colors).resize(size, Image.Resampling.NEAREST)


def film(path, seeds, seconds=1.0, rate=8, size=(64, 48)):
    """A film of a shot for each of `seeds`, so many seconds long; a moving light keeps it from standing still."""

    def pictures():
        for seed in seeds:
            for tick in range(round(seconds * rate)):
                picture = shot(seed, size)
                if seed is not None:
                    left = 4 * tick % (size[0] - 8)
                    picture.paste("white", (left, 20, left + 8, 28))
                yield picture

    return write(path, pictures(), rate, size)


def colored(path, shots, rate=8, size=(64, 48)):
    """A film of (color, seconds): some tiles are black, in each shot others, and a light moves."""

    def pictures():
        for number, (color, seconds) in enumerate(shots):
            lit = np.arange(12).reshape(3, 4, 1) % (number + 2) > 0
            tiles = Image.fromarray((np.array(ImageColor.getrgb(color)) * lit).astype(np.uint8))
            for tick in range(round(seconds * rate)):
                picture = tiles.resize(size, Image.Resampling.NEAREST)
                picture.paste("white", (8 * (tick % 2), 0, 8 * (tick % 2) + 8, 8))
                yield picture

    return write(path, pictures(), rate, size)


def write(path, pictures, rate, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt, stream.bit_rate, stream.codec_context.time_base = "yuv420p", 4_000_000, Fraction(1, rate)
        for tick, picture in enumerate(pictures):
            frame = VideoFrame.from_image(picture)
            frame.pts = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
