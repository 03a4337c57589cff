"""The outline of each shape: polygons in the unit disc, x right, y down. All polygons after the first are holes."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def _points(*xy: tuple[float, float]) -> Points:
    return np.array(xy, dtype=np.float64)


def _arc(radius: float, start: float = 0.0, end: float = 360.0, center: tuple[float, float] = (0.0, 0.0)) -> Points:
    """Points on a circle; degrees run clockwise from the right, as y points down."""
    turn = np.radians(np.linspace(start, end, 73))
    return np.stack([center[0] + radius * np.cos(turn), center[1] + radius * np.sin(turn)], axis=1)


def _corners(count: int, inner: float = 1.0) -> Points:
    """A regular polygon with a corner on top; `inner` < 1 pulls in every second corner."""
    turn = np.arange(count) * 2 * math.pi / count - math.pi / 2
    radius = np.where(np.arange(count) % 2 == 0, 1.0, inner)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)


def _fit(*polygons: Points) -> Sequence[Points]:
    """Moved and scaled so that the first polygon's box is centered and its farthest point lies on the unit circle."""
    middle = (polygons[0].min(axis=0) + polygons[0].max(axis=0)) / 2
    reach = np.linalg.norm(polygons[0] - middle, axis=1).max()
    return [(polygon - middle) / reach for polygon in polygons]


def _heart() -> Points:
    t = np.linspace(0, 2 * math.pi, 97)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y], axis=1)


def _cross() -> Points:
    a = 0.36
    return _points(
        (-a, -1), (a, -1), (a, -a), (1, -a), (1, a), (a, a), (a, 1), (-a, 1), (-a, a), (-1, a), (-1, -a), (-a, -a)
    )


def _flower() -> Points:
    t = np.linspace(0, 2 * math.pi, 145)
    radius = 0.76 + 0.24 * np.cos(5 * t)
    return np.stack([radius * np.sin(t), -radius * np.cos(t)], axis=1)


def _fish() -> Points:
    t = np.radians(np.linspace(22, 338, 73))
    body = np.stack([-0.9 * np.cos(t) + 0.0, 0.62 * np.sin(t)], axis=1)
    return np.concatenate([body, _points((-1.45, -0.62), (-1.25, 0.0), (-1.45, 0.62))])


OUTLINES: dict[str, Sequence[Points]] = {
    "circle": _fit(_arc(1.0)),
    "square": _fit(_points((-1, -1), (1, -1), (1, 1), (-1, 1))),
    "triangle": _fit(_points((0, -1), (0.95, 0.72), (-0.95, 0.72))),
    "diamond": _fit(_points((0, -1), (0.66, 0), (0, 1), (-0.66, 0))),
    "star": _fit(_corners(10, inner=0.46)),
    "heart": _fit(_heart()),
    "cross": _fit(_cross()),
    "moon": _fit(np.concatenate([_arc(1.0, 50, 310), _arc(0.84, 294, 66, center=(0.45, 0.0))])),
    "ring": _fit(_arc(1.0), _arc(0.56)),
    "arrow": _fit(_points((-1, -0.3), (0.1, -0.3), (0.1, -0.82), (1, 0), (0.1, 0.82), (0.1, 0.3), (-1, 0.3))),
    "drop": _fit(np.concatenate([_points((0.0, -1.55)), _arc(0.85, -28, 208)])),
    "flower": _fit(_flower(), _arc(0.24)),
    "house": _fit(
        _points((-0.72, -0.1), (-0.95, -0.1), (0, -1), (0.95, -0.1), (0.72, -0.1), (0.72, 0.85), (-0.72, 0.85)),
        _points((-0.2, 0.25), (0.2, 0.25), (0.2, 0.851), (-0.2, 0.851)),
    ),
    "fish": _fit(_fish(), _arc(0.11, center=(0.48, -0.16))),
}
