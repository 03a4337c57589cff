"""Short films: one thing of a scene moves, the others stand still.

Where, how large and which way up the thing is in the middle of a film is drawn before its motion and without regard to
it: with every motion the middle frame is the same. Nearer the film's ends a frame does tell something to one who knows
when it was: what moves left starts more to the right, and what appears cannot be there from the start.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from PIL import Image

from sightline.scenes.kinds import BACKGROUNDS, COLORS, HELD_OUT, LIGHTS, MOTIONS, SHAPES, SIZES, TEXTURES
from sightline.scenes.sampler import GAP, MARGIN, TILT
from sightline.scenes.scene import CLEAR, Scene, Thing, distance, side

SECONDS = 2.0
# From the slowest to the fastest, over a whole film.
TRAVEL = (0.2, 0.28)  # share of the picture's side
TURN = (2.0, 3.2)  # radians
GROWTH = (1.5, 1.9)  # times
# When a thing appears, as a share of the film; what vanishes does so as long before the end.
MOMENT = (0.15, 0.4)
HOPS = 2
# Of the moving thing when it is drawn, so that no size belongs to growing or shrinking alone.
SCALES = (0.55, 1.2)
# A turned circle or ring looks as before; neither ever moves, so that no motion lacks a shape.
MOVERS: tuple[str, ...] = tuple(shape for shape in SHAPES if shape not in ("circle", "ring"))


@dataclass(frozen=True)
class Film:
    """A film before it is drawn. The last of the scene's things moves; the scene shows it in the film's middle.
    `pace`, 0 to 1, is how far it goes, how much it turns or grows, how late it appears. The first of the others has
    the same clear relation to the moving one at all times, each further one to the one before it."""

    scene: Scene
    motion: str
    pace: float

    @property
    def thing(self) -> Thing:
        """The one that moves."""
        return self.scene.things[-1]

    @property
    def caption(self) -> str:
        """The full description."""
        return self.captions[0]

    @property
    def captions(self) -> tuple[str, ...]:
        """The full description first, then others, all true. With another `motion` they differ in its words alone."""
        from sightline.scenes.captions import narrate

        return narrate(self)

    def at(self, time: float) -> Thing | None:
        """The moving thing at a time from 0 to 1; None while it is not there."""
        thing, since = self.thing, time - 0.5
        travel = _between(TRAVEL, self.pace)
        sign = 1 if self.scene.grain % 2 else -1
        match self.motion:
            case "left":
                return replace(thing, x=thing.x - travel * since)
            case "right":
                return replace(thing, x=thing.x + travel * since)
            case "up":
                return replace(thing, y=thing.y - travel * since)
            case "down":
                return replace(thing, y=thing.y + travel * since)
            case "spins":
                return replace(thing, angle=thing.angle + sign * _between(TURN, self.pace) * since)
            case "grows":
                return replace(thing, scale=thing.scale * _between(GROWTH, self.pace) ** since)
            case "shrinks":
                return replace(thing, scale=thing.scale / _between(GROWTH, self.pace) ** since)
            case "bounces":
                return replace(thing, y=thing.y - travel * _hop(since, sign))
            case "appears":
                return thing if time >= _between(MOMENT, self.pace) else None
            case "vanishes":
                return thing if time < 1 - _between(MOMENT, self.pace) else None
        raise ValueError(f"No motion is called {self.motion!r}. There are: {', '.join(MOTIONS)}.")

    def frames(self, count: int, size: int) -> list[Image.Image]:
        """`count` pictures, "RGB", `size` pixels square: frame i shows the time (i + 0.5) / count."""
        return list(self.draw(count, size))

    def write(self, path: str | Path, size: int = 224, rate: int = 25) -> None:
        """An MP4 file (H.264) of SECONDS seconds with `rate` frames each, of a quality at which no loss is seen.
        `size` has to be even."""
        write([self], path, size, rate)

    def draw(self, count: int, size: int) -> Iterator[Image.Image]:
        """`frames`, one at a time."""
        from sightline.scenes.drawing import Stage

        stage = Stage(replace(self.scene, things=self.scene.things[:-1]), size)
        for i in range(count):
            thing = self.at((i + 0.5) / count)
            yield stage.with_thing(thing) if thing else stage.picture.copy()


def sample(seed: int, index: int = 0) -> Film:
    """Film `index` of `seed`: one to three things, none of them a held-out pair of shape and color."""
    return _film(Random(f"films/{seed}/{index}"), held_out=False)


def unseen(seed: int, index: int = 0) -> Film:
    """A film for tests: `sample` gives none of them, and in every second one a thing of a held-out pair moves."""
    return _film(Random(f"unseen films/{seed}/{index}"), held_out=index % 2 == 0)


def distinct(count: int, seed: int) -> list[Film]:
    """The first `count` unseen films of `seed` whose full captions all differ."""
    found: dict[str, Film] = {}
    index = 0
    while len(found) < count:
        film = unseen(seed, index)
        found.setdefault(film.caption, film)
        index += 1
    return list(found.values())


def write(films: Iterable[Film], path: str | Path, size: int = 224, rate: int = 25) -> None:
    """Films one after another in one file; see `Film.write`."""
    import av

    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=rate, options={"crf": "10"})
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for film in films:
            for picture in film.draw(round(SECONDS * rate), size):
                out.mux(stream.encode(av.VideoFrame.from_image(picture)))
        out.mux(stream.encode())


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + share * (ends[1] - ends[0])


def _hop(since: float, sign: int) -> float:
    """Height of a hopping thing, from about -0.5 to 0.5 and 0 in the film's middle, on its way up or down there."""
    beat = (since * HOPS + 0.5 - sign * math.sqrt(0.125)) % 1
    return 0.5 - (2 * beat - 1) ** 2


