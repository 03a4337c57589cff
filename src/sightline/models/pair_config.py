"""The config of a whole model, with those of its two towers."""

from collections.abc import Mapping
from typing import Any, Self

from sightline.errors import CheckpointError
from sightline.models.config import Config


class PairConfig(Config):
    """A whole model's settings. A tower's may be given as a dictionary; None stands for the tower's first values."""

    projection_dim: int

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        towers = (name for name, kind in cls.kinds.items() if isinstance(kind, type) and issubclass(kind, Config))
        cls.sub_configs = {name: cls.kinds[name] for name in towers}

    @property
    def image_side(self) -> int | None:
        """Height and width in pixels of the images that the whole model takes; None for one that takes any."""
        side: int = self.vision_config.image_size  # type: ignore[attr-defined]
        return side

    @property
    def frames(self) -> int:
        """Frames in an input of the vision tower: 1 for images, more for videos."""
        return 1

    @property
    def takes_videos(self) -> bool:
        """Whether inputs of the vision tower have an axis of frames, be it of one."""
        return False

    @property
    def image_rows(self) -> int:
        """The largest number of rows (tokens) that an input adds to the vision tower's products; of a ViT its patches
        and the class token."""
        vision: Any = self.vision_config  # type: ignore[attr-defined]
        return int(vision.image_size // vision.patch_size) ** 2 + 1

    @property
    def regions(self) -> tuple[int, int, int] | None:
        """How many regions an image falls into, and the rows and columns of its patches; None: no regions."""
        return None

    @property
    def rescoring_rows(self) -> int:
        """Rows of `projection_dim` numbers that exact scores need beside an item's vector; 0: the vector is enough."""
        return 0

    @classmethod
    def tower_class(cls, name: str, settings: Mapping[str, Any]) -> type[Config]:
        """The class of the tower's config that `settings` stand for."""
        return cls.sub_configs[name]

    def read(self, name: str, value: Any) -> Any:
        if name not in self.sub_configs:
            return super().read(name, value)
        if value is None or isinstance(value, Mapping):
            settings = value or {}
            value = self.tower_class(name, settings)(**settings)
        if not isinstance(value, kind := self.sub_configs[name]):
            raise CheckpointError(
                f"{self.model_type} config: {name} is {type(value).__name__}, expected {kind.__name__}"
            )
        return value

    def validate(self) -> None:
        super().validate()
        for name in self.sub_configs:
            getattr(self, name).validate()

    @classmethod
    def modern(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        found = super().modern(settings)
        for name in cls.sub_configs:
            # Files before release 4.23 keep a second copy, which wins where the two differ.
            second = found.pop(f"{name}_dict", None)
            if second is not None and not isinstance(second, Mapping):
                raise CheckpointError(f"{cls.model_type} config: {name}_dict is {second!r}, expected an object")
            if second:
                first = found.get(name) or {}
                found[name] = dict(first.to_dict() if isinstance(first, Config) else first) | dict(second)
        return found

    @classmethod
    def own(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """With the towers' settings read as from files of their own."""
        data = cls.modern(data)
        for name in cls.sub_configs:
            part = data.get(name) or {}
            if not isinstance(part, Config):
                if not isinstance(part, Mapping):
                    raise CheckpointError(f"{cls.model_type} config: {name} is {part!r}, expected an object")
                data[name] = cls.tower_class(name, part).from_dict(part)
        return data

    @classmethod
    def tower(cls, data: Mapping[str, Any], part: str) -> Mapping[str, Any]:
        """A tower's settings from its config, or from the whole model's, whose projection width counts."""
        if data.get("model_type", cls.model_type) == cls.model_type and {part, "model_type", "model_cfg"} & set(data):
            whole = cls.from_dict(data)
            settings: dict[str, Any] = getattr(whole, part).to_dict()
            return settings | ({"projection_dim": whole.projection_dim} if "projection_dim" in settings else {})
        return data

    @classmethod
    def from_text_vision_configs(cls, text_config: Config, vision_config: Config, **settings: Any) -> Self:
        """A whole model's config from copies of its towers'."""
        return cls(text_config=text_config.to_dict(), vision_config=vision_config.to_dict(), **settings)

    @classmethod
    def from_vision_text_configs(cls, vision_config: Config, text_config: Config, **settings: Any) -> Self:
        """`from_text_vision_configs`, the image's side first."""
        return cls.from_text_vision_configs(text_config, vision_config, **settings)

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> Config:
        """The text tower's config; the whole one's where only encoders are asked for, as in the reference."""
        only_encoders = encoder and not decoder
        return self if only_encoders else self.text_config  # type: ignore[attr-defined]
