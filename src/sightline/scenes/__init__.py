"""Drawn pictures with captions: endless, free to use, and every word about them is known to be true."""

from sightline.scenes.kinds import BACKGROUNDS, COLOURS, HELD_OUT, LIGHTS, SHAPES, SIZES, TEXTURES
from sightline.scenes.sampler import distinct, sample, unseen
from sightline.scenes.scene import Scene, Thing

__all__ = [
    "BACKGROUNDS",
    "COLOURS",
    "HELD_OUT",
    "LIGHTS",
    "SHAPES",
    "SIZES",
    "TEXTURES",
    "Scene",
    "Thing",
    "distinct",
    "sample",
    "unseen",
]
