"""What a scene is made of and where: things on a background in a light. Pixels and captions follow from this."""

import math
from dataclasses import dataclass
from itertools import pairwise, permutations
from random import Random

from sightline.scenes.kinds import SIZES

CLEAR = 0.6
"""A side is claimed where the things lie apart along it, and by at most this much of that distance across it."""

ROOM: dict[str, float] = {"circle": 0.8, "square": 0.66, "flower": 0.5, "ring": 0.56}
"""Shapes that another thing fits into, and the radius of that room as a share of the shape's radius."""

MARGIN = 0.03
"""Between a thing and the picture's edge, at least; a share of the picture's side, as GAP is."""

GAP = 0.035
"""Between two things that don't touch, at least."""

TILT = 0.22
"""Radians by which a thing that stands still may lean to either side."""


@dataclass(frozen=True)
class Thing:
    """An object in a scene.

    `x`, `y` is its center as a share of the picture's side, y down. It fills a disc of `radius`, is turned clockwise
    by `angle` radians, and is `scale` times as large as its size says (1 but for what moves in a video).
    """

    shape: str
    color: str
    size: str
    texture: str
    x: float
    y: float
    angle: float
    scale: float = 1.0

    @property
    def radius(self) -> float:
        """As a share of the picture's side."""
        return SIZES[self.size] * self.scale


@dataclass(frozen=True)
class Layout:
    """Things on a background in a light.

    `things` are in painting order: a later thing covers an earlier one. `grain` is the random seed of everything that
    the other fields leave open: the wood's grain, the clouds, the wording of the captions.
    """

    things: tuple[Thing, ...]
    background: str
    light: str
    grain: int

    def relation(self, a: int, b: int) -> str | None:
        """How thing `a` stands to thing `b`: "inside", "around", "front", "behind", a side, or None if it is unclear.

        A side is "left", "right", "above" or "below".
        """
        first, second = self.things[a], self.things[b]
        if inside(first, second):
            return "inside"
        if inside(second, first):
            return "around"
        if distance(first, second) < first.radius + second.radius:
            return "front" if a > b else "behind"
        return side(first, second)


def distance(a: Thing, b: Thing) -> float:
    """Between the centers, as a share of the picture's side."""
    return math.hypot(b.x - a.x, b.y - a.y)


def inside(a: Thing, b: Thing) -> bool:
    """Whether `a` lies wholly in the room in the middle of `b`."""
    return distance(a, b) + a.radius <= ROOM.get(b.shape, 0.0) * b.radius + 1e-9


def side(a: Thing, b: Thing) -> str | None:
    """The side of `b` on which `a` is: "left", "right", "above", "below"; None if they touch or it is unclear."""
    dx, dy = b.x - a.x, b.y - a.y
    if distance(a, b) < a.radius + b.radius:
        return None
    if abs(dy) <= CLEAR * abs(dx):
        return "left" if dx > 0 else "right"
    if abs(dx) <= CLEAR * abs(dy):
        return "above" if dy > 0 else "below"
    return None


def relation_order(layout: Layout, rng: Random) -> tuple[int, ...] | None:
    """A random order of all things in which each has a relation to the thing before it; None if there is no such order.

    The order holds indices of `layout.things`.
    """
    orders = list(permutations(range(len(layout.things))))
    rng.shuffle(orders)
    for order in orders:
        if all(layout.relation(a, b) for a, b in pairwise(order)):
            return order
    return None
