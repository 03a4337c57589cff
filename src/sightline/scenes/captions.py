"""The grammar that describes a scene or a video in English. Every sentence is true of what is drawn."""

from itertools import pairwise
from random import Random

from sightline.scenes.kinds import BACKGROUNDS, LIGHTS, MOTIONS
from sightline.scenes.layout import Layout, Thing, relation_order

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
ATTRIBUTES = ("size", "texture", "color")
"""Of a thing, in the order of the words in English."""

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
"""Other words for the same, for all captions but the full one."""


class Speaker:
    """Words for scenes. With `vary` it draws synonyms, else it takes the words of `kinds`."""

    def __init__(self, rng: Random, vary: bool) -> None:
        self.rng, self.vary = rng, vary

    def word(self, word: str) -> str:
        return self.rng.choice((word, word, *SYNONYMS.get(word, ()))) if self.vary else word

    def noun(self, thing: Thing, *attributes: str) -> str:
        """ "red star": the shape after the values of `attributes`, in the order of ATTRIBUTES."""
        words = [getattr(thing, attribute) for attribute in ATTRIBUTES if attribute in attributes]
        return " ".join(map(self.word, (*words, thing.shape)))

    def name(self, thing: Thing, *attributes: str) -> str:
        """ "a red star"."""
        noun = self.noun(thing, *attributes)
        return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"

    def relation(self, layout: Layout, a: int, b: int) -> str:
        """ "to the left of": how thing `a` stands to thing `b`."""
        return self.word(RELATIONS[layout.relation(a, b) or ""])

    def chain(self, layout: Layout, *attributes: str) -> str:
        """Every thing once, each placed by the thing before it: "a star left of a ring, which is above a fish"."""
        order = relation_order(layout, self.rng) or ()
        return self.name(layout.things[order[0]], *attributes) + self.follow(layout, order, *attributes)

    def follow(self, layout: Layout, order: tuple[int, ...], *attributes: str) -> str:
        """What comes after the first thing of a chain: " left of a ring, which is above a fish"."""
        return "".join(
            f"{', which is' if step else ''} {self.relation(layout, a, b)} {self.name(layout.things[b], *attributes)}"
            for step, (a, b) in enumerate(pairwise(order))
        )

    def moving(self, thing: Thing, motion: str, *attributes: str) -> str:
        """ "a red star moving left", without the size, which may change."""
        attributes = tuple(attribute for attribute in attributes if attribute != "size")
        return f"{self.name(thing, *attributes)} {self.word(MOTIONS[motion])}"

    def story(self, layout: Layout, motion: str, *attributes: str) -> str:
        """Everything in a video, the moving thing first: "a star moving left, above a ring, which is..."."""
        last = len(layout.things) - 1
        others = self.follow(layout, (last, *range(last)), *attributes)
        return self.moving(layout.things[-1], motion, *attributes) + (others and f",{others}")

    def list(self, layout: Layout, *attributes: str) -> str:
        """ "a red star, a ring and a fish", in random order."""
        names = [self.name(thing, *attributes) for thing in self.rng.sample(layout.things, len(layout.things))]
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

    def background(self, layout: Layout) -> str:
        return self.word(BACKGROUNDS[layout.background].phrase)

    def light(self, layout: Layout) -> str:
        return self.word(LIGHTS[layout.light].phrase)


def describe(layout: Layout) -> tuple[str, ...]:
    """Captions of a picture: the full description, then twelve others, from rich to a word or two."""
    exact = Speaker(Random(layout.grain), vary=False)
    rng = Random(layout.grain + 1)
    say = Speaker(rng, vary=True)
    few = [attribute for attribute in ATTRIBUTES if rng.random() < 0.6] or ["color"]
    thing, other = rng.choice(layout.things), rng.choice(layout.things)
    count = len(layout.things)
    full = f"{exact.chain(layout, *ATTRIBUTES)}, {exact.background(layout)}, {exact.light(layout)}"
    setting = [say.background(layout), say.light(layout)]
    rng.shuffle(setting)
    first = rng.randrange(count)
    second = next((i for i in rng.sample(range(count), count) if i != first and layout.relation(first, i)), None)
    pair = say.name(layout.things[first], *few)
    if second is not None:
        pair += f" {say.relation(layout, first, second)} {say.name(layout.things[second], *few)}"
    return (
        full,
        f"{say.chain(layout, *ATTRIBUTES)}, {setting[0]}, {setting[1]}",
        f"{setting[0]}, {setting[1]}: {say.chain(layout, *ATTRIBUTES)}",
        say.chain(layout, *ATTRIBUTES),
        say.chain(layout, "color"),
        f"{say.list(layout, *few)} {say.background(layout)}",
        say.list(layout, "color"),
        pair,
        say.name(thing, *few),
        say.name(thing, "color"),
        say.noun(other, "color"),
        f"{say.name(other, 'color')} {say.background(layout)}",
        rng.choice(
            (
                f"{NUMBERS[count]} {'thing' if count == 1 else 'things'} {setting[0]}",
                f"something {say.noun(other, 'color').split()[0]} {say.light(layout)}",
                f"{say.name(thing)}",
                f"a picture of {say.name(thing, 'color')}",
            )
        ),
    )


def narrate(layout: Layout, motion: str) -> tuple[str, ...]:
    """Captions of a video in which the last thing of `layout` moves; `motion` is a key of MOTIONS.

    The full description, then eight others, from rich to a few words; each tells the motion.
    """
    exact = Speaker(Random(layout.grain), vary=False)
    rng = Random(layout.grain + 1)
    say = Speaker(rng, vary=True)
    few = [attribute for attribute in ("texture", "color") if rng.random() < 0.6] or ["color"]
    setting = [say.background(layout), say.light(layout)]
    rng.shuffle(setting)
    mover = layout.things[-1]
    return (
        f"{exact.story(layout, motion, *ATTRIBUTES)}, {exact.background(layout)}, {exact.light(layout)}",
        f"{say.story(layout, motion, *ATTRIBUTES)}, {setting[0]}, {setting[1]}",
        f"{setting[0]}, {setting[1]}: {say.story(layout, motion, *ATTRIBUTES)}",
        say.story(layout, motion, *ATTRIBUTES),
        say.story(layout, motion, "color"),
        f"{say.moving(mover, motion, *few)} {say.background(layout)}",
        say.moving(mover, motion, *few),
        say.moving(mover, motion, "color"),
        rng.choice(
            (
                f"something {mover.color} {say.word(MOTIONS[motion])}",
                f"a film of {say.moving(mover, motion, 'color')}",
                say.moving(mover, motion),
            )
        ),
    )
