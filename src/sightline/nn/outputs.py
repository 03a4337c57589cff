"""Outputs of models: dataclasses that are dictionaries of what is not None, as scripts for the reference read them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Self

from torch import Tensor
from torch.utils._pytree import MappingKey, register_pytree_node

absent: Any = None
"""The default of a field that is never missing in what a model returns; who makes an output may leave any out."""


class ModelOutput(dict[str, Any]):
    """The base of all outputs: what is not None by name (`out.loss`, `out["loss"]`) or by position (`out[0]`).

    Subclasses are dataclasses whose fields all have the default None. An output is also made of one dictionary, or of
    pairs of names and values, as those who rebuild dictionaries make it (`accelerate`, `DataParallel`). Torch's
    transformations (`torch.export`, say) see the values: each class is registered as a tree of them.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        register_pytree_node(
            cls,
            lambda out: (list(out.values()), list(out)),
            lambda values, names: cls._of(zip(names, values, strict=True)),
            serialized_type_name=f"{cls.__module__}.{cls.__qualname__}",
            flatten_with_keys_fn=lambda out: ([(MappingKey(name), out[name]) for name in out], list(out)),
        )

    @classmethod
    def _of(cls, items: Iterable[tuple[str, Any]]) -> Self:
        out = cls()
        for name, value in items:
            out[name] = value
        return out

    def __post_init__(self) -> None:
        first = next(iter(self.__dataclass_fields__))
        given = getattr(self, first)
        if given is None or isinstance(given, Tensor) or not isinstance(given, Iterable) or set(self) - {first}:
            return
        pairs = list(given.items() if isinstance(given, Mapping) else given)
        if all(isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
            setattr(self, first, None)
            for name, value in pairs:
                self[name] = value

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if value is not None:
            dict.__setitem__(self, name, value)
        elif name in self:
            dict.__delitem__(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def __getitem__(self, key: str | int | slice) -> Any:
        return super().__getitem__(key) if isinstance(key, str) else self.to_tuple()[key]

    def copy(self) -> Self:
        """An output with the same values."""
        return self._of(self.items())

    def to_tuple(self) -> tuple[Any, ...]:
        """The values that are not None; outputs among them are tuples as well."""
        return tuple(value.to_tuple() if isinstance(value, ModelOutput) else value for value in self.values())

    def _fixed(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"values of a {type(self).__name__} are not taken out; assign them (out.loss = None)")

    __delitem__ = pop = popitem = setdefault = update = clear = _fixed


@dataclass
class BaseModelOutput(ModelOutput):
    """All states of a part of a tower (B, L, W), and what the call asks for."""

    last_hidden_state: Tensor = absent
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class BaseModelOutputWithNoAttention(ModelOutput):
    """All states of a part without attention (B, C, H, W), and those between its blocks if the call asks for them."""

    last_hidden_state: Tensor = absent
    hidden_states: tuple[Tensor, ...] | None = None


@dataclass
class BaseModelOutputWithPooling(ModelOutput):
    """A tower's output: all states (B, L, W), the pooled state (B, W), and what the call asks for."""

    last_hidden_state: Tensor = absent
    pooler_output: Tensor = absent
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class BaseModelOutputWithPoolingAndNoAttention(ModelOutput):
    """The output of a tower without attention: all states (B, C, H, W), the pooled state (B, C)."""

    last_hidden_state: Tensor = absent
    pooler_output: Tensor = absent
    hidden_states: tuple[Tensor, ...] | None = None


@dataclass
class ImageClassifierOutput(ModelOutput):
    """The loss if there are labels, each class's score (B, classes), and what the call asks for."""

    loss: Tensor | None = None
    logits: Tensor = absent
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


def optional_tuple(items: list[Tensor] | None) -> tuple[Tensor, ...] | None:
    """A list as a tuple; None stays None."""
    return None if items is None else tuple(items)
