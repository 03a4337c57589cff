"""An image processor's settings as attributes and in files."""

import os
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from PIL.Image import Resampling

from sightline.checkpoint.hub import resolve
from sightline.errors import CheckpointError, UsageError
from sightline.files import json_text, read_checkpoint_json, write_text
from sightline.models.image_options import OPTIONS, ImageOptions
from sightline.models.places import take_place
from sightline.models.publishing import Published, new_folder, send_saved
from sightline.models.sizes import SizeDict
from sightline.models.suggestions import check_names
from sightline.processing.image.preprocessor_config import InvalidSettingError, find_settings
from sightline.processing.image.profile import PixelProfile

_LABELS = {"image_processor_type", "feature_extractor_type", "processor_class"}
"""Keys of a checkpoint's file that say which class reads it."""
_FILE = "preprocessor_config.json"


class ImageSettings(Published):
    """An image processor's settings: attributes, named as in the checkpoint's file; what is assigned holds from then
    on. The part of `ImageProcessor` that knows of files."""

    kind: ClassVar[str] = "CLIP"
    """The name of the class in files, without "ImageProcessor"."""
    default_to_square: ClassVar[bool] = False
    """Whether a plain number as `size` is both sides, or the shortest edge."""

    def __init__(self, **settings: Any) -> None:
        """`settings` as in a checkpoint's file; what is left out is the class's, and so is a value that is None; a
        switch that is None is off. Raises UsageError."""
        self._settings: dict[str, Any] = {}
        self._options = ImageOptions()
        self._profile = self._assign({})
        self._change({name: value for name, value in settings.items() if name not in _LABELS})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, return_unused_kwargs: bool = False, **overrides: Any) -> Any:
        """From the contents of a checkpoint's file, whose unknown keys become attributes, and `overrides` of them.

        With `return_unused_kwargs` unknown overrides come back, (processor, {name: value}), else they raise UsageError.
        """
        base = cls()
        given = {name: value for name, value in data.items() if name in base.setting_names and value is not None}
        found = cls(**given)
        for name, value in data.items():
            if name not in _LABELS and name not in base.setting_names and found._is_own(name):
                object.__setattr__(found, name, value)
        unused = {name: value for name, value in overrides.items() if name not in base.setting_names}
        if not return_unused_kwargs:
            check_names(unused, base.setting_names, "setting")
        found._change({name: value for name, value in overrides.items() if name in base.setting_names})
        return (found, unused) if return_unused_kwargs else found

    @classmethod
    def from_pretrained(cls, name_or_folder: str | os.PathLike[str], **options: Any) -> Any:
        """From a folder, its file of preprocessing, a packaged model or a Hub name.

        `options`: where to look (as `Processor.from_pretrained`), settings that replace the file's, and
        `return_unused_kwargs` as in `from_dict`. Raises CheckpointError, UsageError.
        """
        place, overrides = take_place(options)
        found = cls._from_file(*_file_settings(name_or_folder, place))
        return cls.from_dict(found.to_dict(), **overrides)

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """From the file of preprocessing in a checkpoint's folder. Raises CheckpointError."""
        return cls._from_file(*find_settings(folder))

    @classmethod
    def _from_file(cls, path: Path, data: Mapping[str, Any]) -> Self:
        try:
            PixelProfile.from_dict({**data, "image_processor_type": f"{cls.kind}ImageProcessor", "do_pad": False})
            found: Self = cls.from_dict(data)
        except (InvalidSettingError, UsageError) as error:
            raise CheckpointError(f"{path}: {error}") from None
        return found

    @classmethod
    def get_image_processor_dict(
        cls, name_or_folder: str | os.PathLike[str], **options: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the checkpoint's file says, and those of `options` that don't say where to look."""
        place, rest = take_place(options)
        return dict(_file_settings(name_or_folder, place)[1]), rest

    @classmethod
    def from_json_file(cls, json_file: str | os.PathLike[str]) -> Self:
        """From a checkpoint's file. Raises CheckpointError."""
        found: Self = cls.from_pretrained(json_file)
        return found

    @property
    def profile(self) -> PixelProfile:
        """What happens to pixels, as the settings say now."""
        if (self.size, self.crop_size) != self._sizes:  # a side of a size has been set
            self._profile = self._assign({})
        return self._profile

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):  # those are missing while being unpickled
            if name in self._settings:
                return self._settings[name]
            if name in OPTIONS:
                return getattr(self._options, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or (name not in self.setting_names and hasattr(type(self), name)):
            super().__setattr__(name, value)
        elif name not in self.setting_names and not get_close_matches(name, self.setting_names, 1):
            super().__setattr__(name, value)  # a script's own, and no slip
        elif name == "default_to_square":
            raise UsageError("default_to_square says what a plain number as size means: assign size as a dictionary")
        else:
            self._change({name: value})

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(type(self))  # settings change, and equal ones must have equal hashes

    def _is_own(self, name: str) -> bool:
        """Whether an attribute is a script's, or of a key in a file that means nothing here."""
        return not (name.startswith("_") or hasattr(type(self), name))

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string()}"

    def to_dict(self) -> dict[str, Any]:
        """The settings as a checkpoint's file holds them, with the attributes that a script has set besides."""
        profile = self.profile.to_dict()
        means = {name: tuple(profile[name]) for name in ("image_mean", "image_std")}
        own = {name: value for name, value in vars(self).items() if self._is_own(name)}
        return own | profile | means | self._options.to_dict()

    def to_json_string(self) -> str:
        """The settings as the text of a checkpoint's file."""
        return json_text(self.to_dict(), indent=2, sort_keys=True) + "\n"

    def to_json_file(self, json_file_path: str | os.PathLike[str]) -> None:
        """Writes the settings as a checkpoint's file."""
        write_text(Path(json_file_path), self.to_json_string())

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **options: Any
    ) -> list[str]:
        """Writes `preprocessor_config.json`, which `from_pretrained` and `transformers` read; gives its path.

        `push_to_hub` sends the folder to `repo_id`, by default the folder's name; `options` are those of the method
        `push_to_hub`. Raises HubError, UsageError.
        """
        folder = new_folder(save_directory)
        self.to_json_file(folder / _FILE)
        send_saved(type(self).__name__, folder, push_to_hub, options)
        return [str(folder / _FILE)]

    @property
    def setting_names(self) -> list[str]:
        """What can be assigned, and given to a call."""
        return [*self._settings, *(name for name in OPTIONS if name not in self._settings), "default_to_square"]

    def _change(self, changes: Mapping[str, Any]) -> None:
        """Settings replaced for good. Raises UsageError, and leaves all as it was."""
        profile, options = self._changed(changes)
        self._options = options
        self._profile = self._assign(profile.to_dict())

    def _assign(self, settings: Mapping[str, Any]) -> PixelProfile:
        """Makes `settings`, or those there are, what the attributes read, and gives their profile."""
        label = {"image_processor_type": f"{self.kind}ImageProcessor"}
        profile = _profile(label | dict(settings or self._settings))
        read = profile.to_dict()
        del read["image_processor_type"], read["do_convert_rgb"]
        sizes = {name: SizeDict(read[name]) for name in ("size", "crop_size")}
        means = {name: tuple(read[name]) for name in ("image_mean", "image_std")}
        self._settings = read | sizes | means | {"resample": Resampling(read["resample"])}
        self._sizes = (SizeDict(self.size), SizeDict(self.crop_size))
        return profile

    def _changed(self, changes: Mapping[str, Any]) -> tuple[PixelProfile, ImageOptions]:
        """The profile and the options with some of their values replaced. Raises UsageError."""
        profile = self.profile
        if not changes:
            return profile, self._options
        check_names(changes, self.setting_names, "setting")
        options = {name: value for name, value in changes.items() if name in OPTIONS and value is not None}
        settings = {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in changes.items()
            if name in self._settings
        }
        for name, value in list(settings.items()):
            if value is None and isinstance(self._settings[name], bool):
                settings[name] = False
            elif value is None:
                del settings[name]
        size = settings.get("size")
        if changes.get("default_to_square") is not None and isinstance(size, int):
            settings["size"] = [size, size] if changes["default_to_square"] else {"shortest_edge": size}
        if settings:
            profile = _profile(profile.to_dict() | settings)
        return profile, self._options.changed(options) if options else self._options


def _profile(settings: Mapping[str, Any]) -> PixelProfile:
    """The profile of these settings. A negative `rescale_factor`, which no file may have, is a call's affair."""
    factor: Any = settings.get("rescale_factor")
    is_negative = isinstance(factor, int | float) and factor < 0
    try:
        profile = PixelProfile.from_dict({**settings, "rescale_factor": -factor} if is_negative else settings)
    except InvalidSettingError as error:
        raise UsageError(str(error)) from None
    return replace(profile, rescale_factor=float(factor)) if is_negative else profile


def _file_settings(name: str | os.PathLike[str], place: Mapping[str, Any]) -> tuple[Path, Mapping[str, Any]]:
    """The file of preprocessing that a name stands for, and what it says. Raises CheckpointError."""
    path = resolve(name, weights=False, **place)
    if path.is_file() and path.suffix == ".json":
        data = read_checkpoint_json(path)
        return path, data.get("image_processor") or data
    return find_settings(path if path.is_dir() else path.parent)
