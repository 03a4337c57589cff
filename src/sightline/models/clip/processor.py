"""CLIP's processor."""

from typing import ClassVar

from sightline.models.processor import Processor


class CLIPProcessor(Processor):
    """Text and pictures to the inputs of a `CLIPModel`."""

    max_positions: ClassVar[int] = 77
