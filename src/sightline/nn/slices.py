"""The parts of a fused linear map as modules: `attention.q_proj`, `k_proj`, `v_proj` of the one map `self_attn.qkv`.

| what is done | what happens |
|---|---|
| `q_proj(x)` | the part's rows of the fused map's output |
| a hook on it | it runs whenever the attention computes, on the part's input and output, and may replace them |
| `q_proj.weight`, `.bias` | rows of the fused tensors, in the same memory: changes in place are changes there |
| `q_proj.weight = tensor`, `.weight.data = tensor` | the numbers are copied into the rows |
| `q_proj.weight.grad` | the rows of the fused gradient |
| `q_proj = module` | the module computes the part from then on |
| `q_proj.weight = tensor` of a kind of its own, such as a quantised one | all parts get tensors of their own |
| `q_proj.requires_grad_(False)`, torch's pruning | an error: the fused tensor is trained and pruned as one |
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.module import _has_any_global_hook

from sightline.errors import UsageError
from sightline.nn.aliases import Aliased
from sightline.nn.hooks import hooked, is_plain_tensor, plain
from sightline.nn.products import linear


class Rows(nn.Parameter):
    """Some rows of a parameter. The gradient goes to the whole one, so an optimizer takes that."""

    whole: Tensor
    rows: slice

    @classmethod
    def of(cls, whole: Tensor, rows: slice) -> "Rows":
        """`whole` (R, ...) and which of its R rows."""
        found = whole[rows].as_subclass(cls)
        found.whole, found.rows = whole, rows
        return found

    @property
    def data(self) -> Tensor:
        """The numbers, without a gradient."""
        return self.whole.data[self.rows]

    @data.setter
    def data(self, value: Tensor) -> None:
        _copy(value, self.data)

    @property
    def grad(self) -> Tensor | None:
        """The rows of the whole's gradient; None where that has none."""
        return None if self.whole.grad is None else self.whole.grad[self.rows]

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if self.whole.grad is None and value is not None:
            self.whole.grad = torch.zeros_like(self.whole)
        if self.whole.grad is not None:
            rows = self.whole.grad[self.rows]
            _copy(torch.zeros_like(rows) if value is None else value, rows)

    @property
    def requires_grad(self) -> bool:
        """The whole's."""
        return self.whole.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> "Rows":
        """Raises `UsageError` where it would change something."""
        if requires_grad != self.whole.requires_grad:
            raise UsageError(
                "q_proj, k_proj and v_proj are rows of one parameter, which is trained or not as a whole; use "
                "self_attn.qkv.requires_grad_() (kv for keys and values alone)"
            )
        return self

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Any:
        """The hook gets the gradient's rows, and may return others."""

        def of_whole(gradient: Tensor) -> Tensor | None:
            if (rows := hook(gradient[self.rows])) is None:
                return None
            gradient = gradient.clone()
            gradient[self.rows] = rows
            return gradient

        return self.whole.register_hook(of_whole)  # type: ignore[no-untyped-call]

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Parameter:
        return nn.Parameter(self.data.clone(), self.requires_grad)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__deepcopy__({}).__reduce_ex__(protocol)  # type: ignore[no-untyped-call]


