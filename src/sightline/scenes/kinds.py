"""The words that scenes and videos are made of, and what each looks like: colors, sizes, textures, backgrounds..."""

from dataclasses import dataclass

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Background:
    """How captions name a backdrop, and the colors that would be lost on it."""

    phrase: str
    clashes: frozenset[str]


@dataclass(frozen=True)
class Light:
    """How a scene is lit.

    `towards` is the direction in which the light travels in the picture (x right, y down), of length 1 at most; `tint`
    multiplies red, green and blue; `falloff`, 0 to 1, is how much darker the far side of the picture is.
    """

    phrase: str
    towards: tuple[float, float]
    tint: RGB
    falloff: float


COLORS: dict[str, RGB] = {
    "red": (0.85, 0.13, 0.14),
    "orange": (0.98, 0.51, 0.09),
    "yellow": (1.00, 0.85, 0.18),
    "green": (0.17, 0.62, 0.25),
    "turquoise": (0.16, 0.77, 0.75),
    "blue": (0.13, 0.33, 0.86),
    "purple": (0.48, 0.20, 0.71),
    "pink": (0.98, 0.55, 0.74),
    "brown": (0.47, 0.27, 0.13),
    "white": (0.97, 0.97, 0.96),
    "grey": (0.54, 0.55, 0.57),
    "black": (0.10, 0.10, 0.12),
}
_HELD_OUT_COLORS: dict[str, str] = {
    "circle": "purple",
    "square": "pink",
    "triangle": "blue",
    "diamond": "green",
    "star": "green",
    "heart": "yellow",
    "cross": "black",
    "moon": "orange",
    "ring": "brown",
    "arrow": "white",
    "drop": "purple",
    "flower": "grey",
    "house": "turquoise",
    "fish": "red",
}
"""Each shape, with the color that it has in no training scene."""

SHAPES: tuple[str, ...] = tuple(_HELD_OUT_COLORS)
HELD_OUT: frozenset[tuple[str, str]] = frozenset(_HELD_OUT_COLORS.items())
"""Pairs that no training scene contains: they test whether a model knows shapes and colors independently."""

SIZES: dict[str, float] = {"small": 0.11, "medium": 0.16, "large": 0.235}
"""The radius of the disc that a thing fills, as a share of the picture's side."""

TEXTURES: tuple[str, ...] = ("plain", "striped", "dotted", "checkered")

BACKGROUNDS: dict[str, Background] = {
    "paper": Background("on white paper", frozenset({"white"})),
    "graph": Background("on graph paper", frozenset({"white"})),
    "wood": Background("on a wooden table", frozenset({"brown", "orange"})),
    "grass": Background("on green grass", frozenset({"green"})),
    "sand": Background("on yellow sand", frozenset({"yellow", "orange"})),
    "sky": Background("against a blue sky", frozenset({"blue", "turquoise", "white"})),
    "night": Background("against a night sky", frozenset({"black", "blue", "purple"})),
    "bricks": Background("on a brick wall", frozenset({"red", "brown", "orange"})),
    "tiles": Background("on a tiled floor", frozenset({"grey", "white", "turquoise"})),
    "slate": Background("on a blackboard", frozenset({"black", "grey", "green"})),
}
LIGHTS: dict[str, Light] = {
    "day": Light("in daylight", (0.35, 0.6), (1.0, 1.0, 1.0), 0.06),
    "left": Light("lit from the left", (1.0, 0.12), (1.05, 1.04, 1.0), 0.62),
    "right": Light("lit from the right", (-1.0, 0.12), (1.05, 1.04, 1.0), 0.62),
    "spot": Light("under a spotlight", (0.0, 0.25), (1.10, 1.08, 1.02), 0.75),
    "evening": Light("in evening light", (0.55, 0.45), (1.07, 0.82, 0.56), 0.18),
    "moon": Light("in moonlight", (-0.35, 0.6), (0.50, 0.60, 0.88), 0.18),
}

MOTIONS: dict[str, str] = {
    "left": "moving left",
    "right": "moving right",
    "up": "moving up",
    "down": "moving down",
    "spins": "spinning",
    "grows": "growing",
    "shrinks": "shrinking",
    "bounces": "bouncing",
    "appears": "appearing",
    "vanishes": "vanishing",
}
"""What one thing of a video does while the others stand still."""
