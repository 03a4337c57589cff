"""A snippet as users write it, run in Sightline and in the reference, and whether both give the same."""

import ast
import builtins
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image

RELATIVE = 1e-5
BROAD = {"Exception", "BaseException", "object"}


@dataclass(frozen=True)
class Outcome:
    """What a snippet gave: the value of its last line, or the error that ended it."""

    value: Any = None
    error: Exception | None = None


Given = Mapping[str, Callable[[ModuleType], Any]]


def run(code: str, library: ModuleType, given: Given) -> Outcome:
    """Run `code` with the names of `given`, made for this library; other names are taken from the library itself, as
    by `from library import name`. `transformers` in an import stands for the library."""
    code = code.replace("from transformers", f"from {library.__name__}")
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    torch.manual_seed(0)
    np.random.seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            space = names(code, library, given)
            exec(compile(tree, "<snippet>", "exec"), space)
            value = eval(compile(ast.Expression(last.value), "<snippet>", "eval"), space) if last else space
        return Outcome(value)
    except Exception as error:
        return Outcome(error=error)


def names(code: str, library: ModuleType, given: Given) -> dict[str, Any]:
    """The names that the code reads before it sets them itself."""
    space: dict[str, Any] = {"__name__": "snippet"}
    own: set[str] = set()
    for statement in ast.parse(code).body:
        nodes = list(ast.walk(statement))
        found = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        found |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        found |= {node.name for node in nodes if isinstance(node, ast.ExceptHandler) and node.name}
        found |= {(a.asname or a.name) for n in nodes if isinstance(n, ast.ImportFrom | ast.Import) for a in n.names}
        local = found | {node.arg for node in nodes if isinstance(node, ast.arg)}
        for node in nodes:
            if not isinstance(node, ast.Name) or isinstance(node.ctx, ast.Store) or hasattr(builtins, node.id):
                continue
            if node.id in given and node.id not in own | space.keys():
                space[node.id] = given[node.id](library)
            elif node.id not in local | own | space.keys():
                space[node.id] = imported(node.id, library)
        own |= found
    return space


def imported(name: str, library: ModuleType) -> Any:
    """What `from library import name` gives."""
    space: dict[str, Any] = {}
    exec(f"from {library.__name__} import {name}", space)
    return space[name]


def difference(ours: Any, theirs: Any, at: str = "value") -> str | None:
    """Where the first difference is, or None. Numbers agree to 1e-5 of the norm; objects of other kinds by their type's
    name, outputs and configs by what they hold."""
    if isinstance(theirs, torch.Tensor | np.ndarray | Image.Image):
        return of_arrays(ours, theirs, at)
    if isinstance(theirs, int | float) and not isinstance(theirs, bool):
        agree = isinstance(ours, int | float) and math.isclose(ours, theirs, rel_tol=RELATIVE, abs_tol=1e-12)
        return None if agree or (ours != ours and theirs != theirs) else f"{at}: {ours!r}, not {theirs!r}"
    if isinstance(theirs, bool | str | bytes | type(None) | torch.dtype | torch.device | Path):
        return None if type(ours) is type(theirs) and ours == theirs else f"{at}: {ours!r}, not {theirs!r}"
    if isinstance(theirs, Mapping) or hasattr(theirs, "keys"):
        return of_mappings(ours, theirs, at)
    if isinstance(theirs, list | tuple):
        if (
            not isinstance(ours, list | tuple)
            or len(ours) != len(theirs)
            or isinstance(ours, list) != isinstance(theirs, list)
        ):
            return f"{at}: {short(ours)}, not {short(theirs)}"
        if theirs and all(isinstance(each, float) for each in (*ours, *theirs)):  # a row of a matrix
            return of_arrays(np.array(ours), np.array(theirs), at)
        found = (difference(a, b, f"{at}[{i}]") for i, (a, b) in enumerate(zip(ours, theirs, strict=True)))
        return next((each for each in found if each), None)
    if isinstance(theirs, set | frozenset):
        return None if ours == theirs else f"{at}: {short(ours)}, not {short(theirs)}"
    if isinstance(theirs, Enum):
        return difference(getattr(ours, "value", ours), theirs.value, at)
    if isinstance(theirs, type):
        return None if getattr(ours, "__name__", None) == theirs.__name__ else f"{at}: {ours!r}, not {theirs!r}"
    if is_dataclass(theirs):
        return next(
            (
                d
                for f in fields(theirs)
                if (d := difference(getattr(ours, f.name, None), getattr(theirs, f.name), f"{at}.{f.name}"))
            ),
            None,
        )
    same_kind = type(ours).__name__ == type(theirs).__name__
    return None if same_kind else f"{at}: a {type(ours).__name__}, not a {type(theirs).__name__}"


