"""Random videos. Video `index` of `seed` depends on these two numbers alone, on every machine."""

import math
from dataclasses import replace
from random import Random

from sightline.scenes.kinds import BACKGROUNDS, HELD_OUT, LIGHTS, MOTIONS, SHAPES, SIZES, TEXTURES
from sightline.scenes.layout import CLEAR, GAP, MARGIN, TILT, Thing, distance, side
from sightline.scenes.sampler import first_distinct, pick_kinds
from sightline.scenes.scene import Scene
from sightline.scenes.videos import GROWTH, TRAVEL, SceneVideo

SCALES = (0.55, 1.2)
"""Of the moving thing, so that no size belongs to growing or shrinking alone."""

MOVERS: tuple[str, ...] = tuple(shape for shape in SHAPES if shape not in ("circle", "ring"))
"""Shapes that move. A turned circle or ring looks as before, and every shape shall occur with every motion."""


def sample_video(seed: int, index: int = 0) -> SceneVideo:
    """Video `index` of `seed`: one to three things, none of them a held-out pair of shape and color."""
    return _video(Random(f"films/{seed}/{index}"), held_out=False)


def unseen_video(seed: int, index: int = 0) -> SceneVideo:
    """A test video, which `sample_video` never gives: in every second video the moving thing is a held-out pair."""
    return _video(Random(f"unseen films/{seed}/{index}"), held_out=index % 2 == 0)


def distinct_videos(count: int, seed: int) -> list[SceneVideo]:
    """The first `count` unseen videos of `seed` whose full captions all differ."""
    return first_distinct(unseen_video, count, seed)


def _video(rng: Random, held_out: bool) -> SceneVideo:
    motion, pace, count = rng.choice(tuple(MOTIONS)), rng.random(), rng.choices((1, 2, 3), weights=(2, 4, 4))[0]
    grain = rng.getrandbits(32)
    while True:
        scene = _attempt(rng, count, held_out, grain)
        if scene is not None:
            return SceneVideo(scene, motion, pace)


def _attempt(rng: Random, count: int, held_out: bool, grain: int) -> Scene | None:
    """A random scene; None where a color is lost on the background or the things don't fit."""
    background, light = rng.choice(sorted(BACKGROUNDS)), rng.choice(sorted(LIGHTS))
    first = [rng.choice([pair for pair in sorted(HELD_OUT) if pair[0] in MOVERS])] if held_out else []
    kinds = pick_kinds(rng, count, first, MOVERS)
    if any(color in BACKGROUNDS[background].clashes for _, color in kinds):
        return None
    (shape, color), *others = kinds
    mover = Thing(shape, color, "medium", rng.choice(TEXTURES), 0.5, 0.5, rng.uniform(-math.pi, math.pi))
    mover = _placed(rng, replace(mover, scale=rng.uniform(*SCALES)), room=TRAVEL[1] / 2)
    things: list[Thing] = []
    for shape, color in others:
        thing = Thing(shape, color, rng.choice(tuple(SIZES)), rng.choice(TEXTURES), 0.5, 0.5, rng.uniform(-TILT, TILT))
        candidates = (_placed(rng, thing) for _ in range(50))
        fitting = next((candidate for candidate in candidates if _fits(candidate, mover, things)), None)
        if fitting is None:
            return None
        things.append(fitting)
    return Scene((*things, mover), background, light, grain)


def _placed(rng: Random, thing: Thing, room: float = 0.0) -> Thing:
    """The thing anywhere in the picture, with `room` on all sides."""
    edge = MARGIN + thing.radius + room
    return replace(thing, x=rng.uniform(edge, 1 - edge), y=rng.uniform(edge, 1 - edge))


def _fits(thing: Thing, mover: Thing, things: list[Thing]) -> bool:
    """Whether the thing touches no other, whatever the motion, and has the clear relation that SceneVideo promises: to
    the last of the things or, if it is the first of them, to the moving thing wherever that goes."""
    # Its places in all motions form a cross; it is at its widest in the middle of it.
    far, widest = TRAVEL[1] / 2, mover.radius * math.sqrt(GROWTH[1])
    dx, dy = abs(thing.x - mover.x), abs(thing.y - mover.y)
    apart = min(math.hypot(max(dx - far, 0), dy), math.hypot(dx, max(dy - far, 0))) - mover.radius
    apart = min([apart, math.hypot(dx, dy) - widest, *(distance(thing, other) - other.radius for other in things)])
    if apart < thing.radius + GAP:
        return False
    if things:
        return side(thing, things[-1]) is not None
    return dy + far <= CLEAR * dx or dx + far <= CLEAR * dy
