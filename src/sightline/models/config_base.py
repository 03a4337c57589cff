"""A config's values: each is checked when it is set, and further ones are kept. No torch is imported."""

import copy
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar

from sightline.errors import CheckpointError, UsageError
from sightline.models.settings import GENERATION, INT8, METHODS, kinds_of, method_of, read_value


class ConfigBase:
    """A model's settings: what is annotated here and in subclasses, and further values under names of the caller's.

    A value that is set alone is checked alone; `validate` looks at what must fit together. It is called on
    construction, when a model is built of the config, and before the config is written. `CheckpointError` names what is
    wrong, and the config stays as it was.
    """

    model_type: ClassVar[str] = ""
    base_config_key: ClassVar[str] = ""
    """The name of a tower's config in the whole model's."""
    attribute_map: ClassVar[dict[str, str]] = {}
    kinds: ClassVar[dict[str, Any]]
    """The names of the settings with their types."""
    sub_configs: ClassVar[dict[str, type[Any]]] = {}
    """A whole model's configs of towers, with their classes."""
    without_effect: ClassVar[frozenset[str]] = frozenset()
    """Settings of the class that no layer reads."""
    also_known: ClassVar[frozenset[str]] = frozenset()
    """Keys that only files of this class's kind have, and that no model here reads."""

    architectures: list[str] | None = None
    output_hidden_states: bool = False
    output_attentions: bool = False
    return_dict: bool = True
    chunk_size_feed_forward: int = 0
    is_encoder_decoder: bool = False
    id2label: dict[int, str] | None = None
    label2id: dict[str, int] | None = None
    problem_type: str | None = None
    transformers_version: str | None = None

    def __init_subclass__(cls) -> None:
        cls.kinds = kinds_of(cls)

    def __init__(self, /, **settings: Any) -> None:
        """Settings by name. What is left out has the class's value; names that the class does not know are kept."""
        settings = self.modern(settings)
        self.dtype = self._attn_implementation = None
        self._name_or_path = ""
        for name in self.kinds:
            setattr(self, name, settings.pop(name, getattr(type(self), name, None)))
        labels = settings.pop("num_labels", None)
        if self.id2label is None:
            self.num_labels = 2 if labels is None else labels
        elif labels not in (None, self.num_labels):
            told = f"{self.model_type} config: num_labels is {labels!r}, so the {self.num_labels} of id2label are lost"
            warnings.warn(told, stacklevel=2)
            self.num_labels = labels
        for name, value in settings.items():
            setattr(self, name, value)
        self.validate()

    def __setattr__(self, name: str, value: Any) -> None:
        known = getattr(type(self), name, None)
        if name in self.kinds:
            super().__setattr__(name, self.read(name, value))
        elif name == "model_type":
            if (own := type(self).model_type) and value != own:
                raise CheckpointError(f"{own} config: model_type is {value!r}; take its own config class")
            if not own:
                super().__setattr__(name, value)
        elif known is not None and getattr(known, "fset", None) is None:
            why = "follows from other settings" if isinstance(known, property) else "is a part of the config's class"
            raise CheckpointError(f"{self.model_type} config: {name} {why} and cannot be set")
        else:
            super().__setattr__(name, value)

    def read(self, name: str, value: Any) -> Any:
        """A setting's value as it is held. Raises `CheckpointError`."""
        kind = self.kinds[name]
        default = kind is bool and value is None
        return read_value(self.model_type, name, kind, getattr(type(self), name) if default else value)

    def validate(self) -> None:
        """Raises `CheckpointError` for settings that do not fit together."""
        if self.problem_type == "single_label_classification" and self.num_labels == 1:
            raise CheckpointError(
                f"{self.model_type} config: problem_type is {self.problem_type!r}, which needs two labels or more; "
                "for one number take 'regression'"
            )

    @classmethod
    def modern(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings as they were written at any time, in today's terms. Raises `CheckpointError` for another kind's."""
        if cls.model_type and settings.get("model_type", cls.model_type) != cls.model_type:
            raise CheckpointError(f"the config says model_type {settings['model_type']!r}, not {cls.model_type!r}")
        quantized = settings.get("quantization_config")
        method = method_of(quantized) if isinstance(quantized, Mapping) and quantized else None
        if method not in (None, INT8, *METHODS):
            raise CheckpointError(
                f"{cls.model_type} config: the weights were quantised by {method!r} (quantization_config), which is "
                "not read; take the checkpoint that they were made of, in float32, float16 or bfloat16"
            )
        dropped = {"_commit_hash", "is_composition", "torch_dtype", *GENERATION} - set(cls.kinds)
        dropped |= {"quantization_config"} if not quantized or method == INT8 else set()
        found = {name: value for name, value in settings.items() if name not in dropped}
        if found.get("dtype") is None and settings.get("torch_dtype") is not None:
            found["dtype"] = settings["torch_dtype"]
        if (attention := found.pop("attn_implementation", None)) is not None:
            found["_attn_implementation"] = attention
        return found

    def update(self, config_dict: Mapping[str, Any]) -> None:
        """Sets all of them, or none if one is refused."""
        changed = copy.copy(self)
        for name, value in config_dict.items():
            setattr(changed, name, value)
        vars(self).update(vars(changed))

    def update_from_string(self, update_str: str) -> None:
        """`update` by "name=value,name=value": numbers, strings, true and false, for settings that are there."""
        found: dict[str, Any] = {}
        for part in update_str.split(","):
            name, is_pair, text = part.partition("=")
            kind = type(getattr(self, name, None))
            words = {
                "true": True,
                "1": True,
                "yes": True,
                "y": True,
                "false": False,
                "0": False,
                "no": False,
                "n": False,
            }
            try:
                if not is_pair or kind not in (bool, int, float, str):
                    raise KeyError(name)
                found[name] = words[text.lower()] if kind is bool else kind(text)
            except (KeyError, ValueError):
                raise UsageError(f"{self.model_type} config: {part!r} is no 'name=value' of a setting") from None
        self.update(found)

    def settings(self) -> dict[str, Any]:
        """The settings that layers are built of, with `model_type`: plain values."""
        own = (name for name in self.kinds if name not in COMMON and name not in self.without_effect)
        values = {name: getattr(self, name) for name in own}
        return {"model_type": self.model_type} | {
            name: value.settings() if isinstance(value, ConfigBase) else value for name, value in values.items()
        }

    def __iter__(self) -> Iterator[str]:
        """The names of all that is set."""
        return iter(vars(self))

    def __eq__(self, other: object) -> bool:
        """Of one class and equal in all that is set, but for where it came from."""
        return type(self) is type(other) and _compared(self) == _compared(other)

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> "ConfigBase":
        """The config of what reads texts: of a whole model the text tower's, which the reference has among decoders."""
        return self

    @property
    def dtype(self) -> Any:
        """The weights' dtype, as torch's; None where the config names none. A name is understood, too."""
        name = vars(self).get("dtype")
        return getattr(import_module("torch"), name, name) if isinstance(name, str) else name

    @dtype.setter
    def dtype(self, value: Any) -> None:
        plain = value is None or isinstance(value, Mapping)
        vars(self)["dtype"] = value if plain else str(value).removeprefix("torch.")

    def set_dtype(self, value: Any) -> None:
        """Sets `dtype`, in the towers' configs, too."""
        for config in (self, *(vars(self)[name] for name in self.sub_configs)):
            config.dtype = value

    @property
    def torch_dtype(self) -> Any:
        """`dtype` by its older name."""
        return self.dtype

    @torch_dtype.setter
    def torch_dtype(self, value: Any) -> None:
        self.dtype = value

    @property
    def _attn_implementation(self) -> Any:
        """The kernels of attention that are asked for; None: the model's choice. Set on the towers' configs, too."""
        return vars(self).get("_attn_implementation")

    @_attn_implementation.setter
    def _attn_implementation(self, value: Any) -> None:
        chosen = value if isinstance(value, Mapping) else dict.fromkeys(["", *self.sub_configs], value)
        if "" in chosen or not isinstance(value, Mapping):
            vars(self)["_attn_implementation"] = chosen[""]
        for name in self.sub_configs:
            if name in chosen and name in vars(self):
                vars(self)[name]._attn_implementation = chosen[name]

    @property
    def name_or_path(self) -> str:
        """The name that the config was opened by."""
        return self._name_or_path

    @name_or_path.setter
    def name_or_path(self, value: Any) -> None:
        self._name_or_path = str(value)

    @property
    def num_labels(self) -> int | None:
        """How many labels a classifier tells apart: those of `id2label`."""
        return None if self.id2label is None else len(self.id2label)

    @num_labels.setter
    def num_labels(self, value: int) -> None:
        if type(value) is not int or not 0 <= value <= 1 << 24:
            raise CheckpointError(f"{self.model_type} config: num_labels is {value!r}, expected 0 to {1 << 24}")
        if value != self.num_labels:
            self.id2label = {number: f"LABEL_{number}" for number in range(value)}
            self.label2id = {label: number for number, label in self.id2label.items()}

    @property
    def use_return_dict(self) -> bool:
        """`return_dict` by its older name."""
        return self.return_dict


def _compared(config: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(config).items() if name[0] != "_" and name != "transformers_version"}


COMMON = frozenset(kinds_of(ConfigBase))
"""The settings of every config, which no layer reads."""
