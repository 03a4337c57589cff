"""Tables that name every tensor of a file layout and its place in ours, read in both directions.

A table is a tuple of rules. In names, `*` stands for a number (a layer) and means the same number on both sides.
What holds for each reading: every source key matches exactly one rule, every target is filled once, every join
is complete. Written backwards, the same table gives the file layout again, bit for bit.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import torch

from sightline.errors import CheckpointError


@dataclass(frozen=True)
class Rule:
    """`sources` (patterns) become `target` (a pattern; None: left out). Several sources are joined along dim 0."""

    sources: tuple[str, ...]
    target: str | None
    transposed: bool = False


@dataclass(frozen=True)
class Piece:
    """One target and the source keys that fill it, in the order of their joining. `part`: its number, and how many
    equal ones they are cut into along dim 0."""

    sources: tuple[str, ...]
    transposed: bool
    part: tuple[int, int] | None = None


def move(source: str, target: str) -> Rule:
    """The tensor as it is, under another name."""
    return Rule((source,), target)


def join(source: str, target: str) -> Rule:
    """`source` holds one `{a,b,c}`: the tensors of the three names, one after another along dim 0."""
    head, options, tail = re.fullmatch(r"(.*)\{(.*)\}(.*)", source).groups()  # type: ignore[union-attr]
    return Rule(tuple(f"{head}{option}{tail}" for option in options.split(",")), target)


def transpose(source: str, target: str) -> Rule:
    """A matrix that the file keeps transposed."""
    return Rule((source,), target, transposed=True)


def drop(source: str) -> Rule:
    """A tensor that some files carry and that no model needs."""
    return Rule((source,), None)


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", r"(\d+)"))


def _match(pattern: str, key: str) -> tuple[str, ...] | None:
    match = _regex(pattern).fullmatch(key)
    return match.groups() if match else None


def _fill(pattern: str, numbers: tuple[str, ...]) -> str:
    it = iter(numbers)
    return re.sub(r"\*", lambda _: next(it), pattern)


def plan(table: tuple[Rule, ...], keys: set[str], where: str, own: Mapping[str, str] = {}) -> dict[str, Piece]:
    """Target name -> the source keys that make it, for all of `keys`.

    `own`: the targets of keys that the table need not know.
    `where` names the checkpoint in errors. Raises `CheckpointError` if a key matches no rule, a target is filled
    twice or a join lacks a part.
    """
    pieces: dict[str, Piece] = {}
    unknown: list[str] = []
    for key in sorted(keys):
        hits = [(rule, n) for rule in table for p in rule.sources if (n := _match(p, key)) is not None]
        if not hits:
            if key in own:
                pieces[own[key]] = Piece((key,), False)
            else:
                unknown.append(key)
            continue
        if len(hits) > 1:
            raise ValueError(f"the table is ambiguous: {key} matches {[h[0] for h in hits]}")
        rule, numbers = hits[0]
        if rule.target is None:
            continue
        target = _fill(rule.target, numbers)
        piece = Piece(tuple(_fill(source, numbers) for source in rule.sources), rule.transposed)
        if pieces.setdefault(target, piece) != piece:
            raise CheckpointError(f"{where}: both {pieces[target].sources} and {piece.sources} hold {target}")
        if absent := [source for source in piece.sources if source not in keys]:
            raise CheckpointError(f"{where}: {', '.join(absent)} missing (beside {key})")
    if unknown:
        raise CheckpointError(
            f"{where}: unknown tensors {first_names(unknown)}; is this another architecture? To leave "
            "them out, make the model of its config, and load_state_dict(tensors, strict=False)"
        )
    return pieces


def read(piece: Piece, get: Callable[[str], torch.Tensor], where: str) -> torch.Tensor:
    """The target's tensor. Without a join or a transposition it is the source's own memory.

    `where` names the checkpoint in errors. Raises `CheckpointError` if the shapes cannot be joined or transposed.
    """
    parts = [get(source) for source in piece.sources]
    try:
        tensor = parts[0] if len(parts) == 1 else torch.cat(parts)
        tensor = tensor.t().contiguous() if piece.transposed else tensor
        return tensor if piece.part is None else tensor.chunk(piece.part[1])[piece.part[0]]
    except RuntimeError as error:
        shapes = ", ".join(str(tuple(part.shape)) for part in parts)
        raise CheckpointError(f"{where}: {' + '.join(piece.sources)} cannot have the shapes {shapes}") from error


def backwards(table: tuple[Rule, ...], target: str) -> Piece | None:
    """The source keys that one of our tensors is made of; None for a name that has no rule, or several."""
    pieces = _pieces(table, target)
    return pieces[0] if len(pieces) == 1 else None


def _pieces(table: tuple[Rule, ...], target: str) -> list[Piece]:
    hits = [(r, n) for r in table if r.target and (n := _match(r.target, target)) is not None]
    return [Piece(tuple(_fill(source, numbers) for source in rule.sources), rule.transposed) for rule, numbers in hits]


@cache
def apart(table: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Rules for models whose joined maps were taken apart: each source alone, as the part of its name.

    Of `attn.{q,k}_proj.weight` -> `attn.qk.weight`: `attn.q_proj.weight` -> `attn.q_proj.weight`, and so on.
    """
    rules = []
    for rule in table:
        if rule.target is not None and len(rule.sources) > 1:
            owner, _, kind = (*rule.target.rsplit(".", 2),)
            rules += [Rule((name,), f"{owner}.{name.split('.')[-2]}.{kind}") for name in rule.sources]
    return tuple(rules)


def has_rule(table: tuple[Rule, ...], target: str) -> bool:
    """Whether the table knows one of our names."""
    return bool(_pieces(table, target))


def is_dropped(table: tuple[Rule, ...], key: str) -> bool:
    """Whether the table leaves a source key out."""
    return any(rule.target is None and _match(rule.sources[0], key) is not None for rule in table)


def split(piece: Piece, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """One of our tensors as the source keys' tensors: `read` backwards. They share its memory."""
    tensor = tensor.t() if piece.transposed else tensor
    parts = tensor.chunk(len(piece.sources)) if len(piece.sources) > 1 else [tensor]
    return dict(zip(piece.sources, parts, strict=True))


def write(table: tuple[Rule, ...], state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Our tensors under the file layout's names: the table run backwards."""
    file: dict[str, torch.Tensor] = {}
    for target, tensor in state.items():
        pieces = _pieces(table, target)
        if len(pieces) != 1:
            raise ValueError(f"{target} has {len(pieces)} rules in the table, not one")
        file |= {source: part.contiguous() for source, part in split(pieces[0], tensor).items()}
    return file


def first_names(names: list[str]) -> str:
    """The first five names, and the number of the others."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
