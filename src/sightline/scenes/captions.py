"""The grammar that puts a scene or a film into English. Every sentence is true of what it tells of."""

from itertools import pairwise
from random import Random

from sightline.scenes.films import Film
from sightline.scenes.kinds import BACKGROUNDS, LIGHTS, MOTIONS
from sightline.scenes.sampler import path
from sightline.scenes.scene import Scene, Thing

RELATIONS: dict[str, str] = {
    "left": "to the left of",
    "right": "to the right of",
    "above": "above",
    "below": "below",
    "front": "in front of",
    "behind": "behind",
    "inside": "inside",
    "around": "around",
}
NUMBERS = ("no", "one", "two", "three", "four")
# Other words for the same; used everywhere but in the full caption.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "to the left of": ("left of", "on the left of"),
    "to the right of": ("right of", "on the right of"),
    "above": ("over",),
    "below": ("under", "beneath"),
    "inside": ("in",),
    "small": ("little", "tiny"),
    "large": ("big", "huge"),
    "medium": ("medium-sized", "middle-sized"),
    "plain": ("solid", "plain-coloured"),
    "striped": ("stripy",),
    "dotted": ("spotted", "polka-dot"),
    "checkered": ("checked", "chequered"),
    "turquoise": ("teal", "cyan"),
    "purple": ("violet",),
    "grey": ("gray",),
    "circle": ("disc",),
    "moon": ("crescent", "crescent moon"),
    "cross": ("plus",),
    "ring": ("hoop",),
    "drop": ("teardrop",),
    "in daylight": ("by day", "in the daytime"),
    "in evening light": ("in the evening", "at sunset"),
    "in moonlight": ("at night", "by moonlight"),
    "under a spotlight": ("in a spotlight",),
    "lit from the left": ("with light from the left",),
    "lit from the right": ("with light from the right",),
    "moving left": ("going left", "sliding to the left", "drifting left"),
    "moving right": ("going right", "sliding to the right", "drifting right"),
    "moving up": ("going up", "rising", "floating upwards"),
    "moving down": ("going down", "sinking", "falling"),
    "spinning": ("rotating", "turning round"),
    "growing": ("getting bigger", "getting larger"),
    "shrinking": ("getting smaller",),
    "bouncing": ("hopping", "jumping up and down"),
    "appearing": ("popping up", "showing up"),
    "vanishing": ("disappearing",),
    "on white paper": ("on paper", "on a sheet of paper"),
    "on a wooden table": ("on wood", "on a table"),
    "on green grass": ("on grass", "on a lawn"),
    "on yellow sand": ("on sand", "on a beach"),
    "against a blue sky": ("in the sky", "in a blue sky with clouds"),
    "against a night sky": ("in a starry sky", "in front of the stars"),
    "on a brick wall": ("on bricks",),
    "on a tiled floor": ("on tiles",),
    "on a blackboard": ("on a chalkboard", "on slate"),
}


class Speaker:
    """Words for scenes; `free` ones vary their words, others always take the first."""

    def __init__(self, rng: Random, free: bool) -> None:
        self.rng, self.free = rng, free

    def word(self, word: str) -> str:
        return self.rng.choice((word, word, *SYNONYMS.get(word, ()))) if self.free else word

    def noun(self, thing: Thing, *parts: str) -> str:
        """ "red star", with those of "size" and "texture" that are asked for (and of "color", if any is)."""
        words = [getattr(thing, part) for part in ("size", "texture", "color") if part in parts]
        return " ".join(map(self.word, (*words, thing.shape)))

    def name(self, thing: Thing, *parts: str) -> str:
        noun = self.noun(thing, *parts)
        return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"

    def relation(self, scene: Scene, a: int, b: int) -> str:
        return self.word(RELATIONS[scene.relation(a, b) or ""])

    def chain(self, scene: Scene, *parts: str) -> str:
        """Every thing once, each placed by the one before it: "a star left of a ring, which is above a fish"."""
        order = path(scene, self.rng) or ()
        return self.name(scene.things[order[0]], *parts) + self.follow(scene, order, *parts)

    def follow(self, scene: Scene, order: tuple[int, ...], *parts: str) -> str:
        """What comes after the first thing of a chain."""
        return "".join(
            f"{', which is' if step else ''} {self.relation(scene, a, b)} {self.name(scene.things[b], *parts)}"
            for step, (a, b) in enumerate(pairwise(order))
        )

    def moving(self, film: Film, *parts: str) -> str:
        """ "a red star moving left": the moving thing, whose size is never told as it may change."""
        parts = tuple(part for part in parts if part != "size")
        return f"{self.name(film.thing, *parts)} {self.word(MOTIONS[film.motion])}"

    def story(self, film: Film, *parts: str) -> str:
        """Everything in the film, the moving thing first: "a star moving left, above a ring, which is..."."""
        last = len(film.scene.things) - 1
        rest = self.follow(film.scene, (last, *range(last)), *parts)
        return self.moving(film, *parts) + (rest and f",{rest}")

    def list(self, scene: Scene, *parts: str) -> str:
        names = [self.name(thing, *parts) for thing in self.rng.sample(scene.things, len(scene.things))]
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

    def background(self, scene: Scene) -> str:
        return self.word(BACKGROUNDS[scene.background].phrase)

    def light(self, scene: Scene) -> str:
        return self.word(LIGHTS[scene.light].phrase)