def of_arrays(ours: Any, theirs: Any, at: str) -> str | None:
    for kind in (torch.Tensor, np.ndarray, Image.Image):
        if isinstance(ours, kind) != isinstance(theirs, kind):
            return f"{at}: a {type(ours).__name__}, not a {type(theirs).__name__}"
    if isinstance(theirs, Image.Image):
        ours, theirs = np.asarray(ours), np.asarray(theirs)
    if isinstance(theirs, torch.Tensor):
        if ours.device != theirs.device or ours.dtype != theirs.dtype:
            return f"{at}: {ours.dtype} on {ours.device}, not {theirs.dtype} on {theirs.device}"
        if theirs.is_meta:
            return None if ours.shape == theirs.shape else f"{at}: {ours.shape}, not {theirs.shape}"
        if theirs.requires_grad != ours.requires_grad:
            return f"{at}: requires_grad is {ours.requires_grad}"
        ours, theirs = ours.detach().double().numpy(), theirs.detach().double().numpy()
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return f"{at}: {ours.dtype} {ours.shape}, not {theirs.dtype} {theirs.shape}"
    if theirs.dtype.kind not in "fc":
        return None if np.array_equal(ours, theirs) else f"{at}: other values"
    finite = np.isfinite(theirs)
    if not np.array_equal(ours[~finite], theirs[~finite], equal_nan=True):
        return f"{at}: other values that are not finite"
    off, size = np.linalg.norm((ours - theirs)[finite]), np.linalg.norm(theirs[finite])
    return None if off <= RELATIVE * size + 1e-12 else f"{at}: {off / max(size, 1e-300):.1e} of the norm away"


def of_mappings(ours: Any, theirs: Any, at: str) -> str | None:
    if not hasattr(ours, "keys"):
        return f"{at}: {short(ours)}, not {short(theirs)}"
    mine, other = set(ours.keys()), set(theirs.keys())
    if mine != other:
        return f"{at}: without {sorted(map(str, other - mine))}, with {sorted(map(str, mine - other))} besides"
    return next((d for key in list(theirs.keys()) if (d := difference(ours[key], theirs[key], f"{at}[{key!r}]"))), None)


def same_error(ours: Exception, theirs: Exception) -> str | None:
    """None if who catches the reference's error, or the built-in one below it, catches ours."""
    ancestors = [kind.__name__ for kind in type(theirs).__mro__ if hasattr(builtins, kind.__name__)]
    wanted = next(name for name in ancestors)
    has = {kind.__name__ for kind in type(ours).__mro__}
    return None if wanted in has or wanted in BROAD else f"{type(ours).__name__} ({short(ours)}), not {wanted}"


def verdict(ours: Outcome, theirs: Outcome) -> str | None:
    """Why ours differs from theirs, or None."""
    if theirs.error is not None:
        if ours.error is None:
            return f"no error, where the reference has {type(theirs.error).__name__}"
        return same_error(ours.error, theirs.error)
    if ours.error is not None:
        return f"{type(ours.error).__name__}: {short(ours.error)}"
    return difference(ours.value, theirs.value)


def short(value: Any) -> str:
    text = " ".join((str(value) if isinstance(value, Exception) else repr(value)).split())
    return text if len(text) < 160 else text[:157] + "..."
