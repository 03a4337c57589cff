"""X-CLIP's processor: films as frames that were sampled already."""

import os
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from sightline.errors import UsageError
from sightline.models.features import BatchFeature, tensors
from sightline.models.processor import ImageProcessor, Processor, Text
from sightline.models.xclip.config import XCLIPVisionConfig
from sightline.processing.image.profile import PixelProfile
from sightline.processing.video.sampling import sample_frames


class VideoProcessor(ImageProcessor):
    """A pixel profile for films. `num_frames`: how many frames each must have; None where nobody knows."""

    def __init__(self, profile: PixelProfile, num_frames: int | None = None) -> None:
        super().__init__(profile)
        self.num_frames = num_frames

    def __call__(self, images: Any, *, return_tensors: str | None = None, **changes: Any) -> BatchFeature:
        """Films to `pixel_values`: lists of float32 (3, height, width), or one (films, frames, 3, height, width).

        `images`: one film or a list of films; a film is a list of pictures as `ImageProcessor` takes them, or an array
        or a tensor with four dimensions. `changes` as there. Raises ImageError, UsageError for a film of another
        number of frames than the checkpoint's, an empty one, and a picture that is given as a film.
        """
        films = _films(images)
        for number, film in enumerate(films):
            if len(film) != (self.num_frames or max(len(film), 1)):
                wanted = "at least 1" if self.num_frames is None else f"the {self.num_frames} of the checkpoint"
                raise UsageError(f"film {number} has {len(film)} frames, not {wanted}")
        values = super().__call__([list(film) for film in films], **changes).pixel_values
        ends = np.cumsum([0, *map(len, films)]).tolist()
        parts = [values[start:end] for start, end in pairwise(ends)]
        if not return_tensors:
            return BatchFeature(pixel_values=parts)
        if len({value.shape for value in values}) != 1 or len(set(map(len, parts))) != 1:
            raise UsageError("films of different sizes or numbers of frames (or none) make no tensor")
        shape = (len(parts), len(parts[0]), *values[0].shape)
        return tensors({"pixel_values": np.stack(values).reshape(shape)}, return_tensors)

    preprocess = __call__


class XCLIPProcessor(Processor):
    """Text and films to the inputs of an `XCLIPModel`."""

    max_positions: ClassVar[int] = 77
    image_processor: VideoProcessor

    @classmethod
    def images(cls, folder: Path) -> VideoProcessor:
        """The checkpoint's processing of frames, and how many it wants of a film if there is a config beside it."""
        known = (folder / "config.json").is_file()
        frames = XCLIPVisionConfig.from_folder(folder).num_frames if known else None
        return VideoProcessor(PixelProfile.from_folder(folder), frames)

    @property
    def video_processor(self) -> ImageProcessor:
        """Another name for `image_processor`."""
        return self.image_processor

    def sample(self, path: str | os.PathLike[str], start: float = 0.0, end: float | None = None) -> list[Image.Image]:
        """A film's frames, one of each of as many equal parts (of the time between `start` and `end`, in seconds) as
        the checkpoint takes. Raises VideoError; UsageError where no config says how many."""
        frames = self.image_processor.num_frames
        if frames is None:
            raise UsageError("no config.json beside this processor says how many frames the model takes")
        return sample_frames(path, frames, start, end)

    def __call__(
        self, images: Any = None, text: Text | None = None, videos: Any = None, **options: Any
    ) -> BatchFeature:
        """Text, films or both to a model's inputs. `videos` and `images` are two names for films, one of which counts.

        Films as `VideoProcessor` takes them; `options` as `Processor`'s. Raises ImageError, UsageError.
        """
        if images is not None and videos is not None:
            raise UsageError("videos and images are two names for films: give one of them")
        return super().__call__(videos if images is None else images, text, **options)


def _films(given: Any) -> list[Any]:
    """One film or several as a list of films, each a list of pictures or an array of them. Raises UsageError."""
    if _is_picture(given):
        raise UsageError("a picture is no film: give a list of frames, as many as the checkpoint takes")
    if _is_video(given) and (not isinstance(given, (list, tuple)) or (given and all(map(_is_picture, given)))):
        return [given]
    films = list(given) if isinstance(given, (list, tuple)) or len(getattr(given, "shape", ())) == 5 else [given]
    if not films:
        raise UsageError("no films: the list is empty")
    for film in films:
        if _is_picture(film):
            raise UsageError("a list of films holds a picture: give frames (one film) or lists of frames")
        if not _is_video(film):
            raise UsageError(f"a film is a list of frames, not {type(film).__name__}")
    return films


def _is_picture(given: Any) -> bool:
    return isinstance(given, (Image.Image, str, os.PathLike)) or len(getattr(given, "shape", ())) in (2, 3)


def _is_video(given: Any) -> bool:
    return isinstance(given, (list, tuple)) or len(getattr(given, "shape", ())) == 4
