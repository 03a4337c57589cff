"""What a scene is: things on a background in a light. Everything else (pixels, words) follows from this description."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.scenes.kinds import SIZES

# A side is claimed only where the things lie apart along it, and the other direction is clearly smaller.
CLEAR = 0.6
# Shapes with room for another thing in their middle, and the radius of that room as a share of their own.
ROOM: dict[str, float] = {"circle": 0.8, "square": 0.66, "flower": 0.5, "ring": 0.56}


@dataclass(frozen=True)
class Thing:
    """One object. `x`, `y` is its centre as a share of the picture's side, y down; it fills a disc of `radius`,
    is turned by `angle` radians, clockwise, and `scale` times as large as its size says (in films)."""

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
        return SIZES[self.size] * self.scale


def distance(a: Thing, b: Thing) -> float:
    """Between the centres, as a share of the picture's side."""
    return math.hypot(b.x - a.x, b.y - a.y)


def inside(a: Thing, b: Thing) -> bool:
    """Whether `a` lies wholly in the room in the middle of `b`."""
    return distance(a, b) + a.radius <= ROOM.get(b.shape, 0.0) * b.radius + 1e-9


def side(a: Thing, b: Thing) -> str | None:
    """The side of `b` on which `a` clearly is: "left", "right", "above" or "below"; None if it isn't clear."""
    dx, dy = b.x - a.x, b.y - a.y
    if distance(a, b) < a.radius + b.radius:
        return None
    if abs(dy) <= CLEAR * abs(dx):
        return "left" if dx > 0 else "right"
    if abs(dx) <= CLEAR * abs(dy):
        return "above" if dy > 0 else "below"
    return None


@dataclass(frozen=True)
class Scene:
    """A picture before it is drawn. `things` are in painting order: a later one covers an earlier one.
    `grain` seeds what no caption speaks of: the wood's grain, the clouds, the turns of phrase."""

    things: tuple[Thing, ...]
    background: str
    light: str
    grain: int

    def relation(self, a: int, b: int) -> str | None:
        """How thing `a` stands to thing `b`: "inside", "around", "front", "behind", a side, or None."""
        first, second = self.things[a], self.things[b]
        if inside(first, second):
            return "inside"
        if inside(second, first):
            return "around"
        if distance(first, second) < first.radius + second.radius:
            return "front" if a > b else "behind"
        return side(first, second)

    @property
    def caption(self) -> str:
        """The full description: every thing with all it has, where each stands, the background and the light."""
        return self.captions[0]

    @property
    def captions(self) -> tuple[str, ...]:
        """The full description first, then others, all true: other words, other order, parts of it."""
        from sightline.scenes.captions import describe

        return describe(self)

    def draw(self, size: int) -> Image.Image:
        """The picture, `size` pixels square, "RGB". The same scene looks the same at every size."""
        from sightline.scenes.drawing import draw

        return draw(self, size)

    def mask(self, size: int) -> NDArray[np.uint8]:
        """What `draw(size)` shows at each pixel's centre, (size, size): 0 the background, i + 1 `things[i]`."""
        from sightline.scenes.drawing import mask

        return mask(self, size)
