"""Configs and models by the `model_type` of a checkpoint, under the reference's names."""

import os
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn, Self

from sightline.checkpoint.hub import WHERE
from sightline.errors import CheckpointError, OtherFamily, UsageError
from sightline.models.config import Config
from sightline.models.families import FAMILIES, TOWERS

_ADVICE = "a family of your own is a folder and a line in its table: see docs/adding-a-family.md"


class _NoInstances:
    """A class that is a place for functions. Its objects are those of other classes."""

    made_by: ClassVar[str]

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        raise CheckpointError(f"{cls.__name__} makes objects of other classes: write {cls.__name__}.{cls.made_by}")

    @classmethod
    def register(cls, *arguments: Any, **named: Any) -> NoReturn:
        """Refused."""
        raise UsageError(f"{cls.__name__}.register: the table of families is not changed at run time; {_ADVICE}")


class AutoConfig(_NoInstances):
    """The config of a checkpoint or of a `model_type`."""

    made_by = "from_pretrained(name_or_folder)"

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any) -> Any:
        """The config of the checkpoint, whichever family or tower it is of; `options` as `Config.from_pretrained`'s.

        Raises `OtherFamily`.
        """
        data, rest = Config.get_config_dict(pretrained_model_name_or_path, **options)
        kind = config_class(_kind(data, pretrained_model_name_or_path), f"{pretrained_model_name_or_path}: ")
        return kind.from_dict(data, **{"name_or_path": pretrained_model_name_or_path} | rest)

    @classmethod
    def for_model(cls, model_type: str, **settings: Any) -> Config:
        """A new config of the kind. Raises `OtherFamily`."""
        return config_class(model_type)(**settings)


def config_class(model_type: str, place: str = "") -> type[Config]:
    """The config's class. Raises `OtherFamily`."""
    known: dict[str, type[Config]] = {}
    for kind in (*FAMILIES, *TOWERS):
        known[kind] = FAMILIES[kind].config if kind in FAMILIES else TOWERS[kind].config
        known |= {tower.model_type: tower for tower in known[kind].sub_configs.values() if tower.model_type}
    if model_type not in known:
        raise OtherFamily(f"{place}model_type {model_type!r} cannot be opened; only {', '.join(known)}; {_ADVICE}")
    return known[model_type]


class _AutoModel(_NoInstances):
    """Models of several families: `kinds`, by the `model_type` of their configs."""

    made_by = "from_pretrained(name_or_folder) or from_config(config)"
    kinds: ClassVar[tuple[str, ...]]

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], *, config: Any = None, **options: Any
    ) -> Any:
        """The model of the checkpoint; all arguments as those of its own class. Raises `OtherFamily`."""
        name = pretrained_model_name_or_path
        if isinstance(config, Config):
            kind = config.model_type
        elif isinstance(config, Mapping):
            kind = _kind(config, name)
        else:
            where = {key: options[key] for key in WHERE if key in options}
            place = name if config is None else config
            kind = _kind(Config.get_config_dict(place, **where)[0], place)
        given = {} if config is None else {"config": config}
        return cls._checked(kind, f"{name}: ").from_pretrained(name, **given, **options)

    @classmethod
    def from_config(cls, config: Config, **options: Any) -> Any:
        """A new model, of first values. `options`: `dtype`, `attn_implementation`. Raises `OtherFamily`."""
        return cls._checked(config.model_type, "")._from_config(config, **options)

    @classmethod
    def _checked(cls, kind: str, place: str) -> Any:
        if kind not in cls.kinds:
            raise OtherFamily(
                f"{place}{cls.__name__} has no model for model_type {kind!r}; it has one for {', '.join(cls.kinds)}"
            )
        return cls.model_class(kind)

    @classmethod
    def model_class(cls, kind: str) -> Any:
        """The class of one of the `kinds`."""
        return FAMILIES[kind].model if kind in FAMILIES else TOWERS[kind].model


class AutoModel(_AutoModel):
    """A whole model, or a tower alone."""

    kinds = (*FAMILIES, *TOWERS)


class AutoModelForZeroShotImageClassification(_AutoModel):
    """A model that scores images against texts."""

    kinds = ("align", "clip")


class AutoModelForImageClassification(_AutoModel):
    """A vision tower with a classifier."""

    kinds = ("clip",)

    @classmethod
    def model_class(cls, kind: str) -> Any:
        from sightline.models.clip.classifier import CLIPForImageClassification

        return CLIPForImageClassification


def _kind(data: Mapping[str, Any], place: Any) -> str:
    """What a `config.json` says; open_clip's own file names no type. Raises `OtherFamily`."""
    kind = data.get("model_type") or ("clip" if "model_cfg" in data else None)
    if kind is None:
        raise OtherFamily(f"{place}: its config names no model_type: open it by its class, such as CLIPModel")
    return str(kind)
