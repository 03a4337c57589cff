"""The tables between our names of tensors and the files', read both ways."""

import re

import pytest
import torch
from hypothesis import given, strategies as st

from sightline.checkpoint.rules import Rule, drop, join, move, plan, read, transpose, write
from sightline.errors import CheckpointError

TABLE = (
    move("scale", "scale"),
    join("layers.*.{q,k,v}.weight", "blocks.*.qkv"),
    transpose("proj", "projection.weight"),
    drop("ids"),
)


def source(layers: int) -> dict[str, torch.Tensor]:
    tensors = {"scale": torch.tensor(2.0), "proj": torch.randn(3, 5), "ids": torch.arange(4)}
    return tensors | {f"layers.{i}.{part}.weight": torch.randn(2, 3) for i in range(layers) for part in "qkv"}


@given(st.integers(0, 12))
def test_there_and_back(layers: int) -> None:
    file = source(layers)
    pieces = plan(TABLE, set(file), "file")
    state = {target: read(piece, file.__getitem__, "file") for target, piece in pieces.items()}
    assert set(state) == {"scale", "projection.weight"} | {f"blocks.{i}.qkv" for i in range(layers)}
    assert torch.equal(state["projection.weight"], file["proj"].T)
    for i in range(layers):
        assert torch.equal(state[f"blocks.{i}.qkv"], torch.cat([file[f"layers.{i}.{p}.weight"] for p in "qkv"]))
    again = write(TABLE, state)
    del file["ids"]
    assert again.keys() == file.keys()
    assert all(torch.equal(again[key], file[key]) for key in file)


def test_what_is_only_moved_is_not_copied() -> None:
    file = source(1)
    pieces = plan(TABLE, set(file), "file")
    assert read(pieces["scale"], file.__getitem__, "file") is file["scale"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda keys: keys | {"layers.0.bias", "head"}, r"folder: unknown tensors head, layers\.0\.bias"),
        (lambda keys: keys - {"layers.0.k.weight"}, r"layers\.0\.k\.weight missing \(beside layers\.0\.q\.weight\)"),
        (lambda keys: keys | {"layers.x.q.weight"}, r"unknown tensors layers\.x\.q\.weight"),
    ],
)
def test_refuses_by_name(change, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        plan(TABLE, change(set(source(1))), "folder")


@pytest.mark.parametrize(
    ("key", "shape"), [("layers.0.k.weight", ()), ("layers.0.k.weight", (2, 4)), ("proj", (2, 2, 2))]
)
def test_shapes_that_cannot_be_joined_or_transposed(key: str, shape: tuple[int, ...]) -> None:
    file = source(1) | {key: torch.zeros(shape)}
    with pytest.raises(
        CheckpointError, match=rf"file: .*{re.escape(key)}.* cannot have the shapes .*{re.escape(str(shape))}"
    ):
        [read(piece, file.__getitem__, "file") for piece in plan(TABLE, set(file), "file").values()]


def test_two_sources_for_one_target() -> None:
    with pytest.raises(CheckpointError, match=r"both \('a',\) and \('b',\) hold t"):
        plan((move("a", "t"), move("b", "t")), {"a", "b"}, "file")


@pytest.mark.parametrize("also", [move("scale", "other"), drop("scale"), drop("*")])
def test_an_ambiguous_table_is_a_mistake_of_ours(also: Rule) -> None:
    with pytest.raises(ValueError, match="ambiguous"):
        plan((move("scale", "scale"), move("1", "one"), also), {"scale", "1"}, "file")


def test_writing_needs_a_rule_for_each_tensor() -> None:
    with pytest.raises(ValueError, match="extra has 0 rules"):
        write(TABLE, {"extra": torch.zeros(1)})