def _film(rng: Random, held_out: bool) -> Film:
    motion, pace, count = rng.choice(tuple(MOTIONS)), rng.random(), rng.choices((1, 2, 3), weights=(2, 4, 4))[0]
    grain = rng.getrandbits(32)
    while True:
        scene = _attempt(rng, count, held_out, grain)
        if scene is not None:
            return Film(scene, motion, pace)


def _attempt(rng: Random, count: int, held_out: bool, grain: int) -> Scene | None:
    """One throw of the dice; None where colors are lost on the background or the things don't fit."""
    background, light = rng.choice(sorted(BACKGROUNDS)), rng.choice(sorted(LIGHTS))
    kinds = [rng.choice([pair for pair in sorted(HELD_OUT) if pair[0] in MOVERS])] if held_out else []
    while len(kinds) < count:
        kind = rng.choice(SHAPES if kinds else MOVERS), rng.choice(sorted(COLORS))
        if kind not in kinds and kind not in HELD_OUT:
            kinds.append(kind)
    if any(color in BACKGROUNDS[background].clashes for _, color in kinds):
        return None
    (shape, color), *others = kinds
    mover = Thing(shape, color, "medium", rng.choice(TEXTURES), 0.5, 0.5, rng.uniform(-math.pi, math.pi))
    mover = _moved(rng, replace(mover, scale=rng.uniform(*SCALES)), room=TRAVEL[1] / 2)
    things: list[Thing] = []
    for shape, color in others:
        thing = Thing(shape, color, rng.choice(tuple(SIZES)), rng.choice(TEXTURES), 0.5, 0.5, rng.uniform(-TILT, TILT))
        places = (_moved(rng, thing) for _ in range(50))
        found = next((place for place in places if _fits(place, mover, things)), None)
        if found is None:
            return None
        things.append(found)
    return Scene((*things, mover), background, light, grain)


def _moved(rng: Random, thing: Thing, room: float = 0.0) -> Thing:
    """The thing anywhere in the picture, with so much room on all sides."""
    edge = MARGIN + thing.radius + room
    return replace(thing, x=rng.uniform(edge, 1 - edge), y=rng.uniform(edge, 1 - edge))


def _fits(thing: Thing, mover: Thing, things: list[Thing]) -> bool:
    """Whether the thing touches none, whatever the motion, and has a clear relation to the last of the things; or if
    it is the first of them, to the moving one, and keeps it wherever that one goes."""
    # The moving one may go along a cross; at its widest it stays in the middle.
    far, widest = TRAVEL[1] / 2, mover.radius * math.sqrt(GROWTH[1])
    dx, dy = abs(thing.x - mover.x), abs(thing.y - mover.y)
    apart = min(math.hypot(max(dx - far, 0), dy), math.hypot(dx, max(dy - far, 0))) - mover.radius
    apart = min([apart, math.hypot(dx, dy) - widest, *(distance(thing, other) - other.radius for other in things)])
    if apart < thing.radius + GAP:
        return False
    if things:
        return side(thing, things[-1]) is not None
    return dy + far <= CLEAR * dx or dx + far <= CLEAR * dy
