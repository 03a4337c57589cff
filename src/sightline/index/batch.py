"""Encoded files on their way into the table, committed some at a time, each with all its rows or not at all."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sightline.errors import ImageError, SightlineError
from sightline.index.item import Facts
from sightline.index.plan import Held
from sightline.index.schema import SUMMARY, item_schema
from sightline.index.table import Table
from sightline.index.uri import to_uri

_BATCH = 256
_SECONDS = 5.0
"""A batch is committed when it is full or this old: so much is lost at most when a run is killed."""


@dataclass
class Summary:
    """What a run did, in files. `changed` are those with new contents; a changed file that can no longer be read is
    both skipped and removed. `skipped` says why."""

    added: int = 0
    unchanged: int = 0
    moved: int = 0
    changed: int = 0
    removed: int = 0
    skipped: list[tuple[Path, str]] = field(default_factory=list)


class Part(NamedTuple):
    """A picture, or a moment of a video: its facts, its vector or why it has none, and the rows kept beside it."""

    facts: Facts | None
    vector: NDArray[np.float32] | SightlineError
    extras: NDArray[np.float16] | None


@dataclass(frozen=True)
class Row:
    """A row on its way into the table; its file has `rows` of them."""

    id: int
    path: Path
    facts: Facts
    vector: NDArray[np.float32]
    extras: NDArray[np.float16] | None
    rows: int


class Batch:
    """The files that wait for the next commit. `files` says what the table holds of each that is to come."""

    def __init__(self, table: Table, files: Mapping[str, Held | None], summary: Summary) -> None:
        self._table, self._files, self._summary = table, files, summary
        new = sum(held is None for held in files.values())
        first = table.reserve(new) if new else 0
        self._ids = range(first, first + new)
        self._start()

    def _start(self) -> None:
        self._new: list[Row] = []
        self._changed: list[Row] = []
        self._gone: list[int] = []
        self._since = time.monotonic()

    def add(self, path: Path, parts: Sequence[Part]) -> None:
        """Take in a file: a picture is one part, a video has its moments."""
        held = self._files[os.fspath(path)]
        error = next((part.vector for part in parts if isinstance(part.vector, SightlineError)), None)
        numbers = [array for part in parts for array in (part.vector, part.extras) if isinstance(array, np.ndarray)]
        if error is None and not all(np.isfinite(array).all() for array in numbers):
            error = ImageError(str(path), "the model gives no finite vector for it")
        if error is not None:
            self._summary.skipped.append((path, error.reason if isinstance(error, ImageError) else str(error)))
            if held is not None:  # the rows no longer tell what is in the file
                self._gone += held.ids
                self._summary.removed += 1
            return
        old = () if held is None else held.ids
        ids = [*old[: len(parts)], *self._new_ids(len(parts) - len(old))]
        rows = [
            Row(id, path, part.facts, part.vector, part.extras, len(parts))
            for id, part in zip(ids, parts, strict=True)
            if part.facts is not None and not isinstance(part.vector, SightlineError)
        ]
        if held is None:
            self._new += rows
            self._summary.added += 1
        else:
            self._changed += rows
            self._gone += old[len(parts) :]
            self._summary.changed += 1

    def _new_ids(self, count: int) -> range:
        if count > len(self._ids):  # a film has more moments than ids were set aside: what is left of them stays unused
            first = self._table.reserve(count + _BATCH)
            self._ids = range(first, first + count + _BATCH)
        taken, self._ids = self._ids[: max(count, 0)], self._ids[max(count, 0) :]
        return taken

    def flush_in_time(self) -> None:
        """Commit if the batch is full or old."""
        if len(self._new) + len(self._changed) >= _BATCH or time.monotonic() - self._since > _SECONDS:
            self.flush()
            self._table.tidy()

    def flush(self) -> None:
        """Commit. Between the commits, too, every file is whole and there once.

        Rows are let go of before they are committed: an interrupt out of a commit does not tell whether it took
        place, and a second one would double them. What was lost, the next run finds missing.
        """
        changed, new, gone = self._changed, self._new, self._gone
        self._start()
        if changed:
            self._table.replace(self._to_arrow(changed), gone)
        elif gone:
            self._table.remove(gone)
        if new:
            self._table.append(self._to_arrow(new))

    def _to_arrow(self, rows: Sequence[Row]) -> pa.Table:
        schema = item_schema(self._table.model)
        vectors = np.concatenate([row.vector for row in rows]).astype(np.float16)
        columns: dict[str, Any] = {
            "id": [row.id for row in rows],
            "uri": [to_uri(row.path) for row in rows],
            "kind": ["image" if row.facts.start is None else "moment" for row in rows],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors), self._table.model.dim),
            "moments": [None if row.facts.start is None else row.rows for row in rows],
            "caption": pa.nulls(len(rows), schema.field("caption").type),
        }
        for name in ("size", "mtime", "hash"):
            columns[name] = [getattr(row.facts.file, name) for row in rows]
        for name in ("start", "end", "width", "height", "taken", "thumbnail"):
            columns[name] = [getattr(row.facts, name) for row in rows]
        if SUMMARY in schema.names:
            flat = pa.array(np.concatenate([row.extras.ravel() for row in rows if row.extras is not None]))
            columns[SUMMARY] = pa.FixedSizeListArray.from_arrays(flat, schema.field(SUMMARY).type.list_size)
        return pa.table([columns[name] for name in schema.names], schema=schema)
