"""Videos to a model's inputs: frames that were sampled already."""

import os
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from sightline.errors import UsageError, WrongType
from sightline.models.features import BatchFeature
from sightline.models.image_processor import ImageProcessor


class VideoMAEImageProcessor(ImageProcessor):
    """A pixel profile for videos. `num_frames`: how many frames each must have; None for any number."""

    kind: ClassVar[str] = "VideoMAE"
    takes_videos: ClassVar[bool] = True
    num_frames: int | None = None

    def __call__(self, images: Any, **changes: Any) -> BatchFeature:
        """Videos to `pixel_values`: lists of float32 (3, height, width), or one (videos, frames, 3, height, width).

        `images`: one video or a list of videos; a video is a list of pictures as `ImageProcessor` takes them, or an
        array or a tensor with four dimensions; where any number of frames will do, also a single picture. `changes` as
        there. Raises ImageError, UsageError for a video of another number of frames than the checkpoint's, an empty
        one, and a picture that is given as a video.
        """
        profile, options = self._changed(changes)
        if options.do_pad:
            raise UsageError("videos are not filled up: do_pad is for images; leave do_center_crop on")
        if self.num_frames is None and not isinstance(images, (list, tuple)) and _is_image(images):
            images = [images]
        videos = _as_videos(images)
        for number, video in enumerate(videos):
            if len(video) != (self.num_frames or max(len(video), 1)):
                expected = "at least 1" if self.num_frames is None else f"the {self.num_frames} of the checkpoint"
                raise UsageError(f"video {number} has {len(video)} frames, not {expected}")
        values = [options.laid_out(value) for value in self._values([list(v) for v in videos], profile, options)]
        ends = np.cumsum([0, *map(len, videos)]).tolist()
        parts = [values[start:end] for start, end in pairwise(ends)]
        if not options.return_tensors:
            return BatchFeature({"pixel_values": parts})
        unequal = "videos of different sizes or numbers of frames"
        if len({value.shape for value in values}) != 1:
            raise UsageError(f"{unequal} (or none) make no tensor; leave do_center_crop on")
        return options.feature([np.stack(part) for part in parts], unequal)


def _as_videos(value: Any) -> list[Any]:
    """A video or several as a list of videos, each a list of pictures or an array of them. Raises UsageError."""
    if _is_image(value):
        raise WrongType("an image is no video: give a list of frames, as many as the checkpoint takes")
    is_list = isinstance(value, (list, tuple))
    if _is_video(value) and (not is_list or (value and all(map(_is_image, value)))):
        return [value]
    videos = list(value) if is_list or len(getattr(value, "shape", ())) == 5 else [value]
    if not videos:
        raise UsageError("no videos: the list is empty")
    for video in videos:
        if _is_image(video):
            raise UsageError("a list of videos holds an image: give frames (one video) or lists of frames")
        if not _is_video(video):
            raise WrongType(f"a video is a list of frames, not {type(video).__name__}")
    return videos


def _is_image(value: Any) -> bool:
    return isinstance(value, (Image.Image, str, os.PathLike)) or len(getattr(value, "shape", ())) in (2, 3)


def _is_video(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or len(getattr(value, "shape", ())) == 4
