"""Text and images to a model's inputs, called as `transformers` calls its processors."""

import os
from pathlib import Path
from typing import Any, ClassVar, Self

from sightline.checkpoint.hub import resolve
from sightline.errors import UsageError
from sightline.files import write_json
from sightline.models.features import BatchFeature
from sightline.models.image_processor import ImageProcessor
from sightline.models.text_length import text_length
from sightline.models.text_options import DEFAULTS, checked
from sightline.models.text_processor import Text, TextProcessor
from sightline.models.tokenizer_kinds import open_tokenizer
from sightline.models.vocabulary import check_folder
from sightline.processing.image.profile import PixelProfile


class Processor:
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
        return open_tokenizer(folder, text_length(folder) or cls.max_positions)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Writes what `from_pretrained` and `transformers` read: the settings and the tokenizer, no weights."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        settings = self.image_processor.to_dict()
        nested = {"image_processor": settings, "processor_class": type(self).__name__}
        write_json(folder / "processor_config.json", nested)
        write_json(folder / "preprocessor_config.json", settings)  # for release 4 and for other tools
        self.tokenizer.save_pretrained(folder)

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
        checked(changes, {**DEFAULTS, **self.image_processor.to_dict()})
        texts = {name: changes.pop(name) for name in DEFAULTS if name in changes}
        inputs = BatchFeature()
        if text is not None:
            inputs |= self.tokenizer(
                text,
                padding=self.padding if padding is None else padding,
                truncation=truncation,
                max_length=self.max_length if max_length is None else max_length,
                return_tensors=return_tensors,
                **texts,
            )
        if images is not None:
            inputs |= self.image_processor(images, return_tensors=return_tensors, **changes)
        return inputs

    def decode(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """The text of a sequence of ids."""
        return self.tokenizer.decode(ids, skip_special_tokens)

    def batch_decode(self, ids: Any, skip_special_tokens: bool = False) -> list[str]:
        """The texts of several sequences of ids."""
        return self.tokenizer.batch_decode(ids, skip_special_tokens)
