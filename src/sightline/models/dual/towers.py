"""Each of the two towers with its way into the space that they share, as an encoder opens it.

Shapes: B pictures or texts, L tokens, P projection.
"""

import os
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from torch import nn

from sightline.checkpoint.hub import WHERE, resolve
from sightline.checkpoint.rules import Rule
from sightline.errors import CheckpointError
from sightline.models.config import Config
from sightline.models.dual.config import VisionTextDualEncoderConfig
from sightline.models.dual.layouts import table_for, table_of
from sightline.models.families import TOWERS, model_type
from sightline.models.pretrained import PretrainedModel
from sightline.models.tower import ImageTower, TextTower


class Pair(PretrainedModel):
    """The base of all that opens a file of two towers, whose table depends on their kinds."""

    config_class = VisionTextDualEncoderConfig
    tables: ClassVar[dict[str, tuple[Rule, ...]]] = {}
    config: VisionTextDualEncoderConfig

    @classmethod
    def find_table(cls, names: Collection[str]) -> tuple[Rule, ...] | None:
        return table_of(names)

    @property
    def layout(self) -> tuple[Rule, ...]:
        return table_for(self.config.text_config.model_type, self.config.vision_config.model_type)


class DualTextTower(Pair, TextTower):
    """The text tower and its projection. Without a mask, a BERT reads padding like words."""

    config: VisionTextDualEncoderConfig

    def __init__(self, config: VisionTextDualEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.text_model: Any = tower(config.text_config)
        width: int = config.text_config.hidden_size  # type: ignore[attr-defined]
        self.text_projection = nn.Linear(width, config.projection_dim, bias=False)


class DualImageTower(Pair, ImageTower):
    """The vision tower and its projection."""

    config: VisionTextDualEncoderConfig

    def __init__(self, config: VisionTextDualEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_model: Any = tower(config.vision_config)
        width: int = config.vision_config.hidden_size  # type: ignore[attr-defined]
        self.visual_projection = nn.Linear(width, config.projection_dim, bias=False)


def open_tower(name: str | os.PathLike[str], part: str, options: Mapping[str, Any]) -> PretrainedModel:
    """The text tower (`part` "text_config") or image tower ("vision_config") of a checkpoint of a tower or of a model.

    `options` are `from_pretrained`'s. Raises `CheckpointError` for a checkpoint without a tower of a known kind.
    """
    where = {key: options[key] for key in WHERE if key in options}
    path = resolve(name, weights=False, **where)
    kind = model_type(path if path.is_dir() else path.parent)
    known = {name: tower for name, tower in TOWERS.items() if tower.part == part}
    suffix = part.replace("config", "model")  # the text tower of a "clip" is a "clip_text_model"
    tower_kind = known.get(kind) or known.get(f"{kind}_{suffix}")
    if tower_kind is None:
        raise CheckpointError(
            f"{name}: model_type {kind!r} has no {suffix} that can be opened; only {', '.join(known)}"
        )
    model: PretrainedModel = tower_kind.model.from_pretrained(name, **options)
    return model


def tower(config: Config) -> PretrainedModel:
    """A new tower of the config's kind."""
    return TOWERS[config.model_type].model(config)
