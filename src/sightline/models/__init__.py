"""The model families. A new one is a folder here and a line in `FAMILIES`."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.errors import CheckpointError
from sightline.files import read_json

if TYPE_CHECKING:
    from sightline.models.pairs import PairModel
    from sightline.models.pretrained import PretrainedModel, Tower
    from sightline.models.processor import Processor


@dataclass(frozen=True)
class Family:
    """What an encoder needs of a family. Both towers embed into `config.projection_dim` numbers.

    Classes are named "module.Class" and imported when asked for: whoever needs a config alone is spared torch.
    """

    _config: str
    _model: str
    _text: str
    _image: str
    _processor: str
    _words: str | None = None
    _rescorer: str | None = None

    @property
    def config(self) -> type[Any]:
        """The whole model's config."""
        return _class(self._config)

    @property
    def model(self) -> "type[PairModel]":
        """The whole model."""
        return _class(self._model)

    @property
    def text(self) -> "type[Tower]":
        """The tower for texts."""
        return _class(self._text)

    @property
    def image(self) -> "type[Tower]":
        """The tower for pictures."""
        return _class(self._image)

    @property
    def processor(self) -> "type[Processor]":
        """Texts and pictures to the whole model's inputs."""
        return _class(self._processor)

    @property
    def words(self) -> type[Any] | None:
        """The tower for texts without torch, if there is one; its `open` gives None for what it cannot do."""
        return None if self._words is None else _class(self._words)

    @property
    def rescorer(self) -> "type[PretrainedModel] | None":
        """What scores a text against films exactly, where the vectors' cosine is an approximation; else None.

        Of `(text (T, P), video (V, P), summaries (V, L, P)) -> (V, T)`, from what both towers gave.
        """
        return None if self._rescorer is None else _class(self._rescorer)

    @property
    def is_rescored(self) -> bool:
        """Whether there is a `rescorer`; asking takes no torch."""
        return self._rescorer is not None


@dataclass(frozen=True)
class TowerKind:
    """A tower that can be one of two of one's choice. `part`: which of the pair's configs is its own."""

    part: str
    _config: str
    _model: str

    @property
    def config(self) -> type[Any]:
        """The tower's config."""
        return _class(self._config)

    @property
    def model(self) -> "type[PretrainedModel]":
        """The tower alone, without projection."""
        return _class(self._model)


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
    ),
    "vision-text-dual-encoder": Family(
        "dual.config.VisionTextDualEncoderConfig",
        "dual.model.VisionTextDualEncoderModel",
        "dual.towers.DualTextTower",
        "dual.towers.DualImageTower",
        "dual.processor.VisionTextDualEncoderProcessor",
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
    """What the config of the checkpoint in `folder` says that it is. Raises `CheckpointError` if there is none."""
    own = folder / "config.json"
    # open_clip's own config file names no type; what it holds is a CLIP or an error.
    if not own.exists() and not (folder / "open_clip_config.json").exists():
        raise CheckpointError(
            f"{folder.absolute()}: no config.json in it, so it is no checkpoint; name the folder of one"
        )
    data: dict[str, Any] = read_json(own) if own.exists() else {}
    return str(data.get("model_type", "clip"))


def family_of(folder: Path) -> Family:
    """The family of the checkpoint in `folder`. Raises `CheckpointError` for an architecture that we don't have."""
    if (kind := model_type(folder)) not in FAMILIES:
        raise CheckpointError(f"{folder}: model_type {kind!r} cannot be opened; only {', '.join(FAMILIES)}")
    return FAMILIES[kind]


def _class(name: str) -> type[Any]:
    module, _, name = name.rpartition(".")
    found: type[Any] = getattr(import_module(f"sightline.models.{module}"), name)
    return found
