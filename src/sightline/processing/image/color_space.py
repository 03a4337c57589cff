"""Color spaces as files name them, and what is in them brought to sRGB: wide gamuts, and HDR by a tone curve.

Sources: ITU-T H.273 (the code points of primaries and transfer), ITU-R BT.2100 (PQ and HLG), ITU-R BT.2408 (diffuse
white of HDR at 203 nits, which is 75% of HLG's signal), IEC 61966-2-1 (sRGB).
"""

from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Primaries = tuple[float, float, float, float, float, float, float, float]
"""x and y of red, green, blue and white in CIE 1931."""

_D65, _C, _DCI, _E = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351), (1 / 3, 1 / 3)
_BT709: Primaries = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65)
BT2020: Primaries = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65)
PRIMARIES: dict[int, Primaries] = {
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, *_C),
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, *_C),
    9: BT2020,
    10: (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, *_E),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_DCI),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
}
"""By H.273's code, those far from sRGB's. BT.601's (5, 6, 7, 22) are near them and are shown as they are."""

GAMMA22, GAMMA28, SRGB, LINEAR, LOG, LOG_SQRT, PQ, DCI, HLG = 4, 5, 13, 8, 9, 10, 16, 17, 18
_TRANSFERS = {GAMMA22, GAMMA28, LINEAR, LOG, LOG_SQRT, PQ, DCI, HLG}
"""H.273's codes of transfers far from sRGB's. Those of BT.709, BT.601 and BT.2020 are shown as sRGB is, on all
screens."""

_HDR_WHITE = 203.0
"""Nits."""
_HDR_PEAK = 1000.0 / _HDR_WHITE
"""Relative to white: what is brighter is cut."""
_KNEE = 0.8
"""Relative to white: what is darker stays as it is, so that HDR looks as the same film in SDR."""
_HLG_WHITE = 0.265
"""HLG's scene light at 75% of the signal."""
_STRIP = 1 << 14
"""Pixels converted at a time: their numbers stay in the processor's cache."""


class ColorSpace(NamedTuple):
    """`transfer` is H.273's code, or a float: the exponent of a plain power."""

    primaries: Primaries
    transfer: int | float


SRGB_SPACE = ColorSpace(_BT709, SRGB)
ADOBE_RGB = ColorSpace((0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *_D65), 563 / 256)


def space_of_codes(primaries: int, transfer: int) -> ColorSpace | None:
    """The color space of H.273's codes; None for what is shown as it is: sRGB, BT.709, BT.601 and what is unknown.

    HDR without primaries has BT.2020's. Old television's tags, whose transfer is that of a screen, say nothing.
    """
    if primaries == transfer and transfer in (GAMMA22, GAMMA28):
        return None
    if transfer in (PQ, HLG):
        return ColorSpace(PRIMARIES.get(primaries, _BT709 if primaries == 1 else BT2020), transfer)
    if primaries not in PRIMARIES and transfer not in _TRANSFERS:
        return None
    return ColorSpace(PRIMARIES.get(primaries, _BT709), transfer if transfer in _TRANSFERS else SRGB)


def space_of_gamma(primaries: Primaries, exponent: float) -> ColorSpace | None:
    """The color space of a plain power and of these primaries; None where they are about sRGB's. Raises ValueError for
    what are no primaries."""
    is_srgb = all(abs(a - b) < 0.01 for a, b in zip(primaries, _BT709, strict=True))
    if not 0.2 <= exponent <= 5 or not np.isfinite(primaries).all():
        raise ValueError(f"no color space: a power of {exponent:g}")
    near = 2.1 <= exponent <= 2.3  # within them a power of 2.2, which files write for sRGB's curve
    if is_srgb and near:
        return None
    space = ColorSpace(_BT709 if is_srgb else primaries, SRGB if near else float(exponent))
    if not np.isfinite(_to_bt709(space.primaries)).all():
        raise ValueError("no color space: its primaries are on a line")
    return space


def to_srgb(values: NDArray[Any], space: ColorSpace) -> NDArray[np.uint8]:
    """uint8 or uint16 (..., 3) in `space`, over the whole range of their type, to uint8 (..., 3) in sRGB."""
    tables = _tables(space, values.dtype.itemsize * 8)
    flat = np.ascontiguousarray(values).reshape(-1, 3)
    out = np.empty(flat.shape, np.uint8)
    for start in range(0, len(flat), _STRIP):
        linear = np.take(tables.linear, flat[start : start + _STRIP]) @ tables.matrix
        out[start : start + _STRIP] = _shown(linear, is_hdr=space.transfer in (PQ, HLG))
    return out.reshape(values.shape)


def light_to_srgb(light: NDArray[np.float64], space: ColorSpace) -> NDArray[np.uint8]:
    """Light (..., 3), relative to white, in the primaries of `space` to uint8 (..., 3) in sRGB."""
    flat = (light.reshape(-1, 3) @ _to_bt709(space.primaries).T).astype(np.float32)
    return _shown(flat, is_hdr=space.transfer in (PQ, HLG)).reshape(light.shape)


