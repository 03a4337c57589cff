"""The processor of any two towers."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from sightline.checkpoint.hub import resolve
from sightline.files import read_checkpoint_json
from sightline.models.families import TOWERS
from sightline.models.processor import Processor
from sightline.models.text_processor import TextProcessor
from sightline.processing.tokenizer import Tokenizer


class VisionTextDualEncoderProcessor(Processor):
    """Text and pictures to the inputs of a `VisionTextDualEncoderModel`."""

    max_positions: ClassVar[int] = 512

    @classmethod
    def texts(cls, folder: Path) -> TextProcessor:
        path = folder / "config.json"
        data = read_checkpoint_json(path) if path.is_file() else {}
        inner = data.get("text_config")
        text = inner if isinstance(inner, Mapping) else data
        kind = TOWERS.get(str(text.get("model_type")))
        if kind is None or kind.part != "text_config":
            return super().texts(folder)
        return TextProcessor(Tokenizer.from_folder(folder, kind.config.from_dict(text).max_tokens))

    @classmethod
    def from_towers(cls, image: str | os.PathLike[str], text: str | os.PathLike[str], **where: Any) -> Self:
        """The image processing of a checkpoint and the tokenizer of another: those of the model's `from_towers`.

        `where`: `resolve`'s arguments. Raises `CheckpointError`.
        """
        folders = (resolve(name, weights=False, **where) for name in (image, text))
        images, texts = (path if path.is_dir() else path.parent for path in folders)
        return cls(cls.images(images), cls.texts(texts))
