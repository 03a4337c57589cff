"""ALIGN's processor."""

from typing import ClassVar

from sightline.models.processor import Processor


class AlignProcessor(Processor):
    """Text and pictures to the inputs of an `AlignModel`."""

    max_positions: ClassVar[int] = 512
