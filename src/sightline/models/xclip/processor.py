"""X-CLIP's processor: videos as frames that were sampled already."""

import os
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from sightline.errors import UsageError
from sightline.models.features import BatchFeature, tensors
from sightline.models.image_processor import ImageProcessor
from sightline.models.processor import Processor
from sightline.models.text_processor import Text
from sightline.models.xclip.config import XCLIPVisionConfig
from sightline.processing.image.profile import PixelProfile
from sightline.processing.video.sampling import sample_frames


class VideoProcessor(ImageProcessor):
    """A pixel profile for videos. `num_frames`: how many frames each must have; None for any number."""

    takes_videos: ClassVar[bool] = True

    def __init__(self, profile: PixelProfile, num_frames: int | None = None) -> None:
        super().__init__(profile)
        self.num_frames = num_frames

    def __call__(self, images: Any, *, return_tensors: str | None = None, **changes: Any) -> BatchFeature:
        """Videos to `pixel_values`: lists of float32 (3, height, width), or one (videos, frames, 3, height, width).

        `images`: one video or a list of videos; a video is a list of pictures as `ImageProcessor` takes them, or an
        array or a tensor with four dimensions. `changes` as there. Raises ImageError, UsageError for a video of another
        number of frames than the checkpoint's, an empty one, and a picture that is given as a video.
        """
        videos = _as_videos(images)
        for number, video in enumerate(videos):
            if len(video) != (self.num_frames or max(len(video), 1)):
                expected = "at least 1" if self.num_frames is None else f"the {self.num_frames} of the checkpoint"
                raise UsageError(f"video {number} has {len(video)} frames, not {expected}")
        values = super().__call__([list(video) for video in videos], **changes).pixel_values
        ends = np.cumsum([0, *map(len, videos)]).tolist()
        parts = [values[start:end] for start, end in pairwise(ends)]
        if not return_tensors:
            return BatchFeature(pixel_values=parts)
        if len({value.shape for value in values}) != 1 or len(set(map(len, parts))) != 1:
            raise UsageError("videos of different sizes or numbers of frames (or none) make no tensor")
        shape = (len(parts), len(parts[0]), *values[0].shape)
        return tensors({"pixel_values": np.stack(values).reshape(shape)}, return_tensors)

    preprocess = __call__


class XCLIPProcessor(Processor):
    """Text and videos to the inputs of an `XCLIPModel`."""

    max_positions: ClassVar[int] = 77
    image_processor: VideoProcessor

    @classmethod
    def images(cls, folder: Path) -> VideoProcessor:
        """The checkpoint's processing of frames, and the number of frames if there is a config beside it."""
        known = (folder / "config.json").is_file()
        frames = XCLIPVisionConfig.from_folder(folder).num_frames if known else None
        return VideoProcessor(PixelProfile.from_folder(folder), frames)

    @property
    def video_processor(self) -> ImageProcessor:
        """The reference's name for `image_processor`."""
        return self.image_processor

    def sample(self, path: str | os.PathLike[str], start: float = 0.0, end: float | None = None) -> list[Image.Image]:
        """A video's frames, one of each of as many equal parts (of the time between `start` and `end`, in seconds) as
        the checkpoint takes. Raises VideoError; UsageError where no config says how many."""
        frames = self.image_processor.num_frames
        if frames is None:
            raise UsageError("no config.json beside this processor says how many frames the model takes")
        return sample_frames(path, frames, start, end)

    def __call__(
        self, images: Any = None, text: Text | None = None, videos: Any = None, **options: Any
    ) -> BatchFeature:
        """Text, videos or both to a model's inputs. The videos may be passed as `videos` or as `images`.

        Videos as `VideoProcessor` takes them; `options` as `Processor`'s. Raises ImageError, UsageError.
        """
        if images is not None and videos is not None:
            raise UsageError("videos and images mean the same here: give one of them")
        return super().__call__(videos if images is None else images, text, **options)


def _as_videos(value: Any) -> list[Any]:
    """A video or several as a list of videos, each a list of pictures or an array of them. Raises UsageError."""
    if _is_image(value):
        raise UsageError("an image is no video: give a list of frames, as many as the checkpoint takes")
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
            raise UsageError(f"a video is a list of frames, not {type(video).__name__}")
    return videos


def _is_image(value: Any) -> bool:
    return isinstance(value, (Image.Image, str, os.PathLike)) or len(getattr(value, "shape", ())) in (2, 3)


def _is_video(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or len(getattr(value, "shape", ())) == 4
