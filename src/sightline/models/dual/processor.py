"""The processor of any two towers."""

import os
from typing import Any, ClassVar, Self

from sightline.checkpoint.hub import resolve
from sightline.models.processor import Processor


class VisionTextDualEncoderProcessor(Processor):
    """Text and pictures to the inputs of a `VisionTextDualEncoderModel`."""

    max_positions: ClassVar[int] = 512

    @classmethod
    def from_towers(cls, image: str | os.PathLike[str], text: str | os.PathLike[str], **where: Any) -> Self:
        """The image processing of a checkpoint and the tokenizer of another: those of the model's `from_towers`.

        `where`: `resolve`'s arguments. Raises `CheckpointError`.
        """
        folders = (resolve(name, weights=False, **where) for name in (image, text))
        images, texts = (path if path.is_dir() else path.parent for path in folders)
        return cls(cls.images(images), cls.texts(texts))
