"""Lists of any kind that a call may be given: lists, generators, arrays and columns of paths or strings."""

import os
from collections.abc import Iterable, Mapping, Set as AbstractSet
from typing import Any

import numpy as np

from sightline.errors import UsageError


def as_list(call: str, noun: str, items: Any) -> list[Any]:
    """The items, in order: of a list, a tuple, a generator, an array, a column of pandas, polars or Arrow.

    `call` and `noun`, the singular of what it takes, are for messages. Raises `UsageError` for what is no list of
    items, has no order (a set), or would give something else in their place (the keys of a dictionary, the columns of a
    table).
    """
    wanted = f"{call} takes a list of {noun}s"
    if items is None:
        raise UsageError(f"{wanted}, not None")
    if isinstance(items, str | bytes | bytearray | memoryview | os.PathLike) or hasattr(items, "read"):
        raise UsageError(f"{wanted}, not one {noun}: put it into a list, [{noun}]")
    if isinstance(items, Mapping) or (hasattr(items, "columns") and hasattr(items, "__getitem__")):
        raise UsageError(f"{wanted}, not a {type(items).__name__}: give one column, or its values as a list")
    if isinstance(items, AbstractSet):
        raise UsageError(f"{wanted}, not a {type(items).__name__}, which has no order: the rows could not be matched")
    if isinstance(items, np.ndarray) and items.dtype.kind in "OUS" and (items.ndim != 1 or items.dtype.kind == "S"):
        kind = "bytes, which lose zeros at their ends there" if items.dtype.kind == "S" else f"{items.ndim} dimensions"
        raise UsageError(f"{wanted}, not an array of {kind}: give a list")
    if hasattr(items, "to_pylist"):  # a column of Arrow, whose own items are wrapped
        return list(items.to_pylist())
    try:
        return list(items)
    except TypeError:
        raise UsageError(f"{wanted}, not one {type(items).__name__}") from None


def place(number: int, count: int) -> str:
    """What messages call an item of a list, counted from 1."""
    return f"item {number + 1:,} of {count:,}"


def is_missing(item: Any) -> bool:
    """Whether it is None, not a number, or what pandas has for a missing value."""
    return item is None or type(item).__name__ in ("NAType", "NaTType") or (isinstance(item, float) and item != item)


def check_texts(texts: Iterable[str]) -> list[str]:
    """The texts as a list. Raises `UsageError` for a single text in place of a list, and for items that are no text."""
    listed = as_list("encode_text", "string", texts)
    for number, text in enumerate(listed):
        if isinstance(text, str):
            continue
        what = "missing" if is_missing(text) else f"of type {type(text).__name__}"
        way = ": decode it first" if isinstance(text, bytes) else ": give a flat list" if _is_nested(text) else ""
        raise UsageError(f"texts are strings, and {place(number, len(listed))} is {what}{way}")
    return listed


def _is_nested(item: Any) -> bool:
    return isinstance(item, Iterable)
