"""ALIGN's processor."""

from typing import ClassVar

from sightline.models.processor import Processor


class AlignProcessor(Processor):
    """Text and pictures to the inputs of an `AlignModel`. Texts are filled up to 64 tokens, and not cut."""

    max_positions: ClassVar[int] = 512
    padding: ClassVar[bool | str] = "max_length"
    max_length: ClassVar[int | None] = 64
