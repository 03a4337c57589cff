"""Processors by what a checkpoint's files say they are."""

import os
from pathlib import Path
from typing import Any

from sightline.checkpoint.hub import resolve
from sightline.compat.tokenizers import AutoTokenizer
from sightline.errors import CheckpointError, UsageError
from sightline.files import read_checkpoint_json
from sightline.models.families import FAMILIES
from sightline.models.image_processors import image_processor_class
from sightline.models.places import take_place

_FILES = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json", "config.json")
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "vocab.txt")
_IMAGE_FILES = ("processor_config.json", "preprocessor_config.json", "open_clip_config.json")


class AutoImageProcessor:
    """Opens a checkpoint's image processor as the class that its files name."""

    def __init__(self) -> None:
        raise _no_instances(self)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any) -> Any:
        """As `CLIPImageProcessor.from_pretrained`. Raises CheckpointError, UsageError."""
        folder = _folder(pretrained_model_name_or_path, options)
        return image_processor_class(folder).from_pretrained(pretrained_model_name_or_path, **options)


class AutoFeatureExtractor(AutoImageProcessor):
    """`AutoImageProcessor` by the name that it had before release 4.27."""


class AutoVideoProcessor:
    """Opens a checkpoint's processing of videos."""

    def __init__(self) -> None:
        raise _no_instances(self)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any) -> Any:
        """As `VideoMAEImageProcessor.from_pretrained`. Raises CheckpointError, for a checkpoint of images, too, and
        UsageError."""
        folder = _folder(pretrained_model_name_or_path, options)
        kind = image_processor_class(folder)
        if not kind.takes_videos:
            raise CheckpointError(f"{folder}: takes images; open it with AutoImageProcessor")
        return kind.from_pretrained(pretrained_model_name_or_path, **options)


class AutoProcessor:
    """Opens a checkpoint's processor as the class that its files name, else as its model's; where there are files for
    one part only, that part: the image processor or the tokenizer."""

    def __init__(self) -> None:
        raise _no_instances(self)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any) -> Any:
        """As `CLIPProcessor.from_pretrained`. Raises CheckpointError, UsageError."""
        name = pretrained_model_name_or_path
        folder = _folder(name, options)
        has_texts = any((folder / file).is_file() for file in _TOKENIZER_FILES)
        has_images = any((folder / file).is_file() for file in _IMAGE_FILES)
        if has_images and not has_texts:
            return AutoImageProcessor.from_pretrained(name, **options)
        if has_texts and not has_images:
            return AutoTokenizer.from_pretrained(name, **options)
        files = {file: read_checkpoint_json(folder / file) for file in _FILES if (folder / file).is_file()}
        classes = {family.processor.__name__: family.processor for family in FAMILIES.values()}
        for data in files.values():
            if data.get("processor_class") in classes:
                return classes[data["processor_class"]].from_pretrained(name, **options)
        is_open_clip = (folder / "open_clip_config.json").is_file()  # whose models are CLIPs
        kind = str(files.get("config.json", {}).get("model_type", "clip" if is_open_clip else None))
        if kind not in FAMILIES:
            raise CheckpointError(
                f"{folder}: its files name no processor (processor_class, or model_type in config.json: {kind}); open "
                f"it as what it is, with one of {', '.join(classes)}"
            )
        return FAMILIES[kind].processor.from_pretrained(name, **options)


def _folder(name: str | os.PathLike[str], options: dict[str, Any]) -> Path:
    path = resolve(name, weights=False, **take_place(options)[0])
    return path if path.is_dir() else path.parent


def _no_instances(auto: Any) -> UsageError:
    name = type(auto).__name__
    return UsageError(f"{name} opens checkpoints: write {name}.from_pretrained(name_or_folder)")
