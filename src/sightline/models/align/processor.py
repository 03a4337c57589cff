"""ALIGN's processor."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from sightline.models.processor import Processor


class AlignProcessor(Processor):
    """Text and pictures to the inputs of an `AlignModel`. Texts are filled up to 64 tokens, and not cut."""

    max_positions: ClassVar[int] = 512
    text_kwargs: ClassVar[Mapping[str, Any]] = MappingProxyType({"padding": "max_length", "max_length": 64})
