"""Outputs of models: dataclasses that can also be read as dictionaries and unpacked as tuples."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor
from torch.utils._pytree import GetAttrKey, register_pytree_node


@dataclass
class Output:
    """Fields by name (`out.loss`, `out["loss"]`) or, those that are not None, by position (`out[0]`).

    Torch's transformations (`torch.export`, say) see the fields: each class is registered as a tree of them.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        register_pytree_node(
            cls,
            lambda out: ([getattr(out, f.name) for f in fields(out)], None),
            lambda values, _: cls(*values),
            serialized_type_name=f"{cls.__module__}.{cls.__qualname__}",
            flatten_with_keys_fn=lambda out: ([(GetAttrKey(f.name), getattr(out, f.name)) for f in fields(out)], None),
        )

    def keys(self) -> list[str]:
        """The names of the fields that are not None."""
        return [f.name for f in fields(self) if getattr(self, f.name) is not None]

    def values(self) -> list[Any]:
        """The values that are not None."""
        return [getattr(self, key) for key in self.keys()]

    def items(self) -> list[tuple[str, Any]]:
        """Names and values, without those that are None."""
        return list(zip(self.keys(), self.values(), strict=True))

    def get(self, key: str, default: Any = None) -> Any:
        """The field's value; `default` where it is None or the field is unknown."""
        return getattr(self, key) if key in self.keys() else default

    def to_tuple(self) -> tuple[Any, ...]:
        """The values that are not None."""
        return tuple(self.values())

    def __getitem__(self, key: str | int | slice) -> Any:
        if isinstance(key, str):
            if key not in self.keys():
                raise KeyError(key)
            return getattr(self, key)
        return self.to_tuple()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())


@dataclass
class TowerOutput(Output):
    """A tower's output: all states (B, L, W), the pooled state (B, W), and what the call asks for."""

    last_hidden_state: Tensor
    pooler_output: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class BaseModelOutput(Output):
    """An encoder's output: the last states, and what the call asks for."""

    last_hidden_state: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class BaseModelOutputWithNoAttention(Output):
    """The output of an encoder without attention: the last states, and what the call asks for."""

    last_hidden_state: Tensor
    hidden_states: tuple[Tensor, ...] | None = None


def optional_tuple(items: list[Tensor] | None) -> tuple[Tensor, ...] | None:
    """A list as a tuple; None stays None."""
    return None if items is None else tuple(items)
