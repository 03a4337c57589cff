"""Drawn pictures and films with captions: endless, free to use, and every word about them is known to be true."""

from sightline.scenes import films
from sightline.scenes.films import Film
from sightline.scenes.kinds import BACKGROUNDS, COLORS, HELD_OUT, LIGHTS, MOTIONS, SHAPES, SIZES, TEXTURES
from sightline.scenes.sampler import distinct, sample, unseen
from sightline.scenes.scene import Scene, Thing

__all__ = [
    "BACKGROUNDS",
    "COLORS",
    "HELD_OUT",
    "LIGHTS",
    "MOTIONS",
    "SHAPES",
    "SIZES",
    "TEXTURES",
    "Film",
    "Scene",
    "Thing",
    "distinct",
    "films",
    "sample",
    "unseen",
]
