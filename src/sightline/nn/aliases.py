"""Further names for a module's parts: those of the reference, by which scripts reach, hook, list and adapt them.

| what | which names |
|---|---|
| attributes, `get_submodule`, `get_parameter` | the reference's and our own |
| `named_modules` | the reference's; parts of a fused map in its place |
| `named_parameters`, `named_buffers`, `state_dict` | our own |
| all of them, for a layer of `peft` and what is in it | the reference's, so that adapters' files have these |
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar

from torch import nn


class Alias:
    """A further name for the part at `path`, dotted, from the module that has the alias. The part is reached, assigned
    and hooked by either name. `listed`: whether it is the reference's name, by which `named_modules` lists the part."""

    is_slice = False
    """Whether it is the name of a part of the linear map at `path`."""

    def __init__(self, path: str, listed: bool = True) -> None:
        self.path = path
        self.listed = listed

    def __get__(self, module: nn.Module | None, kind: type) -> Any:
        return self if module is None else attrgetter(self.path)(module)

    def __set__(self, module: nn.Module, value: Any) -> None:
        parent, _, name = self.path.rpartition(".")
        setattr(attrgetter(parent)(module) if parent else module, name, value)


def alias(path: str, listed: bool = True) -> Any:
    """An `Alias`, as the attribute of a class of `Aliased` modules."""
    return Alias(path, listed)


class Aliased(nn.Module):
    """A module with aliases. `nn.Module` would keep a module that is assigned to one as a further part, unused."""

    lies_in: ClassVar[str] = ""
    """The reference's name for a part that holds all others, where such a module is listed by itself; ours has none."""

    def __setattr__(self, name: str, value: Any) -> None:
        known = getattr(type(self), name, None)
        if isinstance(known, Alias):
            known.__set__(self, value)
        else:
            super().__setattr__(name, value)

    def named_modules(
        self, memo: set[nn.Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Module]]:
        """All modules by the reference's paths. `Tensors` among them give parameters our names in what `torch` lists by
        this method: `named_parameters` of this module, and of one around it."""
        memo = set() if memo is None else memo
        for place in walk(self):
            module = place.module
            if remove_duplicate:
                if module in memo:
                    continue
                memo.add(module)
            if place.own != place.shown and not place.adapted and (module._parameters or module._buffers):
                yield prefix, Tensors(place.own, module)
            path = place.shown
            if path is None and not remove_duplicate:  # FSDP looks so for every module that holds a tensor
                path = place.own
            if path is not None:
                yield prefix + ("." if prefix and path else "") + path, module

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """As `torch.nn.Module.state_dict`; the tensors of adapters have the reference's names."""
        given: tuple[Any, ...] = (*args, *(destination, prefix, keep_vars)[len(args) :])
        destination, prefix, keep_vars = given
        if isinstance(destination, _State):  # of the module around this one, which names them
            return super().state_dict(destination=destination, prefix=prefix, keep_vars=keep_vars)
        state = super().state_dict(destination=_State(), prefix=prefix, keep_vars=keep_vars)
        for place in adapters(self):
            _rename(state, f"{prefix}{place.own}.", f"{prefix}{place.shown}.")
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        destination.update(state)
        if hasattr(destination, "_metadata"):
            destination._metadata.update(state._metadata)
        return destination

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for place in adapters(self):
            _rename(state_dict, f"{prefix}{place.shown}.", f"{prefix}{place.own}.")
        super()._load_from_state_dict(state_dict, prefix, *rest)


class _State(OrderedDict[str, Any]):
    """The state dict of an outermost `Aliased` while it is made."""

    def __init__(self) -> None:
        super().__init__()
        self._metadata: dict[str, Any] = OrderedDict()


class Tensors(nn.Module):
    """The tensors of one part of a model, by our names, where what lists parameters finds them first."""

    def __init__(self, path: str, module: nn.Module) -> None:
        super().__init__()
        self._parameters = {f"{path}.{name}": tensor for name, tensor in module._parameters.items()}
        self._buffers = {f"{path}.{name}": tensor for name, tensor in module._buffers.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a model: its path by our names, and by the reference's, which a fused map does not have."""

    own: str
    shown: str | None
    module: nn.Module
    adapted: bool
    """Whether it is a layer of `peft`, or in one."""


def walk(
    module: nn.Module, own: str = "", shown: str = "", adapted: bool = False, given: Mapping[str, str] | None = None
) -> Iterator[Place]:
    """The module and all its parts. `given`: paths of the reference that the module's owner has for parts of it."""
    kind: Any = type(module)
    adapted = adapted or is_adapter(module)
    yield Place(own, shown, module, adapted)
    names, slices = reference_names(kind), slice_names(kind)
    inside = shown if own else getattr(kind, "lies_in", "")
    begin, shown_begin = own and f"{own}.", inside and f"{inside}."
    replaced = {attribute for found in slices.values() for attribute in found}
    for name, child in module._modules.items():
        if child is None or name in replaced:
            continue
        for attribute, place in slices.get(name, {}).items():
            yield from walk(getattr(module, attribute), begin + attribute, shown_begin + place, adapted)
        if name in slices and type(child) is nn.Linear:
            yield Place(begin + name, None, child, adapted)
            continue
        inner = {path.partition(".")[2]: shown_begin + n for path, n in names.items() if path.startswith(f"{name}.")}
        place = (given or {}).get(name) or shown_begin + names.get(name, name)
        yield from walk(child, begin + name, place, adapted, inner)


def adapters(module: nn.Module) -> list[Place]:
    """The layers of `peft` in the module."""
    left = [module]
    while left:
        found = left.pop()
        if is_adapter(found):
            return [place for place in walk(module) if is_adapter(place.module) and place.module is not module]
        left += [part for part in found._modules.values() if part is not None]
    return []


def is_adapter(module: nn.Module) -> bool:
    """Whether it is a layer that `peft` puts around a part of a model."""
    return type(module).__module__.startswith("peft.")


@cache
def reference_names(kind: type) -> dict[str, str]:
    """The reference's names for parts of a module of this kind, by our paths."""
    names: dict[str, str] = {}
    for name, known in _aliases(kind).items():
        if known.listed and not known.is_slice:
            names.setdefault(known.path, name)
    return names


@cache
def slice_names(kind: type) -> dict[str, dict[str, str]]:
    """For each fused map in a module of this kind the attributes that are parts of it, with the reference's names."""
    slices: dict[str, dict[str, str]] = {}
    names = reference_names(kind)
    for name, known in _aliases(kind).items():
        if known.is_slice:
            slices.setdefault(known.path, {})[name] = names.get(name, name)
    order = list(names.values())
    return {
        fused: dict(sorted(found.items(), key=lambda item: order.index(item[1]) if item[1] in order else -1))
        for fused, found in slices.items()
    }


def _aliases(kind: type) -> dict[str, Alias]:
    """The aliases of a class: its own first, in the order of the source."""
    found: dict[str, Any] = {}
    for base in kind.__mro__:
        found = {**found, **{name: value for name, value in vars(base).items() if name not in found}}
    return {name: value for name, value in found.items() if isinstance(value, Alias)}


def _rename(state: dict[str, Any], begin: str, new: str) -> None:
    for name in [name for name in state if name.startswith(begin)] if begin != new else ():
        state[new + name.removeprefix(begin)] = state.pop(name)
