"""Text and images to a model's inputs, called as `transformers` calls its processors."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from sightline.checkpoint.hub import resolve
from sightline.errors import UsageError
from sightline.files import read_checkpoint_json, write_json
from sightline.models.features import BatchFeature
from sightline.models.image_processor import ImageProcessor
from sightline.models.publishing import Published
from sightline.models.text_processor import Text, TextProcessor, without_fixed
from sightline.models.vocabulary import check_folder
from sightline.processing.image.profile import PixelProfile
from sightline.processing.tokenizer import Tokenizer


class Processor(Published):
    """A checkpoint's text and image processing together. The base of every family's processor."""

    max_positions: ClassVar[int]
    """The longest text in tokens, if no file says it."""
    padding: ClassVar[bool | str] = False
    """The default of a call's `padding`."""
    max_length: ClassVar[int | None] = None
    """The default of a call's `max_length`; None: the model's."""

    def __init__(self, image_processor: ImageProcessor, tokenizer: TextProcessor) -> None:
        self.image_processor = image_processor
        self.tokenizer = tokenizer

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | os.PathLike[str],
        *,
        revision: str | None = None,
        local_files_only: bool = False,
        cache_dir: str | Path | None = None,
        use_fast: bool | None = None,
    ) -> Self:
        """Opens a folder, a packaged model or a Hub name; weights are not fetched.

        `use_fast`, which chooses between the reference's implementations, has no effect.
        Raises CheckpointError, UsageError.
        """
        if use_fast not in (None, True, False):
            raise UsageError(f"use_fast={use_fast!r} is not known; there is True and False")
        path = resolve(
            name_or_folder,
            revision=revision,
            local_files_only=local_files_only,
            cache_dir=cache_dir,
            weights=False,
        )
        folder = path if path.is_dir() else path.parent
        texts = cls.texts(folder)
        check_folder(folder, texts.tokenizer)
        return cls(cls.images(folder), texts)

    @classmethod
    def images(cls, folder: Path) -> ImageProcessor:
        """The checkpoint's image processing. Raises CheckpointError."""
        return ImageProcessor(PixelProfile.from_folder(folder))

    @classmethod
    def texts(cls, folder: Path) -> TextProcessor:
        """The checkpoint's tokenizer. Raises CheckpointError."""
        return TextProcessor(Tokenizer.from_folder(folder, _positions(folder) or cls.max_positions))

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Writes what `from_pretrained` and `transformers` read: the settings and the tokenizer, no weights."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        settings = self.image_processor.to_dict()
        nested = {"image_processor": settings, "processor_class": type(self).__name__}
        write_json(folder / "processor_config.json", nested)
        write_json(folder / "preprocessor_config.json", settings)  # for release 4 and for other tools
        self.tokenizer.tokenizer.save(folder)

    def __call__(
        self,
        images: Any = None,
        text: Text | None = None,
        *,
        return_tensors: str | None = None,
        padding: bool | str | None = None,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        **changes: Any,
    ) -> BatchFeature:
        """Text, pictures or both to a model's inputs. Arguments as `tokenizer`'s and `image_processor`'s.

        `padding` and `max_length` default to the class's.

        Raises ImageError, UsageError (for an argument that neither has, too).
        """
        if images is None and text is None:
            raise UsageError(f"{type(self).__name__} needs text, images or both")
        changes = without_fixed(changes, self.image_processor.to_dict())
        inputs = BatchFeature()
        if text is not None:
            inputs |= self.tokenizer(
                text,
                padding=self.padding if padding is None else padding,
                truncation=truncation,
                max_length=self.max_length if max_length is None else max_length,
                return_tensors=return_tensors,
            )
        if images is not None:
            inputs |= self.image_processor(images, return_tensors=return_tensors, **changes)
        return inputs

    def decode(self, ids: Any, skip_special_tokens: bool = False) -> str:
        """The text of a sequence of ids."""
        return self.tokenizer.decode(ids, skip_special_tokens)

    def batch_decode(self, ids: Any, skip_special_tokens: bool = False) -> list[str]:
        """The texts of several sequences of ids."""
        return self.tokenizer.batch_decode(ids, skip_special_tokens)


def _positions(folder: Path) -> int | None:
    """The text tower's length as the model's config, of any age, has it."""
    path = folder / "config.json"
    config = read_checkpoint_json(path) if path.is_file() else {}
    towers = (config.get("text_config_dict"), config.get("text_config"))
    lengths = (tower.get("max_position_embeddings") for tower in towers if isinstance(tower, Mapping))
    return next((length for length in lengths if isinstance(length, int)), None)