def light_of(signal: NDArray[Any], transfer: int | float) -> NDArray[np.float64]:
    """A signal of 0 to 1 as light relative to white: 1 is SDR's white and HDR's diffuse white.

    HLG's light is that of the scene: to show it as SDR, whose signal is that of a scene too, both leave out what a
    screen adds (BT.2408, 5.1.3: mapping by scene light).
    """
    x = np.asarray(signal, np.float64)
    if isinstance(transfer, float):
        return np.asarray(x**transfer)
    match transfer:
        case 4:
            return np.asarray(x**2.2)
        case 5:
            return np.asarray(x**2.8)
        case 8:
            return x
        case 9:
            return np.where(x > 0, 10 ** ((x - 1) * 2), 0)
        case 10:
            return np.where(x > 0, 10 ** ((x - 1) * 2.5), 0)
        case 16:  # BT.2100, table 4
            m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
            power = x ** (1 / m2)
            return np.asarray((np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1) * (10000 / _HDR_WHITE))
        case 17:
            return np.asarray(x**2.6 * (52.37 / 48))
        case 18:  # BT.2100, table 5
            a, b, c = 0.17883277, 0.28466892, 0.55991073
            return np.where(x <= 0.5, x * x / 3, (np.exp((x - c) / a) + b) / 12) / _HLG_WHITE
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


class _Tables(NamedTuple):
    linear: NDArray[np.float32]
    """The light of each level."""
    matrix: NDArray[np.float32]
    """(3, 3): light in the space's primaries, times this, is light in BT.709's."""


@lru_cache(maxsize=16)
def _tables(space: ColorSpace, bits: int) -> _Tables:
    levels = np.arange(1 << bits) / ((1 << bits) - 1)
    matrix = _to_bt709(space.primaries).T
    return _Tables(light_of(levels, space.transfer).astype(np.float32), matrix.astype(np.float32))


@lru_cache(maxsize=16)
def _to_bt709(primaries: Primaries) -> NDArray[np.float64]:
    """(3, 3): light in these primaries to light in BT.709's, white to white."""
    if primaries == _BT709:
        return np.eye(3)
    # Bradford's adaptation, as ICC.1:2022, annex E has it.
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    try:
        white, target = bradford @ _xyz(primaries[6:]), bradford @ _xyz(_D65)
        adapt = np.linalg.solve(bradford, np.diag(target / white) @ bradford)
        matrix: Any = np.linalg.solve(_to_xyz(_BT709), adapt @ _to_xyz(primaries))
        return np.asarray(matrix, np.float64)
    except (np.linalg.LinAlgError, ZeroDivisionError):
        return np.full((3, 3), np.nan)


def _to_xyz(primaries: Primaries) -> NDArray[np.float64]:
    """SMPTE RP 177: the columns are the primaries' XYZ, scaled so that they add up to the white."""
    x, y = np.array(primaries[:6:2]), np.array(primaries[1:6:2])
    columns = np.array([x, y, 1 - x - y])
    scaled: NDArray[np.float64] = columns * np.linalg.solve(columns, _xyz(primaries[6:]))
    return scaled


def _xyz(white: tuple[float, ...]) -> NDArray[np.float64]:
    x, y = white
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _shown(light: NDArray[np.float32], is_hdr: bool) -> NDArray[np.uint8]:
    """Light in BT.709's primaries to uint8 in sRGB. HDR's is scaled by the brightest of its three values: hues stay."""
    if is_hdr:
        brightest = np.maximum(np.maximum(light[:, 0], light[:, 1]), light[:, 2])
        steps = np.minimum(np.maximum(brightest, 0) * np.float32(65535 / _HDR_PEAK), 65535).astype(np.uint16)
        light *= np.take(_tone_factors(), steps)[:, None]
        light *= np.minimum(1, _HDR_PEAK / np.maximum(brightest, _HDR_PEAK))[:, None]
    light *= 65535
    light += 0.5
    return np.take(_srgb_levels(), light.clip(0, 65535).astype(np.uint16))


@cache
def _tone_factors() -> NDArray[np.float32]:
    """What light of each 65535th of the peak is multiplied by.

    Above the knee Reinhard's curve (2002, Photographic Tone Reproduction, equation 4), which leaves the knee with a
    slope of 1 and reaches 1 at the peak.
    """
    light, span = np.arange(1 << 16) * (_HDR_PEAK / 65535), 1 - _KNEE
    x, peak = np.maximum(light - _KNEE, 0) / span, (_HDR_PEAK - _KNEE) / span
    toned = np.where(light > _KNEE, _KNEE + span * x * (1 + x / peak**2) / (1 + x), light)
    factors: NDArray[np.float32] = (toned / np.where(light > 0, light, 1)).astype(np.float32)
    factors[0] = 1
    return factors


@cache
def _srgb_levels() -> NDArray[np.uint8]:
    """The level in sRGB of each 65535th of light."""
    light = np.arange(1 << 16) / 65535
    signal = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    levels: NDArray[np.uint8] = np.round(signal * 255).astype(np.uint8)
    return levels
