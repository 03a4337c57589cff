"""What an encoder takes as an image and as a video, and the frames by which it sees a video."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.errors import UsageError, VideoError
from sightline.processing.image.reading import open_image
from sightline.processing.suffixes import is_image
from sightline.processing.video import sampling

ImageInput = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any]
Frame = Image.Image | NDArray[Any]
Segment = tuple[str | os.PathLike[str], float, float]
"""A path with start and end in seconds."""
VideoInput = str | os.PathLike[str] | bytes | NDArray[Any] | Sequence[Frame] | Segment

FRAMES = 8
"""Frames of a video, or of a moment of it, that an image model sees."""


def check_images(images: Iterable[ImageInput]) -> list[ImageInput]:
    """The images as a list. Raises `UsageError` for a single image in place of a list, and for other types."""
    if isinstance(images, (str, bytes, os.PathLike, Image.Image)) or getattr(images, "ndim", 4) < 4:
        raise UsageError("encode_images takes a list of images, not one image")
    listed = list(images)
    for image in listed:
        if not isinstance(image, (str, bytes, os.PathLike, Image.Image, np.ndarray)):
            raise UsageError(
                f"type {type(image).__name__} is not an image: give a path, bytes, a PIL image or an array (H, W, 3)"
            )
    return listed


def check_videos(videos: Iterable[VideoInput], frames: int | None) -> list[VideoInput]:
    """The videos as a list. Raises `UsageError` for a single video in place of a list, for other types, and for a list
    of frames whose length is not `frames` (None: any length)."""
    if isinstance(videos, (str, bytes, os.PathLike, Image.Image, np.ndarray)):
        raise UsageError("encode_videos takes a list of videos, not one video")
    listed = list(videos)
    for video in listed:
        _check_video(video, frames)
    return listed


def _check_video(video: VideoInput, frames: int | None) -> None:
    if isinstance(video, Image.Image) or (isinstance(video, np.ndarray) and video.ndim != 4):
        raise UsageError("an image is not a video: give frames (T, H, W, 3), a list of images, or use encode_images")
    if isinstance(video, str | os.PathLike):
        if is_image(video):
            raise UsageError(f"{os.fspath(video)} is an image, not a video: use encode_images")
        return
    if isinstance(video, bytes):
        return
    if _is_segment(video):
        _, start, end = video
        if not 0 <= start < end < float("inf"):
            raise UsageError(f"a video from {start} to {end} seconds: the end must come after the start, from 0 on")
        return
    if not isinstance(video, np.ndarray | list | tuple):
        raise UsageError(
            f"type {type(video).__name__} is not a video: give a path, bytes, (path, start, end) or frames"
        )
    if others := [frame for frame in video if not isinstance(frame, Image.Image | np.ndarray)]:
        raise UsageError(f"type {type(others[0]).__name__} is not a frame of a video: give PIL images or arrays")
    if not len(video):
        raise UsageError("a video without a frame")
    if frames is not None and len(video) != frames:
        raise UsageError(f"a video of {len(video)} frames, but the checkpoint takes {frames}: sample as many")


def video_frames(video: VideoInput, count: int, short_side: int) -> list[Image.Image]:
    """`count` frames, one of each equal part of the video; of a list of frames at most as many as it holds. Raises
    `VideoError` for a video that cannot be read."""
    if isinstance(video, str | os.PathLike | bytes):
        return sampling.sample_frames(video, count, short_side=short_side)
    if _is_segment(video):
        path, start, end = video
        length = sampling.duration(path)
        if start >= length:
            raise VideoError(str(path), f"it ends at {length:.2f} seconds, before {start:g}")
        return sampling.sample_frames(path, count, start, min(end, length), short_side=short_side)
    frames = cast(Sequence[Frame], video)
    count = min(count, len(frames))
    return [open_image(frames[(2 * i + 1) * len(frames) // (2 * count)]) for i in range(count)]


def _is_segment(video: VideoInput) -> TypeGuard[Segment]:
    """Whether it is (path, start, end)."""
    return isinstance(video, tuple) and len(video) == 3 and isinstance(video[0], str | os.PathLike)
