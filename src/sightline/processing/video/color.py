"""The color space of a video's frames, and those that are not in BT.709 or BT.601 brought to sRGB."""

from typing import TypeAlias

import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from sightline.processing.image.color_space import (
    HLG,
    PQ,
    SRGB_SPACE,
    ColorSpace,
    light_of,
    light_to_srgb,
    space_of_codes,
    to_srgb,
)

Values: TypeAlias = NDArray[np.float64]

# ITU-T H.273, tables 2 and 4.
_UNSPECIFIED, _BT2020 = 2, 9
_YCGCO, _BT2020_CONSTANT, _CHROMA_CONSTANT, _ICTCP = 8, 10, 13, 14
_FULL_RANGE = 2

_RED_AND_BLUE = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), _BT2020: (0.2627, 0.0593)}
"""By matrix: red's and blue's share of luma. All others are BT.601's."""
_BT601 = (0.299, 0.114)

_LMS = np.array([[1688, 2146, 262], [683, 2951, 462], [99, 309, 3688]]) / 4096
"""BT.2100, table 7: BT.2020's light to that of the eye's cones."""
_ICTCP_OF_PQ = np.array([[2048, 2048, 0], [6610, -13613, 7003], [17933, -17390, -543]]) / 4096
_ICTCP_OF_HLG = np.array([[2048, 2048, 0], [3625, -7465, 3840], [9500, -9212, -288]]) / 4096
_BLUE, _RED = (1.5820, 1.9404), (0.9936, 1.7184)
"""BT.2020, table 4: the scale of blue's and of red's difference, where it is positive and where negative."""


def color_space(frame: VideoFrame) -> ColorSpace | None:
    """The frame's color space; None for ordinary SDR, whose signal is shown as it is.

    Where only the matrix is named, the primaries are those that it belongs to.
    """
    primaries, transfer, matrix = int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace)
    if primaries == _UNSPECIFIED and matrix in (_BT2020, _BT2020_CONSTANT, _ICTCP):
        primaries = _BT2020
    if transfer == _UNSPECIFIED and matrix == _ICTCP:
        transfer = PQ
    space = space_of_codes(primaries, transfer)
    return SRGB_SPACE if space is None and _is_special(frame) else space


def reduce(frame: VideoFrame, width: int, height: int, reformatter: VideoReformatter) -> VideoFrame:
    """A frame that is to be brought to sRGB, by area averages, with all its bits and in its matrix."""
    is_planar = frame.format.is_planar and not frame.format.is_rgb
    return _reformatted(frame, reformatter, frame.format.name if is_planar else "rgb48le", width, height)


def rgb_in_srgb(
    frame: VideoFrame,
    space: ColorSpace,
    reformatter: VideoReformatter,
    width: int | None = None,
    height: int | None = None,
) -> NDArray[np.uint8]:
    """A frame in `space`, by area averages in another size, to (height, width, 3) in sRGB.

    libswscale's own RGB ends at 65,283 of 65,535, and it refuses some matrices: here it only averages.
    """
    if frame.format.is_rgb:
        return to_srgb(_reformatted(frame, reformatter, "rgb48le", width, height).to_ndarray(), space)
    bits, matrix = frame.format.components[0].bits, int(frame.colorspace)
    values = _reformatted(frame, reformatter, "yuv444p16le", width, height).to_ndarray().astype(np.float32)
    if int(frame.color_range) == _FULL_RANGE:
        zero, span = [0, 1 << 15, 1 << 15], [(1 << 16) - (1 << 16 - bits)] * 3
    else:
        zero, span = [16 << 8, 1 << 15, 1 << 15], [219 << 8, 224 << 8, 224 << 8]
    if matrix == _ICTCP:
        return light_to_srgb(_light_of_ictcp((values - zero) / span, space), space)
    if matrix in (_BT2020_CONSTANT, _CHROMA_CONSTANT):
        return light_to_srgb(_light_of_constant((values - zero) / span, space), space)
    to_rgb = _to_rgb(matrix) * (65535 / np.array(span))
    rgb = values @ to_rgb.T.astype(np.float32)
    rgb += (0.5 - to_rgb @ zero).astype(np.float32)
    return to_srgb(rgb.clip(0, 65535, out=rgb).astype(np.uint16), space)


def _is_special(frame: VideoFrame) -> bool:
    """Whether its matrix is one that libswscale refuses."""
    return not frame.format.is_rgb and int(frame.colorspace) in (_YCGCO, _BT2020_CONSTANT, _CHROMA_CONSTANT, _ICTCP)


def _reformatted(
    frame: VideoFrame, reformatter: VideoReformatter, pixels: str, width: int | None, height: int | None
) -> VideoFrame:
    matrix = int(frame.colorspace)
    if _is_special(frame):  # one that libswscale takes: between formats of one matrix it multiplies nothing
        frame.colorspace = _BT2020
    reformatted = reformatter.reformat(frame, width, height, pixels, interpolation=Interpolation.AREA, threads=1)
    frame.colorspace = reformatted.colorspace = matrix
    return reformatted


def _to_rgb(matrix: int) -> Values:
    """(3, 3): luma (0 to 1) and the two planes of color (-0.5 to 0.5) to red, green and blue (H.273, 8.3)."""
    if matrix == _YCGCO:
        return np.array([[1.0, -1, 1], [1, 1, 0], [1, -1, -1]])
    kr, kb = _RED_AND_BLUE.get(matrix, _BT601)
    kg, red, blue = 1 - kr - kb, 2 - 2 * kr, 2 - 2 * kb
    return np.array([[1, 0, red], [1, -kb * blue / kg, -kr * red / kg], [1, blue, 0]])


def _light_of_ictcp(values: Values, space: ColorSpace) -> Values:
    to_ictcp = _ICTCP_OF_HLG if space.transfer == HLG else _ICTCP_OF_PQ
    cones = light_of((values @ np.linalg.inv(to_ictcp).T).clip(0, 1), space.transfer)
    light: Values = cones @ np.linalg.inv(_LMS).T
    return light


def _light_of_constant(values: Values, space: ColorSpace) -> Values:
    """BT.2020's constant luminance: luma is made of light, not of signals."""
    luma, first, second = values[..., 0], values[..., 1], values[..., 2]
    signals = luma + second * np.where(second > 0, *_RED), luma + first * np.where(first > 0, *_BLUE), luma
    red, blue, all_light = (light_of(signal.clip(0, 1), space.transfer) for signal in signals)
    kr, kb = _RED_AND_BLUE[_BT2020]
    return np.stack([red, (all_light - kr * red - kb * blue) / (1 - kr - kb), blue], axis=-1)
