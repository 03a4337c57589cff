"""Configs: a model's settings, read from and written to a checkpoint's `config.json`.

They can be assigned to and keep further values, as scripts for `transformers` want them.
"""

import copy
import os
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

from sightline.checkpoint.hub import WHERE, resolve
from sightline.checkpoint.weight_files import no_config
from sightline.errors import UsageError
from sightline.files import json_text, read_checkpoint_json, write_text
from sightline.models.config_base import ConfigBase
from sightline.models.publishing import Published, check_publishing, new_folder, send_saved
from sightline.models.settings import UNREAD

_WITHOUT_MEANING = ("trust_remote_code", "proxies", "code_revision", "_from_auto", "_from_pipeline")
"""Arguments of `from_pretrained` that the reference takes and that change nothing here."""
_NOT_WRITTEN = ("_attn_implementation", "transformers_version")


class Config(ConfigBase, Published):
    """A config that is opened and saved. Of no kind itself, it holds whatever a `config.json` says."""

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any], return_unused_kwargs: bool = False, **overrides: Any) -> Self:
        """Reads a `config.json`'s object and sets `overrides`; those for a tower may be a dictionary of some settings.

        A key that we don't know is kept, and a warning names it. An override that the config does not know is a
        warning, or with `return_unused_kwargs` part of the second of two results. Raises `CheckpointError`.
        """
        of_all = {name: config_dict[name] for name in ("quantization_config",) if config_dict.get(name)}
        data = cls.modern(of_all | dict(cls.own(config_dict)))
        if cls.model_type and (unknown := sorted(set(data) - set(cls.kinds) - UNREAD - cls.also_known)):
            warnings.warn(f"{cls.model_type} config: unknown keys {', '.join(unknown)}", stacklevel=2)
        config = cls(**data)
        unused = config._override(overrides)
        if return_unused_kwargs:
            both: Any = (config, unused)
            return both  # type: ignore[no-any-return]
        for name in unused:
            import difflib  # here: a search does without it

            near = "".join(f"; did you mean {match}?" for match in difflib.get_close_matches(name, [*config], n=1))
            warnings.warn(f"{cls.model_type} config: {name} is no setting of it{near}", stacklevel=2)
        return config

    @classmethod
    def own(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """What of a `config.json` belongs to this class: of a whole model's, a tower's part."""
        kind = cls.model_type
        parts = (part for part in data.values() if isinstance(part, Mapping) and part.get("model_type") == kind)
        return data if data.get("model_type") in (None, kind) else next(parts, data)

    def _override(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Sets those that the config knows, and returns the others."""
        unused = {}
        for name, value in settings.items():
            own = "_attn_implementation" if name == "attn_implementation" else name
            now = getattr(self, own, None)
            if not hasattr(type(self), own) and own not in self:
                unused[name] = value
            elif isinstance(now, Config) and isinstance(value, Mapping):
                setattr(self, own, now.to_dict() | dict(value))
            elif not (own in ("dtype", "torch_dtype") and value in ("auto", None)):
                setattr(self, own, value)
        self.validate()
        return unused

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any) -> Self:
        """The config of a checkpoint, or a JSON file; a tower's config also from a whole model's.

        `options`: where to look (`revision`, `local_files_only`, `cache_dir`, `token`, `subfolder`, `force_download`)
        and `from_dict`'s. Raises `CheckpointError`.
        """
        data, options = cls.get_config_dict(pretrained_model_name_or_path, **options)
        return cls.from_dict(data, **options)

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The contents of a checkpoint's `config.json`, and those `options` that do not say where to look for it."""
        where = {name: options.pop(name) for name in WHERE if name in options}
        path = resolve(pretrained_model_name_or_path, weights=False, **where)
        rest = {name: value for name, value in options.items() if name not in _WITHOUT_MEANING}
        is_config = path.suffix == ".json" and path.is_file()
        return read_checkpoint_json(path) if is_config else _read(path if path.is_dir() else path.parent), rest

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Reads `config.json` or, if it is missing, open_clip's file. Raises `CheckpointError`."""
        return cls.from_dict(_read(folder))

    @classmethod
    def from_json_file(cls, json_file: str | os.PathLike[str]) -> Self:
        """Reads a file like `config.json`. Raises `CheckpointError`."""
        return cls.from_dict(read_checkpoint_json(Path(json_file)))

    def to_dict(self) -> dict[str, Any]:
        """All that is set, as plain values, with `model_type`."""
        data = {name: _plain(value) for name, value in vars(self).items() if name not in _NOT_WRITTEN}
        return {"model_type": self.model_type} | data

    def to_diff_dict(self) -> dict[str, Any]:
        """`to_dict` without what every config has and is at its first value: the contents of `config.json`."""
        first = _first()
        data = {n: v for n, v in self.to_dict().items() if n != "_name_or_path" and (n not in first or v != first[n])}
        return data | {name: getattr(self, name).to_diff_dict() for name in self.sub_configs}

    def to_json_string(self, use_diff: bool = True) -> str:
        """`to_diff_dict` or `to_dict` as JSON. Raises `UsageError` for a value that JSON cannot hold."""
        data = self.to_diff_dict() if use_diff else self.to_dict()
        try:
            return json_text(data, indent=2, sort_keys=True) + "\n"
        except (TypeError, ValueError) as error:
            raise UsageError(f"{self.model_type} config: a value that JSON cannot hold ({error})") from None

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string()}"

    def to_json_file(self, json_file_path: str | os.PathLike[str], use_diff: bool = True) -> None:
        """Writes `to_json_string`."""
        write_text(Path(json_file_path), self.to_json_string(use_diff))

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **publishing: Any
    ) -> None:
        """Writes `config.json` into a folder; with `push_to_hub` the folder goes to `repo_id`, by default its name.

        `publishing` are the arguments of the method `push_to_hub`. Raises `UsageError`, and `CheckpointError` for
        settings that do not fit together.
        """
        check_publishing(publishing)
        self.validate()
        text = self.to_json_string()
        folder = new_folder(save_directory)
        write_text(folder / "config.json", text)
        send_saved(type(self).__name__, folder, push_to_hub, publishing)


def _read(folder: Path) -> dict[str, Any]:
    config, open_clip = folder / "config.json", folder / "open_clip_config.json"
    if not config.exists() and not open_clip.exists():
        raise no_config(folder)
    return read_checkpoint_json(open_clip if open_clip.is_file() and not config.exists() else config)


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):  # a config of a tower, or of how weights are quantised
        return value.to_dict()
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else copy.deepcopy(value)


@cache
def _first() -> dict[str, Any]:
    """What every config holds from the beginning."""
    return {name: value for name, value in Config().to_dict().items() if name != "model_type"}
