"""Where a moving thing is at each time of a video."""

import math
from dataclasses import replace

from sightline.scenes.kinds import MOTIONS
from sightline.scenes.layout import Thing

# From the slowest to the fastest motion, over a whole video.
TRAVEL = (0.2, 0.28)
"""Shares of the picture's side."""

TURN = (2.0, 3.2)
"""Radians."""

GROWTH = (1.5, 1.9)
"""Times the size at the start."""

MOMENT = (0.15, 0.4)
"""When a thing appears, as a share of the video; a thing vanishes as long before the end."""

HOPS = 2


def move(thing: Thing, motion: str, pace: float, time: float, direction: int) -> Thing | None:
    """The thing at `time`, 0 to 1, of a video that shows it as `thing` in its middle; None while it is out of sight.

    `motion` is a key of MOTIONS. `pace`, 0 to 1, is how far the thing goes, how much it turns or grows, how late it
    appears. `direction`, 1 or -1, is the way in which it spins and begins to hop. Raises ValueError for other motions.
    """
    elapsed = time - 0.5
    travel = _between(TRAVEL, pace)
    match motion:
        case "left":
            return replace(thing, x=thing.x - travel * elapsed)
        case "right":
            return replace(thing, x=thing.x + travel * elapsed)
        case "up":
            return replace(thing, y=thing.y - travel * elapsed)
        case "down":
            return replace(thing, y=thing.y + travel * elapsed)
        case "spins":
            return replace(thing, angle=thing.angle + direction * _between(TURN, pace) * elapsed)
        case "grows":
            return replace(thing, scale=thing.scale * _between(GROWTH, pace) ** elapsed)
        case "shrinks":
            return replace(thing, scale=thing.scale / _between(GROWTH, pace) ** elapsed)
        case "bounces":
            return replace(thing, y=thing.y - travel * _hop(elapsed, direction))
        case "appears":
            return thing if time >= _between(MOMENT, pace) else None
        case "vanishes":
            return thing if time < 1 - _between(MOMENT, pace) else None
    raise ValueError(f"No motion is called {motion!r}. The motions are: {', '.join(MOTIONS)}.")


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + share * (ends[1] - ends[0])


def _hop(elapsed: float, direction: int) -> float:
    """Height of a hopping thing, from about -0.5 to 0.5; 0 in the video's middle, going up or down by `direction`."""
    phase = (elapsed * HOPS + 0.5 - direction * math.sqrt(0.125)) % 1
    return 0.5 - (2 * phase - 1) ** 2
