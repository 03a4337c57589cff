"""Drawing scenes by lot. Scene `index` of `seed` depends on these two numbers alone, on every machine."""

import math
from dataclasses import replace
from itertools import pairwise, permutations
from random import Random

from sightline.scenes.kinds import BACKGROUNDS, COLORS, HELD_OUT, LIGHTS, SHAPES, SIZES, TEXTURES
from sightline.scenes.scene import ROOM, Scene, Thing

MARGIN = 0.03
GAP = 0.035
TILT = 0.22  # radians
# Things per row, by the number of places that have to be found.
ROWS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((1,),),
    2: ((2,), (1, 1)),
    3: ((3,), (1, 1, 1), (1, 2), (2, 1)),
    4: ((2, 2),),
}
# Shapes that fill their disc well enough for one to be seen to cover another.
SOLID = frozenset({"circle", "square", "triangle", "heart", "flower", "house", "diamond", "star"})


def sample(seed: int, index: int = 0) -> Scene:
    """Scene `index` of `seed`: one to four things, none of them a held-out pair of shape and color."""
    return _scene(Random(f"scenes/{seed}/{index}"), ())


def unseen(seed: int, index: int = 0) -> Scene:
    """A scene for tests: `sample` gives none of them, and every second one holds a thing of a held-out pair."""
    rng = Random(f"unseen scenes/{seed}/{index}")
    return _scene(rng, (rng.choice(sorted(HELD_OUT)),) if index % 2 == 0 else ())


def distinct(count: int, seed: int) -> list[Scene]:
    """The first `count` unseen scenes of `seed` whose full captions all differ."""
    found: dict[str, Scene] = {}
    index = 0
    while len(found) < count:
        scene = unseen(seed, index)
        found.setdefault(scene.caption, scene)
        index += 1
    return list(found.values())


def path(scene: Scene, rng: Random) -> tuple[int, ...] | None:
    """An order of all things in which each has a clear relation to the one before it, or None."""
    orders = list(permutations(range(len(scene.things))))
    rng.shuffle(orders)
    for order in orders:
        if all(scene.relation(a, b) for a, b in pairwise(order)):
            return order
    return None


def _scene(rng: Random, wanted: tuple[tuple[str, str], ...]) -> Scene:
    count = rng.choices((1, 2, 3, 4), weights=(2, 3, 3, 2))[0]
    grain = rng.getrandbits(32)
    paired = count > 1 and rng.random() < 0.35
    while True:
        scene = _attempt(rng, count, wanted, paired, grain)
        if scene is not None and path(scene, Random(grain)) is not None:
            return scene


def _attempt(rng: Random, count: int, wanted: tuple[tuple[str, str], ...], paired: bool, grain: int) -> Scene | None:
    """One throw of the dice; None where the things don't fit. `paired`: two of them touch."""
    background, light = rng.choice(sorted(BACKGROUNDS)), rng.choice(sorted(LIGHTS))
    kinds = list(wanted)
    while len(kinds) < count:
        kind = rng.choice(SHAPES), rng.choice(sorted(COLORS))
        if kind not in kinds and kind not in HELD_OUT:
            kinds.append(kind)
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
    turn, apart = rng.uniform(0, 2 * math.pi), 0.62 * (below.radius + above.radius)
    return [replace(below, x=0, y=0), replace(above, x=apart * math.cos(turn), y=apart * math.sin(turn))]


def _disc(group: list[Thing]) -> tuple[float, float, float]:
    """Centre and radius of a disc around a thing, or around a pair."""
    if len(group) == 1:
        return group[0].x, group[0].y, group[0].radius
    (a, b) = group
    apart = math.hypot(b.x - a.x, b.y - a.y)
    if apart + b.radius <= a.radius:
        return a.x, a.y, a.radius
    radius = (apart + a.radius + b.radius) / 2
    share = (radius - a.radius) / apart
    return a.x + share * (b.x - a.x), a.y + share * (b.y - a.y), radius


def _spread(rng: Random, widths: list[float]) -> list[float] | None:
    """Centres of intervals of these widths, one after the other with gaps, the slack dealt out at random."""
    slack = 1 - 2 * MARGIN - sum(widths) - GAP * (len(widths) - 1)
    if slack < 0:
        return None
    # The ends get half a share: things tend to stay near the middle, where one looks.
    shares = [rng.uniform(0.5, 1.0) for _ in range(len(widths) + 1)]
    centres, at = [], MARGIN
    for width, share in zip(widths, shares, strict=False):
        at += slack * share / sum(shares)
        centres.append(at + width / 2)
        at += width + GAP
    return centres


def _place(rng: Random, groups: list[list[Thing]]) -> list[Thing] | None:
    """The groups laid out in rows, none touching another; None if they are too large for that."""
    counts = rng.choice(ROWS[len(groups)])
    discs = [_disc(group) for group in groups]
    rows, start = [], 0
    for count in counts:
        rows.append(range(start, start + count))
        start += count
    heights = _spread(rng, [2 * max(discs[i][2] for i in row) for row in rows])
    if heights is None:
        return None
    placed: list[Thing] = []
    for row, y in zip(rows, heights, strict=True):
        across = _spread(rng, [2 * discs[i][2] for i in row])
        if across is None:
            return None
        for i, x in zip(row, across, strict=True):
            placed += [replace(t, x=x + t.x - discs[i][0], y=y + t.y - discs[i][1]) for t in groups[i]]
    return placed
