"""X-CLIP's processor: videos as frames that were sampled already."""

import os
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from sightline.errors import UsageError
from sightline.models.features import BatchFeature
from sightline.models.processor import Processor
from sightline.models.text_calls import Text
from sightline.models.video_processor import VideoMAEImageProcessor
from sightline.models.xclip.config import XCLIPVisionConfig
from sightline.processing.video.sampling import sample_frames


class XCLIPProcessor(Processor):
    """Text and videos to the inputs of an `XCLIPModel`."""

    max_positions: ClassVar[int] = 77
    image_processor: VideoMAEImageProcessor

    @classmethod
    def images(cls, folder: Path) -> VideoMAEImageProcessor:
        """The checkpoint's processing of frames, and the number of frames if there is a config beside it."""
        found = VideoMAEImageProcessor.from_folder(folder)
        if (folder / "config.json").is_file():
            found.num_frames = XCLIPVisionConfig.from_folder(folder).num_frames
        return found

    @property
    def video_processor(self) -> VideoMAEImageProcessor:
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
        """Text, videos or both to a model's inputs. The videos may be passed as `videos` or as `images`;
        where both are given, `images` counts, as in the reference.

        Videos as `VideoMAEImageProcessor` takes them; `options` as `Processor`'s, `videos_kwargs` as `images_kwargs`.
        Raises ImageError, UsageError
        (for `do_sample_frames=True`, too).
        """
        if options.pop("do_sample_frames", None):
            raise UsageError("videos are frames that were sampled before: processor.sample(path) gives them")
        if (ours := options.pop("videos_kwargs", None)) is not None:
            options["images_kwargs"] = {**ours, **(options.get("images_kwargs") or {})}
        return super().__call__(videos if images is None else images, text, **options)
