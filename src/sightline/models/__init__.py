"""The model families. A new one is a folder here and a line in `FAMILIES`."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.errors import CheckpointError
from sightline.files import read_json

if TYPE_CHECKING:
    from sightline.models.pretrained import PretrainedModel, Tower


@dataclass(frozen=True)
class Family:
    """What an encoder needs of a family. Both towers embed into `config.projection_dim` numbers."""

    config: type[Any]
    model: "type[PretrainedModel]"
    text: "type[Tower]"
    image: "type[Tower]"


# `model_type` of a checkpoint's config -> the module whose FAMILY it is.
FAMILIES = {"clip": "sightline.models.clip"}


def family_of(folder: Path) -> Family:
    """The family of the checkpoint in `folder`. Raises `CheckpointError` for an architecture that we don't have."""
    own = folder / "config.json"
    # open_clip's own config file names no type; what it holds is a CLIP or an error.
    data: dict[str, Any] = read_json(own) if own.exists() or not (folder / "open_clip_config.json").exists() else {}
    model_type = data.get("model_type", "clip")
    if model_type not in FAMILIES:
        raise CheckpointError(f"{folder}: model_type {model_type!r} cannot be opened; only {', '.join(FAMILIES)}")
    family: Family = import_module(FAMILIES[model_type]).FAMILY
    return family
