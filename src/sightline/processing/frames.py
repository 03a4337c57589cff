"""A decoded frame as a player shows it: "RGB", upright, pixels square, transparency laid on white."""

import math

from av import VideoFrame
from av.video.reformatter import Colorspace, Interpolation
from PIL import Image

from sightline.processing.colour import flatten

_UNSPECIFIED = 2  # ITU-T H.273, 8.3
_TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


def to_picture(frame: VideoFrame, aspect: float = 1.0, short_side: int | None = None) -> Image.Image:
    """The frame as "RGB". `aspect` is the width of a pixel by its height.

    `short_side` as for a JPEG: the side in pixels that a model will resize the short side to; 1.5 times that is left.
    `info["full_size"]` is the upright (width, height) without any reduction.
    """
    width, height = max(round(frame.width * aspect), 1), frame.height
    full_size = (width, height)
    if short_side is not None:
        scale = math.ceil(short_side * 1.5) / min(width, height)
        if scale < 1:
            width, height = max(round(width * scale), 1), max(round(height * scale), 1)
    # Nothing is said of the matrix: players take BT.709 for HD, while libswscale takes BT.601 for everything.
    guess = frame.colorspace == _UNSPECIFIED and (frame.width >= 1280 or frame.height > 576)
    transparent = any(component.is_alpha for component in frame.format.components)
    # Colours of transparent pixels mean nothing and must not be mixed with their neighbours': white first, then size.
    size = (frame.width, frame.height) if transparent else (width, height)
    converted = frame.reformat(
        *size,
        "rgba" if transparent else "rgb24",
        src_colorspace=Colorspace.ITU709 if guess else None,
        interpolation=Interpolation.BILINEAR,
    )
    plane = converted.planes[0]
    mode = "RGBA" if transparent else "RGB"
    picture = flatten(Image.frombytes(mode, size, memoryview(plane), "raw", mode, plane.line_size, 1))
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    turn = frame.rotation % 360
    if turn in _TURNS:
        picture = picture.transpose(_TURNS[turn])
    picture.info = {"full_size": full_size[::-1] if turn in (90, 270) else full_size}
    return picture
