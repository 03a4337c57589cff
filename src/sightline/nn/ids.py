"""Numbers that embeddings count when they are needed: places, kinds of text. Scripts may put others in their place."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from sightline.nn.aliases import Aliased


class Ids:
    """A decorator of a method that counts the numbers. Those that are assigned, or registered as a buffer, take their
    place; no state dict has them."""

    def __init__(self, count: Callable[[Any], Tensor]) -> None:
        self.count, self.__doc__ = count, count.__doc__

    def __set_name__(self, kind: type, name: str) -> None:
        self.name = name

    def __get__(self, module: Any, kind: type) -> Any:
        if module is None:
            return self
        given = module._buffers.get(self.name)
        return self.count(module) if given is None else given

    def __set__(self, module: Any, value: Tensor) -> None:
        module._buffers[self.name] = value
        module._non_persistent_buffers_set.add(self.name)


class WithIds(Aliased):
    """Embeddings that have `Ids`."""

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """`torch.nn.Module.register_buffer`; for `Ids` an assignment."""
        if isinstance(getattr(type(self), name, None), Ids):
            setattr(self, name, tensor)
        else:
            super().register_buffer(name, tensor, persistent)

    def has_own(self, name: str) -> bool:
        """Whether other numbers than the counted ones are in their place."""
        return self._buffers.get(name) is not None
