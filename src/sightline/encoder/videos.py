"""What counts as a film for an encoder, and the frames that it is seen by."""

import os
from collections.abc import Sequence
from typing import Any, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.errors import UsageError, VideoError
from sightline.processing.image.reading import open_image
from sightline.processing.suffixes import is_image
from sightline.processing.video import sampling

Picture = Image.Image | NDArray[Any]
Part = tuple[str | os.PathLike[str], float, float]
Film = str | os.PathLike[str] | bytes | NDArray[Any] | Sequence[Picture] | Part

FRAMES = 8
"""Frames that stand for a film, or for a moment of one, before a model for pictures."""


def check_video(given: Film, wanted: int | None) -> None:
    """Raises `UsageError` for what is no film, and for frames that are not as many as `wanted` (None: any number)."""
    if isinstance(given, Image.Image) or (isinstance(given, np.ndarray) and given.ndim != 4):
        raise UsageError("a picture is no film: give frames (T, H, W, 3), a list of pictures, or use encode_images")
    if isinstance(given, str | os.PathLike):
        if is_image(given):
            raise UsageError(f"{os.fspath(given)} is a picture, no film: use encode_images")
        return
    if isinstance(given, bytes):
        return
    if _is_part(given):
        _, start, end = given
        if not 0 <= start < end < float("inf"):
            raise UsageError(f"a film from {start} to {end} seconds: the end must come after the start, from 0 on")
        return
    if not isinstance(given, np.ndarray | list | tuple):
        raise UsageError(f"a {type(given).__name__} is no film: give a path, bytes, (path, start, end) or its frames")
    if strange := [one for one in given if not isinstance(one, Image.Image | np.ndarray)]:
        raise UsageError(f"a {type(strange[0]).__name__} is no frame of a film: give PIL images or arrays")
    if not len(given):
        raise UsageError("a film without a frame")
    if wanted is not None and len(given) != wanted:
        raise UsageError(f"a film of {len(given)} frames, but the checkpoint takes {wanted}: sample so many")


def video_frames(given: Film, count: int, short_side: int) -> list[Image.Image]:
    """`count` frames, one of each equal part of the film; of frames that are given, at most so many.

    Raises `VideoError` for a film that cannot be read.
    """
    if isinstance(given, str | os.PathLike | bytes):
        return sampling.sample_frames(given, count, short_side=short_side)
    if _is_part(given):
        path, start, end = given
        length = sampling.duration(path)
        if start >= length:
            raise VideoError(str(path), f"it ends at {length:.2f} seconds, before {start:g}")
        return sampling.sample_frames(path, count, start, min(end, length), short_side=short_side)
    pictures = cast(Sequence[Picture], given)
    most = min(count, len(pictures))
    return [open_image(pictures[(2 * i + 1) * len(pictures) // (2 * most)]) for i in range(most)]


def _is_part(given: Film) -> TypeGuard[Part]:
    """Whether it is (path, start, end)."""
    return isinstance(given, tuple) and len(given) == 3 and isinstance(given[0], str | os.PathLike)
