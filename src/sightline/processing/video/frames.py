"""Decoded frames as a player shows them: "RGB", in sRGB, upright, pixels square, transparency laid on white."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from sightline.processing.image.color import to_rgb
from sightline.processing.image.color_space import BT2020, ColorSpace
from sightline.processing.image.orientation import QUARTER_TURNS
from sightline.processing.video import color

Thumbnail: TypeAlias = NDArray[np.uint8]
"""Averages over a frame, (36, 64, 3), RGB."""

_UNSPECIFIED, _BT709, _BT2020 = 2, 1, 9  # ITU-T H.273, 8.3
_TURNS_BY_SIGNS = {
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}
"""By the signs of the display matrix (ISO/IEC 14496-12, 8.2.2): x' = ax + cy, y' = bx + dy."""

_TURNS_BY_ANGLE = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}

_REDUCIBLE_FORMATS = {f"yuv{full}{kind}p" for full in ("", "j") for kind in (420, 422, 444)} | {"gray"}
"""8-bit formats that libswscale reduces as they are, six times as fast as on the way to RGB."""


@dataclass(frozen=True)
class ReducedFrame:
    """A frame, perhaps reduced; how to set it upright; the upright (width, height) of the whole frame; and its color
    space, None for ordinary SDR."""

    frame: VideoFrame
    turn: Image.Transpose | None
    full_size: tuple[int, int]
    space: ColorSpace | None


class FrameConverter:
    """Converts a video's frames to pictures, in one thread at a time.

    `aspect` is the width of a pixel divided by its height. `short_side` is the side in pixels that a model will resize
    the short side to: a frame is reduced to 1.5 times that, or not at all for None.
    """

    def __init__(self, aspect: float, short_side: int | None) -> None:
        self._aspect, self._short_side = aspect, short_side
        self._reduce, self._average, self._convert = VideoReformatter(), VideoReformatter(), VideoReformatter()

    def reduce(self, frame: VideoFrame) -> ReducedFrame:
        """By area averages, to even sizes (4:2:0 has colors at half of the width and height)."""
        width, height = max(round(frame.width * self._aspect), 1), frame.height
        space = color.color_space(frame)
        # Where the file doesn't name the matrix, players take BT.709 for HD; libswscale takes BT.601 for everything.
        if not frame.format.is_rgb and frame.colorspace == _UNSPECIFIED:
            if space is not None and space.primaries == BT2020:
                frame.colorspace = _BT2020
            elif frame.width >= 1280 or frame.height > 576:
                frame.colorspace = _BT709
        turn = _turn(frame)
        full_size = (height, width) if turn in QUARTER_TURNS else (width, height)
        if any(component.is_alpha for component in frame.format.components):
            # Before averaging: the colors of transparent pixels mean nothing and must not mix with others.
            frame = VideoFrame.from_image(to_rgb(self._converted(frame, "RGBA")))
        if self._short_side is not None:
            scale = math.ceil(self._short_side * 1.5) / min(width, height)
            if scale < 1:
                width, height = (math.ceil(side * scale / 2) * 2 for side in (width, height))
        if (width, height) != (frame.width, frame.height) and space is not None:
            frame = color.reduce(frame, width, height, self._reduce)
        elif (width, height) != (frame.width, frame.height):
            pixels = frame.format.name if frame.format.name in _REDUCIBLE_FORMATS else "rgb24"
            frame = self._reduce.reformat(frame, width, height, pixels, interpolation=Interpolation.AREA, threads=1)
        return ReducedFrame(frame, turn, full_size, space)

    def to_image(self, reduced: ReducedFrame) -> Image.Image:
        """ "RGB", in sRGB and upright; `info["full_size"]` is the upright (width, height) of the whole frame."""
        if reduced.space is None:
            picture = self._converted(reduced.frame, "RGB")
        else:
            picture = Image.fromarray(color.rgb_in_srgb(reduced.frame, reduced.space, self._convert))
        if reduced.turn is not None:
            picture = picture.transpose(reduced.turn)
        picture.info = {"full_size": reduced.full_size}
        return picture

    def _converted(self, frame: VideoFrame, mode: str) -> Image.Image:
        plane = self._convert.reformat(frame, format={"RGB": "rgb24", "RGBA": "rgba"}[mode], threads=1).planes[0]
        size = (plane.width, plane.height)
        return Image.frombytes(mode, size, memoryview(plane), "raw", mode, plane.line_size, 1)

    def thumbnail(self, reduced: ReducedFrame) -> Thumbnail:
        """The frame as (36, 64, 3) averages, not set upright: small enough to compare each frame with the next."""
        if reduced.space is not None:
            return color.rgb_in_srgb(reduced.frame, reduced.space, self._average, 64, 36)
        small = self._average.reformat(
            reduced.frame, 64, 36, "rgb24", interpolation=Interpolation.AREA, threads=1
        ).to_ndarray()
        return small.astype(np.uint8, copy=False)


def _turn(frame: VideoFrame) -> Image.Transpose | None:
    try:
        matrices = [bytes(data) for data in frame.side_data if data.type.name == "DISPLAYMATRIX"]
    except ValueError:  # PyAV has no name for other side data (EXIF) and gives only the angle
        return _TURNS_BY_ANGLE.get(frame.rotation % 360)
    if not matrices:
        return None
    matrix = np.frombuffer(matrices[0], np.int32)[[0, 1, 3, 4]].astype(np.float64)
    signs = np.sign(matrix) * (np.abs(matrix) > np.abs(matrix).max() / 2)
    return _TURNS_BY_SIGNS.get(tuple(signs.astype(int).tolist()))
