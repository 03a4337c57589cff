"""The table of model families. A new family is a folder beside this file and a line in `FAMILIES`."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.checkpoint.names import PACKAGED, packaged
from sightline.checkpoint.weight_files import no_config
from sightline.errors import CheckpointError
from sightline.files import read_checkpoint_json

if TYPE_CHECKING:
    from sightline.models.pairs import PairModel
    from sightline.models.pretrained import PretrainedModel
    from sightline.models.processor import Processor
    from sightline.models.tower import Tower


@dataclass(frozen=True)
class Family:
    """The classes of a family. Both towers embed into `config.projection_dim` numbers.

    They are named "module.Class" and imported when they are used: reading a config takes no torch. Smaller differences
    between families are attributes of these classes, with defaults: see `docs/adding-a-family.md`.
    """

    _config: str
    _model: str
    _text: str
    _image: str
    _processor: str
    _numpy_text: str | None = None
    _rescorer: str | None = None
    _from_towers: str | None = None
    has_regions: bool = False
    """Whether images fall into regions, so that words can be found in parts of them."""

    @property
    def config(self) -> type[Any]:
        """The whole model's config."""
        return _import(self._config)  # type: ignore[no-any-return]

    @property
    def model(self) -> "type[PairModel]":
        """The whole model."""
        return _import(self._model)  # type: ignore[no-any-return]

    @property
    def text(self) -> "type[Tower]":
        """The tower for texts."""
        return _import(self._text)  # type: ignore[no-any-return]

    @property
    def image(self) -> "type[Tower]":
        """The tower for images or videos."""
        return _import(self._image)  # type: ignore[no-any-return]

    @property
    def processor(self) -> "type[Processor]":
        """Texts and images to the whole model's inputs."""
        return _import(self._processor)  # type: ignore[no-any-return]

    @property
    def numpy_text(self) -> type[Any] | None:
        """The tower for texts without torch, or None; its `open` returns None for a checkpoint that it cannot open."""
        return None if self._numpy_text is None else _import(self._numpy_text)

    @property
    def rescorer(self) -> "type[PretrainedModel] | None":
        """The model of exact scores of texts and videos, where the vectors' cosine is an approximation; else None.

        (text (T, P), video (V, P), summaries (V, L, P)) -> (V, T), from what both towers return.
        """
        return None if self._rescorer is None else _import(self._rescorer)

    @property
    def is_rescored(self) -> bool:
        """Whether there is a `rescorer`, without importing it."""
        return self._rescorer is not None

    @property
    def from_towers(self) -> "Callable[[str | Path, str | Path], tuple[PairModel, Processor]] | None":
        """Pairs the image tower of a checkpoint with the text tower of another; None where the family cannot."""
        return None if self._from_towers is None else _import(self._from_towers)


@dataclass(frozen=True)
class TowerKind:
    """A tower that can be paired with any other. `part`: the name of its config in the pair's config."""

    part: str
    _config: str
    _model: str

    @property
    def config(self) -> type[Any]:
        """The tower's config."""
        return _import(self._config)  # type: ignore[no-any-return]

    @property
    def model(self) -> "type[PretrainedModel]":
        """The tower alone, without projection."""
        return _import(self._model)  # type: ignore[no-any-return]


# By `model_type` in the checkpoint's config.
FAMILIES = {
    "align": Family(
        "align.config.AlignConfig",
        "align.model.AlignModel",
        "align.text.AlignTextTower",
        "align.vision.AlignVisionModel",
        "align.processor.AlignProcessor",
    ),
    "clip": Family(
        "clip.config.CLIPConfig",
        "clip.model.CLIPModel",
        "clip.text.CLIPTextModelWithProjection",
        "clip.vision.CLIPVisionModelWithProjection",
        "clip.processor.CLIPProcessor",
        "numpy_text.NumpyTextTower",
    ),
    "groupvit": Family(
        "groupvit.config.GroupViTConfig",
        "groupvit.model.GroupViTModel",
        "groupvit.text.GroupViTTextTower",
        "groupvit.vision.GroupViTImageTower",
        "clip.processor.CLIPProcessor",
        has_regions=True,
    ),
    "vision-text-dual-encoder": Family(
        "dual.config.VisionTextDualEncoderConfig",
        "dual.model.VisionTextDualEncoderModel",
        "dual.towers.DualTextTower",
        "dual.towers.DualImageTower",
        "dual.processor.VisionTextDualEncoderProcessor",
        _from_towers="dual.pairing.from_towers",
    ),
    "xclip": Family(
        "xclip.config.XCLIPConfig",
        "xclip.model.XCLIPModel",
        "xclip.text.XCLIPTextTower",
        "xclip.vision.XCLIPVideoTower",
        "xclip.processor.XCLIPProcessor",
        "xclip.numpy_text.XCLIPNumpyTextTower",
        "xclip.prompts.XCLIPRescorer",
    ),
}
# By `model_type` in the tower's config. Those that the reference, too, would pair.
TOWERS = {
    "bert": TowerKind("text_config", "dual.config.BertConfig", "dual.bert.BertModel"),
    "roberta": TowerKind("text_config", "dual.config.RobertaConfig", "dual.bert.RobertaModel"),
    "clip_text_model": TowerKind("text_config", "clip.config.CLIPTextConfig", "clip.text.CLIPTextModel"),
    "clip_vision_model": TowerKind("vision_config", "clip.config.CLIPVisionConfig", "clip.vision.CLIPVisionModel"),
}


def model_type(folder: Path) -> str:
    """The `model_type` in the config of the checkpoint in `folder`. Raises `CheckpointError` if there is no config."""
    config = folder / "config.json"
    # open_clip's own config file names no type; what it holds is a CLIP or an error.
    if not config.exists() and not (folder / "open_clip_config.json").exists():
        if (folder / "run.json").exists():
            raise CheckpointError(
                f"{folder.absolute()}: a run of training, not a checkpoint; its checkpoints are {folder / 'last'} and, "
                f"with --evaluate, {folder / 'best'}"
            )
        raise no_config(folder)
    data: dict[str, Any] = read_checkpoint_json(config) if config.exists() else {}
    return str(data.get("model_type", "clip"))


def family_of(folder: Path) -> Family:
    """The family of the checkpoint in `folder`. Raises `CheckpointError` for an architecture that we don't have."""
    if (kind := model_type(folder)) not in FAMILIES:
        raise CheckpointError(f"{folder}: model_type {kind!r} cannot be opened; only {', '.join(FAMILIES)}")
    return FAMILIES[kind]


def from_towers(image: str | Path, text: str | Path) -> "tuple[PairModel, Processor]":
    """The image tower of one checkpoint and the text tower of another as a model, and its processor, by the family that
    pairs towers. Raises `CheckpointError`."""
    pairing = next(family.from_towers for family in FAMILIES.values() if family.from_towers is not None)
    return pairing(image, text)


def packaged_with_regions() -> str:
    """A packaged model whose images fall into regions, as an example for messages."""
    return next(name for name in packaged() if family_of(PACKAGED / name).has_regions)


def _import(name: str) -> Any:
    module, _, name = name.rpartition(".")
    return getattr(import_module(f"sightline.models.{module}"), name)
