"""Rows of an index made by hand, what an index holds, and what a run of `sync` says."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from sightline.index import Table
from sightline.index.schema import ModelRecord, item_schema
from sightline.index.uri import to_path, to_uri

MODEL = ModelRecord("fake", "ab" * 32, 8)


def rows(ids, **given):
    """Whole rows; the vector of row i starts with i."""
    values = {
        "uri": [f"/photos/{id}.jpg" for id in ids],
        "kind": ["image"] * len(ids),
        "size": [100 + id for id in ids],
        "mtime": [10**18 + id for id in ids],
        "hash": [f"{id:032x}" for id in ids],
        "width": [4] * len(ids),
        "height": [3] * len(ids),
        "vector": [[id] + [0] * 7 for id in ids],
        "id": list(ids),
        **given,
    }
    schema = item_schema(MODEL)
    return pa.table([values.get(name, [None] * len(ids)) for name in schema.names], schema=schema)


def rows_of(
    vectors: NDArray[Any],
    first: int = 0,
    folder: Path = Path("/pictures"),
    facts: Callable[[int], dict[str, Any]] = lambda i: {},
) -> pa.Table:
    """Whole rows for the table: ids from `first`, files 00000.jpg, ..., and what `facts` says otherwise."""
    dim = vectors.shape[1]
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4), "teal").save(buffer, "JPEG")
    plain = {
        "kind": "image", "start": None, "end": None, "size": 1000, "mtime": 0, "width": 600, "height": 400,
        "taken": None, "caption": None, "thumbnail": buffer.getvalue(),
    }  # fmt: skip
    rows = [
        {
            "id": first + i,
            "uri": to_uri(folder / f"{first + i:05}.jpg"),
            "hash": f"{first + i:032x}",
            "vector": vector.astype(np.float16),
            **plain,
            **facts(first + i),
        }
        for i, vector in enumerate(vectors)
    ]
    return pa.Table.from_pylist(rows, schema=item_schema(ModelRecord("names", "f00d", dim)))


def contents(folder):
    """What the index holds, by path: all columns but the id and the time at which the row was added."""
    names = [name for name in item_schema(Table.open(folder).model).names if name not in ("id", "added")]
    rows = Table.open(folder).columns(names).to_pylist()
    held = {to_path(row.pop("uri")): row for row in rows}
    assert len(held) == len(rows), "a uri is there twice"
    return held


def ids(folder):
    """The id of each path's row."""
    rows = Table.open(folder).columns(["uri", "id"]).to_pylist()
    return {to_path(row["uri"]): row["id"] for row in rows}


def counts(report):
    return {name: value for name, value in vars(report).items() if value and name not in ("skipped", "indexed")}


def reasons(report):
    return {path.name: reason for path, reason in report.skipped}
