"""Rows of tokens filled up after the fact, as what gathers a batch does it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sightline.errors import UsageError
from sightline.models.text_options import Lengths


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
    fill = {main: pad_id, "attention_mask": 0, "token_type_ids": 0, "special_tokens_mask": 1}
    for name in (name for name in fill if missing and name in row):
        part = [fill[name]] * missing
        row[name] = [*part, *row[name]] if side == "left" else [*row[name], *part]
    return row


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