def describe(scene: Scene) -> tuple[str, ...]:
    """The full description, then eleven more, from rich to a word or two."""
    everything = ("size", "texture", "color")
    exact = Speaker(Random(scene.grain), free=False)
    rng = Random(scene.grain + 1)
    say = Speaker(rng, free=True)
    some = [part for part in everything if rng.random() < 0.6] or ["color"]
    thing, other = rng.choice(scene.things), rng.choice(scene.things)
    count = len(scene.things)
    full = f"{exact.chain(scene, *everything)}, {exact.background(scene)}, {exact.light(scene)}"
    setting = [say.background(scene), say.light(scene)]
    rng.shuffle(setting)
    first = rng.randrange(count)
    second = next((i for i in rng.sample(range(count), count) if i != first and scene.relation(first, i)), None)
    pair = (
        say.name(scene.things[first], *some)
        if second is None
        else f"{say.name(scene.things[first], *some)} {say.relation(scene, first, second)} "
        f"{say.name(scene.things[second], *some)}"
    )
    return (
        full,
        f"{say.chain(scene, *everything)}, {setting[0]}, {setting[1]}",
        f"{setting[0]}, {setting[1]}: {say.chain(scene, *everything)}",
        say.chain(scene, *everything),
        say.chain(scene, "color"),
        f"{say.list(scene, *some)} {say.background(scene)}",
        say.list(scene, "color"),
        pair,
        say.name(thing, *some),
        say.name(thing, "color"),
        say.noun(other, "color"),
        f"{say.name(other, 'color')} {say.background(scene)}",
        rng.choice(
            (
                f"{NUMBERS[count]} {'thing' if count == 1 else 'things'} {setting[0]}",
                f"something {say.noun(other, 'color').split()[0]} {say.light(scene)}",
                f"{say.name(thing)}",
                f"a picture of {say.name(thing, 'color')}",
            )
        ),
    )


def narrate(film: Film) -> tuple[str, ...]:
    """The full description of a film, then eight more, from rich to a few words; each tells the motion."""
    everything = ("size", "texture", "color")
    scene = film.scene
    exact = Speaker(Random(scene.grain), free=False)
    rng = Random(scene.grain + 1)
    say = Speaker(rng, free=True)
    some = [part for part in ("texture", "color") if rng.random() < 0.6] or ["color"]
    setting = [say.background(scene), say.light(scene)]
    rng.shuffle(setting)
    return (
        f"{exact.story(film, *everything)}, {exact.background(scene)}, {exact.light(scene)}",
        f"{say.story(film, *everything)}, {setting[0]}, {setting[1]}",
        f"{setting[0]}, {setting[1]}: {say.story(film, *everything)}",
        say.story(film, *everything),
        say.story(film, "color"),
        f"{say.moving(film, *some)} {say.background(scene)}",
        say.moving(film, *some),
        say.moving(film, "color"),
        rng.choice(
            (
                f"something {film.thing.color} {say.word(MOTIONS[film.motion])}",
                f"a film of {say.moving(film, 'color')}",
                say.moving(film),
            )
        ),
    )
