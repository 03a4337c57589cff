"""Text and images to a model's inputs, called as `transformers` calls its processors."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NoReturn, Self

from sightline.checkpoint.hub import resolve
from sightline.errors import UsageError
from sightline.files import json_text, write_json
from sightline.models.call_arguments import sorted_arguments
from sightline.models.features import BatchFeature
from sightline.models.image_processor import ImageProcessor
from sightline.models.image_processors import image_processor_class
from sightline.models.places import take_place
from sightline.models.publishing import Published, new_folder, send_saved
from sightline.models.suggestions import check_names
from sightline.models.text_calls import Text
from sightline.models.text_length import text_length
from sightline.models.text_processor import SETTINGS, TextProcessor
from sightline.models.tokenizer_kinds import open_tokenizer
from sightline.models.vocabulary import check_folder
from sightline.processing.tokenizer_files import CALL_SETTINGS

_FILE = "processor_config.json"


class Processor(Published):
    """A checkpoint's text and image processing together. The base of every family's processor."""

    max_positions: ClassVar[int]
    """The longest text in tokens, if no file says it."""
    text_kwargs: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """The defaults of a call's arguments for texts, where they are not the tokenizer's."""
    skip_tensor_conversion: ClassVar[tuple[str, ...]] = ()
    """The names of inputs that are never tensors: there are none."""
    chat_template: ClassVar[None] = None
    """These models hold no conversations."""

    def __init__(self, image_processor: ImageProcessor, tokenizer: TextProcessor) -> None:
        """Raises UsageError for parts that are none of Sightline's, or in the wrong order."""
        for part, kind, name in (
            (image_processor, ImageProcessor, "image_processor"),
            (tokenizer, TextProcessor, "tokenizer"),
        ):
            if not isinstance(part, kind):
                raise UsageError(
                    f"{type(self).__name__}(image_processor, tokenizer): {name} is of {type(part).__module__}."
                    f"{type(part).__name__}; give one that sightline opened"
                )
        self.image_processor = image_processor
        self.tokenizer = tokenizer

    @classmethod
    def get_attributes(cls) -> list[str]:
        """The names of the parts, in the order in which the class takes them."""
        return ["image_processor", "tokenizer"]

    @classmethod
    def from_pretrained(cls, name_or_folder: str | os.PathLike[str], **options: Any) -> Self:
        """Opens a folder, a packaged model or a Hub name; weights are not fetched.

        `options`: where to look (`revision`, `local_files_only`, `cache_dir`, as `checkpoint.hub.resolve`), settings of
        the image processor and of the tokenizer that replace the files'; `image_processor` or `tokenizer` itself, in
        place of the checkpoint's; `use_fast`, `backend` and `trust_remote_code` have no effect. Raises CheckpointError,
        UsageError.
        """
        place, overrides = take_place(options)
        parts = {name: overrides.pop(name) for name in cls.get_attributes() if overrides.get(name) is not None}
        path = resolve(name_or_folder, weights=False, **place)
        folder = path if path.is_dir() else path.parent
        texts = parts["tokenizer"] if "tokenizer" in parts else cls.texts(folder)
        check_folder(folder, texts.tokenizer)
        images = parts["image_processor"] if "image_processor" in parts else cls.images(folder)
        check_names(overrides, [*images.setting_names, *SETTINGS], "setting")
        for name, value in overrides.items():
            if name in CALL_SETTINGS:
                texts.call_settings[name] = value
            else:
                setattr(images if name in images.setting_names else texts, name, value)
        return cls(images, texts)

    @classmethod
    def images(cls, folder: Path) -> ImageProcessor:
        """The checkpoint's image processing. Raises CheckpointError."""
        return image_processor_class(folder).from_folder(folder)

    @classmethod
    def texts(cls, folder: Path) -> TextProcessor:
        """The checkpoint's tokenizer. Raises CheckpointError."""
        return open_tokenizer(folder, text_length(folder) or cls.max_positions)

    def to_dict(self) -> dict[str, Any]:
        """The contents of `processor_config.json`: all settings but the tokenizer's, which has files of its own."""
        return {"image_processor": self.image_processor.to_dict(), "processor_class": type(self).__name__}

    def to_json_string(self) -> str:
        """The text of `processor_config.json`."""
        return json_text(self.to_dict(), indent=2, sort_keys=True) + "\n"

    def to_json_file(self, json_file_path: str | os.PathLike[str]) -> None:
        """Writes `to_dict` to a file."""
        write_json(Path(json_file_path), self.to_dict())

    def __repr__(self) -> str:
        parts = f"- image_processor: {self.image_processor!r}\n- tokenizer: {self.tokenizer!r}"
        return f"{type(self).__name__}:\n{parts}\n\n{self.to_json_string()}"

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **options: Any
    ) -> list[str]:
        """Writes what `from_pretrained` and `transformers` read: the settings and the tokenizer, no weights. Gives the
        path of the processor's own file. `push_to_hub`, `options` as an image processor's. Raises HubError, UsageError.
        """
        folder = new_folder(save_directory)
        self.to_json_file(folder / _FILE)
        self.image_processor.save_pretrained(folder)  # for release 4 and for other tools
        self.tokenizer.save_pretrained(folder)
        send_saved(type(self).__name__, folder, push_to_hub, options)
        return [str(folder / _FILE)]

    @property
    def model_input_names(self) -> list[str]:
        """The names of a model's inputs."""
        return [*self.image_processor.model_input_names, *self.tokenizer.model_input_names]

    def __call__(self, images: Any = None, text: Text | None = None, **options: Any) -> BatchFeature:
        """Text, pictures or both to a model's inputs. `options` are `tokenizer`'s and `image_processor`'s arguments;
        one that both have, `return_tensors` say, goes to both.

        `text_kwargs` and `images_kwargs` are dictionaries of arguments for one of them. The tokenizer's arguments
        default to its `call_settings`, then the class's `text_kwargs`. Raises ImageError, UsageError (for an argument
        that neither has, too).
        """
        usual = {**self.text_kwargs, **self.tokenizer.call_settings}
        for_text, for_images = sorted_arguments(options, usual, self.image_processor.setting_names)
        if images is None and text is None:
            raise UsageError(f"{type(self).__name__} needs text, images or both")
        if isinstance(images, str) and text is not None and not isinstance(text, str | list | tuple):
            raise UsageError("images come first, then text: name them, text=..., images=...")
        inputs = BatchFeature()
        if text is not None:
            inputs |= self.tokenizer(text, **for_text)
        if images is not None:
            inputs |= self.image_processor(images, **for_images)
        return inputs

    def decode(self, *args: Any, **kwargs: Any) -> Any:
        """The text of a sequence of ids; arguments as the tokenizer's."""
        return self.tokenizer.decode(*args, **kwargs)

    def batch_decode(self, *args: Any, **kwargs: Any) -> list[str]:
        """The texts of several sequences of ids; arguments as the tokenizer's."""
        return self.tokenizer.batch_decode(*args, **kwargs)

    def apply_chat_template(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises UsageError: these models hold no conversations."""
        raise UsageError(f"{type(self).__name__} has no chat template: give texts as text=...")
