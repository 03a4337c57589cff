"""What an encoder takes as an image and as a video, and the frames by which it sees a video."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.encoder.lists import as_list, is_missing, place
from sightline.errors import UsageError, VideoError
from sightline.processing.image.formats import is_animation
from sightline.processing.image.reading import open_image
from sightline.processing.image.sources import (
    ImageSource,
    file_bytes,
    is_address,
    is_image_source,
    is_pixels,
    source_name,
)
from sightline.processing.suffixes import can_be_animated, is_image
from sightline.processing.video import sampling
from sightline.processing.video.animation import sample_animation

ImageInput = ImageSource
Segment = tuple[str | os.PathLike[str], float, float]
"""A path with start and end in seconds."""
VideoInput = str | os.PathLike[str] | bytes | memoryview | BinaryIO | NDArray[Any] | Sequence[ImageSource] | Segment
"""Also a torch tensor of frames."""

FRAMES = 8
"""Frames of a video, or of a moment of it, that an image model sees."""


class Missing:
    """Stands for an item of a list that is None or not a number: reading it is an error like any other."""


def check_images(images: Iterable[ImageInput]) -> list[Any]:
    """The images as a list, with `Missing` for missing ones. Raises `UsageError` for a single image in place of a list,
    and for other types."""
    if isinstance(images, Image.Image) or 0 < _dimensions(images) < 4:
        raise UsageError("encode_images takes a list of images, not one image: put it into a list, [image]")
    listed = as_list("encode_images", "image", images)
    for number, image in enumerate(listed):
        if is_missing(image):
            listed[number] = Missing()
        elif not is_image_source(image):
            flat = ": give a flat list" if isinstance(image, list | tuple) else ""
            raise UsageError(
                f"{place(number, len(listed))}: type {type(image).__name__} is not an image{flat}: give a path, bytes, "
                "an open file, a PIL image, or an array or tensor (H, W, 3) or (3, H, W)"
            )
    return listed


def check_videos(videos: Iterable[VideoInput], frames: int | None) -> list[Any]:
    """The videos as a list, with `Missing` for missing ones. Raises `UsageError` for a single video in place of a list,
    for other types, and for a list of frames whose length is not `frames` (None: any length)."""
    if isinstance(videos, Image.Image) or 0 < _dimensions(videos) < 5:
        raise UsageError("encode_videos takes a list of videos, not one video: put it into a list, [video]")
    listed = as_list("encode_videos", "video", videos)
    for number, video in enumerate(listed):
        if is_missing(video):
            listed[number] = Missing()
        elif problem := _problem(video, frames):
            raise UsageError(f"{place(number, len(listed))}: {problem}")
    return listed


def _dimensions(items: Any) -> int:
    """Of an array or a tensor of numbers; 0 for anything else, an array of paths among it."""
    is_paths = isinstance(items, np.ndarray) and items.dtype.kind in "OUS"
    return items.ndim if is_pixels(items) and not is_paths else 0


def _problem(video: Any, frames: int | None) -> str | None:
    """Why it is no video; None if it is one."""
    if isinstance(video, Image.Image) or (is_pixels(video) and _dimensions(video) != 4):
        return "an image is not a video: give frames (T, H, W, 3), a list of images, or use encode_images"
    if isinstance(video, str | os.PathLike):
        is_still = is_image(video) and not (can_be_animated(video) and _is_animation(video))
        return f"{os.fspath(video)} is an image, not a video: use encode_images" if is_still else None
    if isinstance(video, bytes | bytearray | memoryview) or hasattr(video, "read"):
        return None
    if _is_segment(video):
        _, start, end = video
        if not all(isinstance(time, int | float | np.number) for time in (start, end)):
            return f"a part of a video is (path, start, end) with times in seconds, not ({video[0]}, {start}, {end})"
        if not 0 <= start < end < float("inf"):
            return f"a video from {start} to {end} seconds: the end must come after the start, from 0 on"
        return None
    if not is_pixels(video) and not isinstance(video, list | tuple):
        return f"type {type(video).__name__} is not a video: give a path, bytes, (path, start, end) or frames"
    if others := [frame for frame in video if not isinstance(frame, Image.Image) and not is_pixels(frame)]:
        return f"type {type(others[0]).__name__} is not a frame of a video: give PIL images, arrays or tensors"
    if not len(video):
        return "a video without a frame"
    if frames is not None and len(video) != frames:
        return f"a video of {len(video)} frames, but the checkpoint takes {frames}: sample as many"
    return None


def video_frames(video: VideoInput, count: int, short_side: int) -> list[Image.Image]:
    """`count` frames, one of each equal part of the video; of a list of frames at most as many as it holds. Raises
    `VideoError` for a video that cannot be read."""
    if isinstance(video, str) and is_address(video):
        raise VideoError(source_name(video), "an address, not a file: download it first")
    if isinstance(video, bytearray | memoryview):
        video = bytes(video)
    elif hasattr(video, "read"):
        video = file_bytes(cast(BinaryIO, video))
    if isinstance(video, str | os.PathLike | bytes):
        sample = sample_animation if _is_animation(video) else sampling.sample_frames
        return sample(video, count, short_side=short_side)
    if _is_segment(video):
        path, start, end = video
        if _is_animation(path):
            return sample_animation(path, count, start, end, short_side)
        length = sampling.duration(path)
        if start >= length:
            raise VideoError(str(path), f"it ends at {length:.2f} seconds, before {start:g}")
        return sampling.sample_frames(path, count, start, min(end, length), short_side=short_side)
    frames = cast(Sequence[ImageSource], video)
    count = min(count, len(frames))
    return [open_image(frames[(2 * i + 1) * len(frames) // (2 * count)]) for i in range(count)]


def _is_animation(source: str | os.PathLike[str] | bytes) -> bool:
    return is_animation(source if isinstance(source, bytes) else Path(source))


def _is_segment(video: VideoInput) -> TypeGuard[Segment]:
    """Whether it is (path, start, end)."""
    return isinstance(video, tuple) and len(video) == 3 and isinstance(video[0], str | os.PathLike)
