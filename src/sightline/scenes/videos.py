"""Short videos: one thing of a scene moves, the others stand still.

The place, size and angle that the thing has in the middle of a video are drawn before its motion and independently of
it: with every motion the middle frame is the same. Nearer to the ends a frame does hint at the motion when its time is
known: what moves left starts more to the right, and what appears is missing at the start.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
from PIL import Image

from sightline.scenes.captions import narrate
from sightline.scenes.drawing import Stage
from sightline.scenes.kinds import MOTIONS
from sightline.scenes.layout import Thing
from sightline.scenes.scene import Scene

SECONDS = 2.0
"""How long a written video lasts."""

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


@dataclass(frozen=True)
class SceneVideo:
    """A video before it is drawn.

    The last of the scene's things moves; the scene shows it as it is in the video's middle. `motion` and `pace`: see
    `move`. The first of the other things has the same clear relation to the moving thing at all times, each
    further thing has a clear relation to the thing before it.
    """

    scene: Scene
    motion: str
    pace: float

    @property
    def thing(self) -> Thing:
        """The moving thing."""
        return self.scene.things[-1]

    @property
    def caption(self) -> str:
        """The full description."""
        return self.captions[0]

    @property
    def captions(self) -> tuple[str, ...]:
        """The full description, then eight others, all true. Another `motion` changes only the words for it."""
        return narrate(self.scene, self.motion)

    def at(self, time: float) -> Thing | None:
        """The moving thing at a time from 0 to 1; None while it is out of sight."""
        return move(self.thing, self.motion, self.pace, time, direction=1 if self.scene.grain % 2 else -1)

    def frames(self, count: int, size: int) -> list[Image.Image]:
        """`count` pictures, "RGB", `size` pixels square: frame i shows the time (i + 0.5) / count."""
        return list(self.draw(count, size))

    def draw(self, count: int, size: int) -> Iterator[Image.Image]:
        """The pictures of `frames`, each drawn when it is asked for."""
        stage = Stage(replace(self.scene, things=self.scene.things[:-1]), size)
        for i in range(count):
            thing = self.at((i + 0.5) / count)
            yield stage.with_thing(thing) if thing else stage.picture.copy()


def write_video(videos: Iterable[SceneVideo], path: str | Path, size: int = 224, rate: int = 25) -> None:
    """Videos one after another in an MP4 file (H.264), of a quality at which no loss is visible.

    Each lasts SECONDS seconds, with `rate` frames a second, `size` pixels square; `size` has to be even.
    """
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=rate, options={"crf": "10"})
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for video in videos:
            for picture in video.draw(round(SECONDS * rate), size):
                out.mux(stream.encode(av.VideoFrame.from_image(picture)))
        out.mux(stream.encode())


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
