"""Drawn pictures and videos with captions: any number, free to use, and every word of a caption is known to be true."""

from sightline.scenes.kinds import BACKGROUNDS, COLORS, HELD_OUT, LIGHTS, MOTIONS, SHAPES, SIZES, TEXTURES
from sightline.scenes.layout import Thing
from sightline.scenes.sampler import distinct, sample, unseen
from sightline.scenes.scene import Scene
from sightline.scenes.video_sampler import distinct_videos, sample_video, unseen_video
from sightline.scenes.videos import SceneVideo, write_video

__all__ = [
    "BACKGROUNDS",
    "COLORS",
    "HELD_OUT",
    "LIGHTS",
    "MOTIONS",
    "SHAPES",
    "SIZES",
    "TEXTURES",
    "Scene",
    "SceneVideo",
    "Thing",
    "distinct",
    "distinct_videos",
    "sample",
    "sample_video",
    "unseen",
    "unseen_video",
    "write_video",
]
