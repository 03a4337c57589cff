"""Which part of a model an operation of torch belongs to.

Looked up on Python's stack, and in the operation's tensors. Hooks would tell as well, but a model with hooks computes
in another way: fused paths step aside for them.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

from torch import Tensor, nn

from sightline.nn.quantized import nbytes


class Places:
    """The parts of a model, by the dotted paths of their modules; "" is the model itself, or a function.

    Modules that the model does not hold, as those that a function calls, go by the names of their classes.
    """

    def __init__(self, model: Callable[..., Any]) -> None:
        self._paths: dict[int, str] = {}
        self._modules: list[nn.Module] = []  # kept, so that no other object gets the id of one
        self._spans: list[tuple[int, int, str]] = []  # where a part's tensors lie in memory: start, end, path
        self._methods: dict[CodeType, bool] = {}
        self.weights: dict[str, int] = {}  # bytes of each part's own tensors
        self._seen: set[int] = set()  # tensors that several parts share count once
        self._chain: list[tuple[FrameType, str]] = []  # the calls of the last operation, from the model inwards
        self._uncalled: set[str] = set()  # parts whose tensors the innermost of them has used
        owner = model if isinstance(model, nn.Module) else getattr(model, "__self__", None)
        if isinstance(owner, nn.Module):
            self._add(owner, "")

    def _add(self, root: nn.Module, name: str) -> None:
        for path, module in root.named_modules(prefix=name):
            self._paths[id(module)] = path
            self._modules.append(module)
            for tensor in _own_tensors(module):
                self._note(tensor, path)
        self._spans.sort()

    def _note(self, tensor: Tensor, path: str) -> None:
        start, size = _start(tensor), nbytes(tensor)
        if not size or (start or id(tensor)) in self._seen:
            return
        self._seen.add(start or id(tensor))
        if start:
            self._spans.append((start, start + size, path))
        self.weights[path] = self.weights.get(path, 0) + size

    def find(self, frame: FrameType | None, until: FrameType, tensors: Iterable[Any]) -> tuple[str, list[str]]:
        """The part that the operation which `frame` calls belongs to, and the parts that are called anew for it.

        `until`: the frame that called the model. Where one of the operation's tensors belongs to a part below the one
        on the stack, it is that part: a fused path computes with its parts' tensors without calling them.
        """
        chain = []
        while frame is not None and frame is not until:
            module = self._module(frame)
            if module is not None:
                chain.append((frame, module))
            frame = frame.f_back
        chain.reverse()  # from the model inwards
        if chain and id(chain[0][1]) not in self._paths:
            self._add(chain[0][1], type(chain[0][1]).__name__)
        named = [(frame, self._paths[id(module)]) for frame, module in chain if id(module) in self._paths]
        called = self._called(named)
        path = named[-1][1] if named else ""
        for tensor in tensors:
            if type(tensor) in (Tensor, nn.Parameter) and (inner := self._owner(tensor, path)) is not None:
                if inner != path and inner not in self._uncalled:
                    self._uncalled.add(inner)
                    called.append(inner)
                return inner, called
        return path, called

    def _module(self, frame: FrameType) -> nn.Module | None:
        """The module whose method the frame is."""
        code = frame.f_code
        if (is_method := self._methods.get(code)) is None:
            is_method = self._methods[code] = code.co_argcount > 0 and code.co_varnames[0] == "self"
        if not is_method:
            return None
        found = frame.f_locals.get("self")
        return found if isinstance(found, nn.Module) else None

    def _called(self, named: list[tuple[FrameType, str]]) -> list[str]:
        """The parts of those frames that were not there at the operation before; several of one call count once."""
        same = 0
        while same < min(len(named), len(self._chain)) and named[same][0] is self._chain[same][0]:
            same += 1
        if same < len(named) or same < len(self._chain):
            self._uncalled = set()
        self._chain = named
        before = named[same - 1][1] if same else None
        called = []
        for _, path in named[same:]:
            if path != before:
                called.append(path)
            before = path
        return called

    def _owner(self, tensor: Tensor, path: str) -> str | None:
        """The part at or below `path` in whose memory the tensor lies."""
        start = _start(tensor)
        at = bisect_right(self._spans, (start, 1 << 63, "")) - 1
        if at < 0 or not self._spans[at][0] <= start < self._spans[at][1]:
            return None
        owner = self._spans[at][2]
        return owner if not path or owner == path or owner.startswith(f"{path}.") else None

    def forget_calls(self) -> None:
        """Ends a pass: frames are let go, and with them the tensors that they hold."""
        self._chain = []


def _own_tensors(module: nn.Module) -> list[Tensor]:
    """A module's parameters and buffers, and the tensors of a layer that packs its weights: attributes."""
    found = [*module._parameters.values(), *module._buffers.values()]
    for value in vars(module).values():
        found += value if type(value) is tuple else [value]
    return [value for value in found if isinstance(value, Tensor)]


def _start(tensor: Tensor) -> int:
    """Where a tensor lies in memory; 0: it has no place, or none of its own."""
    try:
        return tensor.data_ptr()
    except RuntimeError:
        return 0


def pieces(path: str) -> list[str]:
    """A path's names, "encoder.layers.3" -> ["encoder", "layers.*"]: of parts that are numbered, one name for all."""
    names: list[str] = []
    for name in path.split(".") if path else []:
        if name.isdigit() and names:
            names[-1] += ".*"
        else:
            names.append(name)
    return names


def kind(path: str) -> str:
    """By which parts are grouped: "encoder.layers.3.mlp.fc1" -> "encoder.layers.*.mlp". Of numbered parts their own
    parts, of others two names."""
    names = pieces(path)
    last = max((at for at, name in enumerate(names) if name.endswith(".*")), default=0)
    return ".".join(names[: last + 2])