class Fused(nn.Module):
    """A linear map whose outputs are those of several, one after another. It is no `nn.Linear`: what looks for all
    linear maps, to put adapters beside them for one, finds the parts."""

    weight: nn.Parameter
    bias: Any

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        first = nn.Linear(in_features, out_features, bias)
        self.weight, self.bias = nn.Parameter(first.weight), first.bias

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        return linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """As `nn.Linear`'s."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Slice(nn.Linear):
    """One of the equal parts of a fused linear map, `owner.<fused>`: its rows from `number` times their count on."""

    _owner: Any
    _fused: str
    _number: int
    _parts: int

    def __init__(self, owner: nn.Module, fused: str, number: int, parts: int) -> None:
        nn.Module.__init__(self)
        # Not as a module of this one: the owner holds it.
        self.__dict__.update(_owner=owner, _fused=fused, _number=number, _parts=parts)

    @property
    def fused(self) -> Any:
        """The whole map."""
        return getattr(self._owner, self._fused)

    @property
    def fused_name(self) -> str:
        """The whole map's name in its owner."""
        return self._fused

    @property
    def number(self) -> int:
        """Which of the whole map's parts this is, from 0."""
        return self._number

    @property
    def count(self) -> int:
        """How many parts the whole map has."""
        return self._parts

    @property
    def rows(self) -> slice:
        """Which of the whole map's rows are this part's."""
        return slice(self._number * self.out_features, (self._number + 1) * self.out_features)

    @property
    def in_features(self) -> int:  # type: ignore[override]
        """The inputs' width."""
        return int(self.fused.in_features)

    @property
    def out_features(self) -> int:  # type: ignore[override]
        """The outputs' width."""
        return int(self.fused.out_features) // self._parts

    @property
    def weight(self) -> Rows:  # type: ignore[override]
        """(out_features, in_features), in the whole's memory."""
        return Rows.of(self.fused.weight, self.rows)

    @property
    def bias(self) -> Rows | None:  # type: ignore[override]
        """(out_features,), in the whole's memory; None where the whole has none."""
        return None if self.fused.bias is None else Rows.of(self.fused.bias, self.rows)

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Module:
        """With its owner, the part of the owner's copy; alone, a linear map of its own."""
        if id(self._owner) in memo:
            copied = Slice.__new__(Slice)
            memo[id(self)] = copied
            copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
            return copied
        linear = nn.Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        for name, rows in self.named_parameters():
            linear.register_parameter(name, copy.deepcopy(rows, memo))
        return linear.train(self.training)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("weight", "bias"):
            super().__setattr__(name, value)
        elif isinstance(value, Tensor) and not is_plain_tensor(value) and not isinstance(value, Rows):
            self._owner.take_apart(self._fused)
            setattr(self, name, value)
        elif (rows := getattr(self, name)) is not None and isinstance(value, Tensor):
            _copy(value, rows.data)
        elif rows is not value:
            raise UsageError(f"{name}: a part of {self._fused} has one as the others have; assign a module instead")

    def stand_alone(self) -> None:
        """Makes the part, where it is, a linear map with tensors of its own: copies of the rows."""
        own = {name: nn.Parameter(rows.data.clone(), rows.requires_grad) for name, rows in self.named_parameters()}
        sizes = {"in_features": self.in_features, "out_features": self.out_features}
        for name in ("_owner", "_fused", "_number", "_parts"):
            del self.__dict__[name]
        self.__class__ = nn.Linear  # type: ignore[assignment]
        self.__dict__.update(sizes)
        self._parameters.update({"weight": own["weight"], "bias": own.get("bias")})

    def forward(self, input: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        fused, rows = self.fused, self.rows
        if plain(fused, Fused):
            return F.linear(input, fused.weight[rows], None if fused.bias is None else fused.bias[rows])
        return fused(input)[..., rows]  # type: ignore[no-any-return]

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """Raises `UsageError`: torch's pruning and parametrizations would do it."""
        raise UsageError(f"a part of {self._fused} has no parameter of its own; prune or reparametrize {self._fused}")

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """`weight` and, if there is one, `bias`. Without `recurse`, what the module itself holds: nothing."""
        for name in ("weight", "bias") if recurse else ():
            if (rows := getattr(self, name)) is not None:
                yield f"{prefix}.{name}" if prefix else name, rows

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Both tensors; in the state of a module around it, nothing: there the whole map has its place."""
        if args or destination is not None:
            return args[0] if args else destination
        return {f"{prefix}{name}": rows if keep_vars else rows.data for name, rows in self.named_parameters()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Copies both tensors into the rows. Raises `UsageError` for other names."""
        if strict and (wrong := state_dict.keys() ^ dict(self.named_parameters()).keys()):
            raise UsageError(f"a part of {self._fused} has a weight and a bias; missing or unknown: {sorted(wrong)}")
        for name, tensor in state_dict.items():
            setattr(self, name, tensor)
        return nn.modules.module._IncompatibleKeys([], [])


class WithParts(Aliased):
    """A module with a fused linear map whose parts are modules of it, too."""

    q_proj: Any
    k_proj: Any
    v_proj: Any
    parts: ClassVar[tuple[str, ...]]
    """Their names, in the order of the reference's."""

    def add_parts(self, fused: str, names: Sequence[str]) -> None:
        """Makes the parts of the map `self.<fused>`: `names` in the order of its rows."""
        for name in sorted(names, key=self.parts.index):
            self.add_module(name, Slice(self, fused, names.index(name), len(names)))

    def take_apart(self, fused: str) -> None:
        """Makes the parts of the map `self.<fused>` linear maps of their own; the whole map is gone then."""
        for part in self._modules.values():
            if isinstance(part, Slice) and part.fused_name == fused:
                part.stand_alone()
        del self._modules[fused]

    def apart(self) -> bool:
        """Whether one of the parts has a hook or is another's module, so that each is to be called."""
        modules = self._modules
        for name in self.parts:
            part = modules[name]
            if type(part) is not Slice or _waits(part):
                return True
        return _has_any_global_hook()  # type: ignore[no-any-return, no-untyped-call]


def _waits(part: Slice) -> bool:
    about = part.__dict__
    some = about["_forward_hooks"] or about["_forward_pre_hooks"] or about["_backward_hooks"]
    return bool(some or about["_backward_pre_hooks"] or "forward" in about) and hooked(part)


def _copy(value: Tensor, into: Tensor) -> None:
    if value.shape != into.shape:
        raise UsageError(f"a tensor of shape {tuple(value.shape)}, where the part has {tuple(into.shape)}")
    with torch.no_grad():
        into.copy_(value)
