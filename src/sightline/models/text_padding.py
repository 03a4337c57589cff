"""Rows of tokens filled up after the fact, as what gathers a batch does it."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.errors import UsageError
from sightline.models.text_options import Lengths

FILL = {"attention_mask": 0, "special_tokens_mask": 1, "offset_mapping": (0, 0)}
"""What rows are filled up with, beside ids and the types of tokens."""


def filled_lists(rows: Sequence[list[Any]], width: int, side: str, fill: Any) -> list[list[Any]]:
    """Rows of at least `width` values, those at the `side` being `fill`."""
    if side == "left":
        return [[fill] * (width - len(row)) + row for row in rows]
    return [row + [fill] * (width - len(row)) for row in rows]


def filled_array(rows: Sequence[list[Any]], width: int, side: str, fill: Any) -> NDArray[np.int64]:
    """`filled_lists` of numbers, or of tuples of them, of which no row is longer than `width`, as an array."""
    if isinstance(fill, tuple):
        return np.array(filled_lists(rows, width, side, fill), np.int64)
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    taken = np.arange(width) < lengths[:, None]
    made = np.full((len(rows), width), fill, np.int64)
    made[taken[:, ::-1] if side == "left" else taken] = np.fromiter(chain.from_iterable(rows), np.int64, lengths.sum())
    return made


def gathered(inputs: Any, main: str) -> tuple[dict[str, Any], str | None]:
    """Inputs by name as lists, and the kind of tensors that they were.

    `inputs`: values by name, or a list of such, one for each row; `main`: the name that must be there. Raises
    UsageError.
    """
    if isinstance(inputs, Sequence) and inputs and isinstance(inputs[0], Mapping):
        inputs = {name: [row[name] for row in inputs] for name in inputs[0]}
    if not isinstance(inputs, Mapping) or main not in inputs:
        there = ", ".join(inputs) if isinstance(inputs, Mapping) else type(inputs).__name__
        raise UsageError(f"what is filled up has {main!r} among its names, not only: {there}")
    first = inputs[main]
    if isinstance(first, list | tuple) and first:
        first = first[0]
    kind = "pt" if hasattr(first, "detach") else "np" if isinstance(first, np.ndarray) else None
    return {name: _plain(value) for name, value in inputs.items()}, kind


def filled(rows: dict[str, Any], main: str, lengths: Lengths, side: str, pad_id: int | None, mask: bool) -> Any:
    """Values by name, each of one row or of several, filled up as `lengths` says; `mask`: with an attention mask."""
    ids = rows[main]
    if not ids or not isinstance(ids[0], list | tuple):
        return _filled(rows, main, lengths.width(len(ids)) if lengths.padding else 0, side, pad_id, mask)
    if wrong := [name for name, value in rows.items() if len(value) != len(ids)]:
        raise UsageError(f"{wrong[0]} has {len(rows[wrong[0]])} rows, {main} has {len(ids)}")
    width = lengths.width(max(map(len, ids))) if lengths.padding else 0
    made = [
        _filled({name: value[row] for name, value in rows.items()}, main, width, side, pad_id, mask)
        for row in range(len(ids))
    ]
    return {name: [row[name] for row in made] for name in made[0]}


def _filled(row: dict[str, Any], main: str, width: int, side: str, pad_id: int | None, mask: bool) -> dict[str, Any]:
    ids = list(row[main])
    row = row | {main: ids}
    if mask:
        row.setdefault("attention_mask", [1] * len(ids))
    missing = max(width - len(ids), 0)
    fill = {main: pad_id, "token_type_ids": 0} | FILL
    for name in (name for name in fill if missing and name in row):
        part = [fill[name]] * missing
        row[name] = [*part, *row[name]] if side == "left" else [*row[name], *part]
    return row


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
