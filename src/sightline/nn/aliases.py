"""Further names for a module's parts: those by which code that families share, or a script, reaches them."""

from operator import attrgetter
from typing import Any

from torch import nn


class Alias:
    """A further name for the part at `path`, dotted, from the module that has the alias. The part is reached, assigned
    and hooked by either name; `state_dict` and `named_modules` know its own name alone."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __get__(self, module: nn.Module | None, kind: type) -> Any:
        return self if module is None else attrgetter(self.path)(module)

    def __set__(self, module: nn.Module, value: Any) -> None:
        parent, _, name = self.path.rpartition(".")
        setattr(attrgetter(parent)(module) if parent else module, name, value)


def alias(path: str) -> Any:
    """An `Alias`, as the attribute of a class of `Aliased` modules."""
    return Alias(path)


class Aliased(nn.Module):
    """A module with aliases. `nn.Module` would keep a module that is assigned to one as a further part, unused."""

    def __setattr__(self, name: str, value: Any) -> None:
        known = getattr(type(self), name, None)
        if isinstance(known, Alias):
            known.__set__(self, value)
        else:
            super().__setattr__(name, value)
