"""What lies behind the things: paper, wood, grass, sky... as float32 pixels (side, side, 3) in 0..1."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Pixels = NDArray[np.floating[Any]]


def _noise(rng: np.random.Generator, side: int, across: int, down: int) -> Pixels:
    """Smooth noise in 0..1 with so many cells across and down, (side, side, 1)."""
    cells = Image.fromarray(rng.random((down, across)).astype(np.float32))
    return np.asarray(cells.resize((side, side), Image.Resampling.BICUBIC))[:, :, None].clip(0, 1)


def _grid(side: int) -> tuple[Pixels, Pixels]:
    """x and y of every pixel's center as shares of the side, (1, side) and (side, 1)."""
    at = ((np.arange(side) + 0.5) / side).astype(np.float32)
    return at[None, :], at[:, None]


def _mix(low: tuple[float, float, float], high: tuple[float, float, float], share: Pixels) -> Pixels:
    start, end = np.array(low, np.float32), np.array(high, np.float32)
    return start + (end - start) * (share if share.ndim == 3 else share[:, :, None])


def _paper(rng: np.random.Generator, side: int) -> Pixels:
    return _mix((0.93, 0.92, 0.89), (0.98, 0.97, 0.95), (_noise(rng, side, 60, 60) + _noise(rng, side, 5, 5)) / 2)


def _graph(rng: np.random.Generator, side: int) -> Pixels:
    x, y = _grid(side)
    step = 1 / 12
    fine = np.minimum(np.abs((x + step / 2) % step - step / 2), np.abs((y + step / 2) % step - step / 2)) < 0.0045
    return _mix((0.95, 0.97, 0.99), (0.58, 0.74, 0.90), fine.astype(np.float32)) - 0.02 * _noise(rng, side, 6, 6)


def _wood(rng: np.random.Generator, side: int) -> Pixels:
    _, y = _grid(side)
    plank = np.broadcast_to((y * 4).astype(int), (side, side))
    tone = rng.random(4).astype(np.float32)[plank][:, :, None]
    grain = 0.6 * _noise(rng, side, 3, 90) + 0.4 * _noise(rng, side, 8, 28)
    seam = ((y * 4) % 1 < 0.035).astype(np.float32)[:, :, None]
    return _mix((0.60, 0.40, 0.23), (0.84, 0.64, 0.42), 0.35 * tone + 0.65 * grain) * (1 - 0.5 * seam)


def _grass(rng: np.random.Generator, side: int) -> Pixels:
    canvas = Image.new("RGB", (side, side), (96, 160, 60))
    pen = ImageDraw.Draw(canvas)
    for x, y, lean, tone in rng.random((700, 4)):
        shade = (int(70 + 60 * tone), int(132 + 62 * tone), int(40 + 35 * tone))
        foot = (x * 1.1 - 0.05) * side, (y * 1.1) * side
        tip = foot[0] + (lean - 0.5) * 0.05 * side, foot[1] - 0.06 * side
        pen.line((foot, tip), fill=shade, width=max(1, round(0.008 * side)))
    return np.asarray(canvas, dtype=np.float32) / 255 * (0.88 + 0.2 * _noise(rng, side, 4, 4))


def _sand(rng: np.random.Generator, side: int) -> Pixels:
    x, y = _grid(side)
    drift = _noise(rng, side, 4, 4)[:, :, 0]
    ripple = 0.5 + 0.5 * np.sin(2 * np.pi * (7 * y + 0.8 * x + 1.6 * drift))
    return _mix((0.87, 0.74, 0.48), (0.97, 0.88, 0.65), 0.6 * ripple[:, :, None] + 0.4 * _noise(rng, side, 70, 70))


def _sky(rng: np.random.Generator, side: int) -> Pixels:
    _, y = _grid(side)
    air = _mix((0.36, 0.63, 0.93), (0.74, 0.88, 0.99), np.broadcast_to(y, (side, side)))
    cloud = ((0.7 * _noise(rng, side, 4, 6) + 0.3 * _noise(rng, side, 10, 14)) * 2.6 - 1.25).clip(0, 0.92)
    sky: Pixels = air + (np.float32(0.99) - air) * cloud
    return sky


def _night(rng: np.random.Generator, side: int) -> Pixels:
    _, y = _grid(side)
    air = _mix((0.03, 0.04, 0.15), (0.13, 0.13, 0.36), np.broadcast_to(y, (side, side)))
    stars = Image.new("L", (side, side))
    pen = ImageDraw.Draw(stars)
    for x, y0, glow in rng.random((70, 3)):
        reach = (0.003 + 0.006 * glow**3) * side
        box = (x * side - reach, y0 * side - reach, x * side + reach, y0 * side + reach)
        pen.ellipse(box, fill=int(150 + 105 * glow))
    shine = np.asarray(stars, dtype=np.float32)[:, :, None] / 255
    return air * (0.7 + 0.6 * _noise(rng, side, 4, 4)) * (1 - shine) + shine * np.array((1.0, 0.97, 0.85), np.float32)


def _bricks(rng: np.random.Generator, side: int) -> Pixels:
    x, y = _grid(side)
    course = (y * 9).astype(int)
    along = x * 4 + 0.5 * (course % 2)
    tone = rng.random((9, 5)).astype(np.float32)[course, along.astype(int)][:, :, None]
    joint = (((y * 9) % 1 < 0.13) | (along % 1 < 0.058)).astype(np.float32)[:, :, None]
    brick = _mix((0.58, 0.25, 0.18), (0.76, 0.40, 0.30), 0.7 * tone + 0.3 * _noise(rng, side, 50, 50))
    return brick + (np.array((0.80, 0.75, 0.70), np.float32) - brick) * joint


def _tiles(rng: np.random.Generator, side: int) -> Pixels:
    x, y = _grid(side)
    column, row = (x * 6).astype(int), (y * 6).astype(int)
    dark = ((column + row) % 2).astype(np.float32)[:, :, None]
    joint = (((x * 6) % 1 < 0.04) | ((y * 6) % 1 < 0.04)).astype(np.float32)[:, :, None]
    tile = _mix((0.91, 0.93, 0.93), (0.68, 0.76, 0.80), dark) + 0.03 * _noise(rng, side, 12, 12)
    tiles: Pixels = tile * (1 - 0.22 * joint)
    return tiles


def _slate(rng: np.random.Generator, side: int) -> Pixels:
    dust = 0.6 * _noise(rng, side, 3, 12) + 0.4 * _noise(rng, side, 30, 60)
    return _mix((0.13, 0.20, 0.18), (0.29, 0.36, 0.33), dust * dust)


BACKDROPS: dict[str, Callable[[np.random.Generator, int], Pixels]] = {
    "paper": _paper,
    "graph": _graph,
    "wood": _wood,
    "grass": _grass,
    "sand": _sand,
    "sky": _sky,
    "night": _night,
    "bricks": _bricks,
    "tiles": _tiles,
    "slate": _slate,
}
