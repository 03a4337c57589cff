"""Random scenes. Scene `index` of `seed` depends on these two numbers alone, on every machine."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate, count as numbers
from random import Random
from typing import TypeVar

from sightline.scenes.kinds import BACKGROUNDS, COLORS, HELD_OUT, LIGHTS, SHAPES, SIZES, TEXTURES
from sightline.scenes.layout import GAP, MARGIN, ROOM, TILT, Thing, distance, relation_order
from sightline.scenes.scene import Scene
from sightline.scenes.videos import SceneVideo

ROWS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((1,),),
    2: ((2,), (1, 1)),
    3: ((3,), (1, 1, 1), (1, 2), (2, 1)),
    4: ((2, 2),),
}
"""The numbers of groups in each row, by the number of groups: all the ways to choose from."""

SOLID = frozenset({"circle", "square", "triangle", "heart", "flower", "house", "diamond", "star"})
"""Shapes that fill their disc well enough for an overlap to be visible."""

Kind = tuple[str, str]
"""A shape and a color."""


D = TypeVar("D", Scene, SceneVideo)


def sample(seed: int, index: int = 0) -> Scene:
    """Scene `index` of `seed`: one to four things, none of them a held-out pair of shape and color."""
    return _scene(Random(f"scenes/{seed}/{index}"), ())


def unseen(seed: int, index: int = 0) -> Scene:
    """A test scene, which `sample` never gives: in every second scene a thing is a held-out pair of shape and color."""
    rng = Random(f"unseen scenes/{seed}/{index}")
    return _scene(rng, (rng.choice(sorted(HELD_OUT)),) if index % 2 == 0 else ())


def distinct(count: int, seed: int) -> list[Scene]:
    """The first `count` unseen scenes of `seed` whose full captions all differ."""
    return first_distinct(unseen, count, seed)


def first_distinct(draw: Callable[[int, int], D], count: int, seed: int) -> list[D]:
    """The first `count` of what `draw(seed, index)` gives whose full captions all differ."""
    by_caption: dict[str, D] = {}
    indices = numbers()
    while len(by_caption) < count:
        drawn = draw(seed, next(indices))
        by_caption.setdefault(drawn.caption, drawn)
    return list(by_caption.values())


def pick_kinds(rng: Random, count: int, first: Sequence[Kind] = (), first_shapes: Sequence[str] = SHAPES) -> list[Kind]:
    """`count` different kinds, those of `first` before the random ones, which are not held out.

    Where `first` is empty, the first kind's shape is one of `first_shapes`.
    """
    kinds = list(first)
    while len(kinds) < count:
        kind = rng.choice(SHAPES if kinds else first_shapes), rng.choice(sorted(COLORS))
        if kind not in kinds and kind not in HELD_OUT:
            kinds.append(kind)
    return kinds


def _scene(rng: Random, held_out: Sequence[Kind]) -> Scene:
    count = rng.choices((1, 2, 3, 4), weights=(2, 3, 3, 2))[0]
    grain = rng.getrandbits(32)
    paired = count > 1 and rng.random() < 0.35
    while True:
        scene = _attempt(rng, count, held_out, paired, grain)
        if scene is not None and relation_order(scene, Random(grain)) is not None:
            return scene


def _attempt(rng: Random, count: int, held_out: Sequence[Kind], paired: bool, grain: int) -> Scene | None:
    """A random scene; None where a color is lost on the background or the things don't fit. `paired`: two touch."""
    background, light = rng.choice(sorted(BACKGROUNDS)), rng.choice(sorted(LIGHTS))
    kinds = pick_kinds(rng, count, held_out)
    if any(color in BACKGROUNDS[background].clashes for _, color in kinds):
        return None
    rng.shuffle(kinds)
    sizes = [rng.choice(tuple(SIZES)) for _ in kinds]
    things = [
        Thing(shape, color, size, rng.choice(TEXTURES), 0.5, 0.5, rng.uniform(-TILT, TILT))
        for (shape, color), size in zip(kinds, sizes, strict=True)
    ]
    groups: list[list[Thing]] = [[thing] for thing in things]
    if paired:
        pair = _pair(rng, groups.pop()[0], groups.pop()[0])
        if pair is None:
            return None
        groups.insert(rng.randrange(len(groups) + 1), pair)
    placed = _place(rng, groups)
    return Scene(tuple(placed), background, light, grain) if placed else None


def _pair(rng: Random, below: Thing, above: Thing) -> list[Thing] | None:
    """`above` put into or partly over `below`, both around (0, 0); None where that would be hard to see."""
    if math.dist(COLORS[below.color], COLORS[above.color]) < 0.45:
        return None
    if below.shape in ROOM and rng.random() < 0.8:
        return [replace(below, size="large", texture="plain", x=0, y=0), replace(above, size="small", x=0, y=0)]
    if above.radius > below.radius or below.shape not in SOLID or above.shape not in SOLID:
        return None
    angle, apart = rng.uniform(0, 2 * math.pi), 0.62 * (below.radius + above.radius)
    return [replace(below, x=0, y=0), replace(above, x=apart * math.cos(angle), y=apart * math.sin(angle))]


def _disc(group: list[Thing]) -> tuple[float, float, float]:
    """(x, y, radius) of a disc around a thing, or around a pair."""
    if len(group) == 1:
        return group[0].x, group[0].y, group[0].radius
    (a, b) = group
    apart = distance(a, b)
    if apart + b.radius <= a.radius:
        return a.x, a.y, a.radius
    radius = (apart + a.radius + b.radius) / 2
    share = (radius - a.radius) / apart
    return a.x + share * (b.x - a.x), a.y + share * (b.y - a.y), radius


def _place(rng: Random, groups: list[list[Thing]]) -> list[Thing] | None:
    """The groups laid out in rows, none touching another; None if they are too large for that."""
    counts = rng.choice(ROWS[len(groups)])
    discs = [_disc(group) for group in groups]
    rows = [range(end - count, end) for count, end in zip(counts, accumulate(counts), strict=True)]
    row_centers = _spread(rng, [2 * max(discs[i][2] for i in row) for row in rows])
    if row_centers is None:
        return None
    placed: list[Thing] = []
    for row, y in zip(rows, row_centers, strict=True):
        centers = _spread(rng, [2 * discs[i][2] for i in row])
        if centers is None:
            return None
        for i, x in zip(row, centers, strict=True):
            placed += [replace(t, x=x + t.x - discs[i][0], y=y + t.y - discs[i][1]) for t in groups[i]]
    return placed


def _spread(rng: Random, widths: list[float]) -> list[float] | None:
    """Centers of intervals of these widths, one after the other with gaps, the free space divided at random. None if
    the intervals are too wide for the picture."""
    free = 1 - 2 * MARGIN - sum(widths) - GAP * (len(widths) - 1)
    if free < 0:
        return None
    # The space at the end is left over: things tend to stay near the middle, as in photos.
    shares = [rng.uniform(0.5, 1.0) for _ in range(len(widths) + 1)]
    centers, at = [], MARGIN
    for width, share in zip(widths, shares, strict=False):
        at += free * share / sum(shares)
        centers.append(at + width / 2)
        at += width + GAP
    return centers
