"""The table brought up to date with folders, in commits small enough that a killed run loses little."""

import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from sightline.errors import ImageError, ModelMismatch, SightlineError, UsageError
from sightline.index import lists, lock, walk
from sightline.index.folder import claim, exists
from sightline.index.item import Item
from sightline.index.plan import Plan, below, compare, rows_by_path
from sightline.index.schema import ModelRecord, item_schema
from sightline.index.table import Table
from sightline.index.uri import to_uri

T = TypeVar("T")

_BATCH = 256
_SECONDS = 5.0
"""A batch is committed when it is full or this old: so much is lost at most when a run is killed."""
_AMENDED = 2048
"""Rows at a time that get a new name or time; they are whole rows, thumbnails with them."""


class Encoder(Protocol):
    """What is wanted of `sightline.encoder.Encoder`."""

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str | None: ...
    @property
    def dim(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def size_hint(self) -> int: ...
    def stream_images(
        self, items: Iterable[T], read: Callable[[T], Image.Image], /
    ) -> Generator[tuple[T, npt.NDArray[np.float32] | SightlineError]]: ...


@dataclass(frozen=True)
class Progress:
    """How far a run is. `total` is None while it is not known. Stages: "scanning", "encoding", "finishing"."""

    stage: str
    done: int = 0
    total: int | None = None
    added: int = 0
    skipped: int = 0
    path: Path | None = None


@dataclass
class Summary:
    """What a run did, in files. `changed` are rows with new contents; a changed file that can no longer be read is
    both skipped and removed. `skipped` says why."""

    added: int = 0
    unchanged: int = 0
    moved: int = 0
    changed: int = 0
    removed: int = 0
    skipped: list[tuple[Path, str]] = field(default_factory=list)


Report = Callable[[Progress], None]


def sync(
    folder: str | os.PathLike[str],
    paths: Sequence[str | os.PathLike[str]],
    encoder: Encoder,
    progress: Report | None = None,
    *,
    wait: float = 0.0,
) -> Summary:
    """Bring the index in `folder` up to date with the pictures at and below `paths`.

    Only rows at and below `paths` are touched, and those of files that moved there. Files whose size and time are those
    in the table are not read. A killed run loses at most the last few seconds of work; the next one goes on. Another
    writer at work is waited for `wait` seconds. Raises IndexLocked, ModelMismatch, UsageError for a path that is not
    there, and IndexFault where a folder lost all its pictures at once or the index cannot be written.
    """
    folder, report = Path(folder).absolute(), progress or (lambda _: None)
    roots = walk.roots_of(paths)
    for root in roots:
        if not os.path.lexists(root) and not (exists(folder) and below(rows_by_path(Table.open(folder)), [root])):
            raise UsageError(f"{root}: no such file or folder")
    claim(folder)
    with lock.writer(folder, wait) as finished:
        report(Progress("scanning"))
        found = walk.listing(roots, avoid=folder)
        summary = Summary(skipped=found.skipped)
        table = _table(folder, encoder, found)
        if table is not None:
            if not finished:
                table.sweep()
            plan = compare(table, roots, found, lambda *state: report(_scanning(*state)))
            summary.unchanged, summary.moved, summary.removed = plan.unchanged, plan.moved, len(plan.remove)
            _amend(table, plan)
            _encode(table, plan, encoder, summary, report)
            report(Progress("finishing"))
            table.tidy()
            lists.refresh(table)
    return summary


def forget(folder: str | os.PathLike[str], paths: Sequence[str | os.PathLike[str]], *, wait: float = 0.0) -> int:
    """Drop what the index holds at and below `paths`, whether or not it still exists; returns how many rows."""
    folder = Path(folder).absolute()
    Table.open(folder)
    with lock.writer(folder, wait) as finished:
        table = Table.open(folder)
        if not finished:
            table.sweep()
        ids = [row.id for row in below(rows_by_path(table), walk.roots_of(paths)).values()]
        if ids:
            table.remove(ids)
            table.tidy()
    return len(ids)


def _scanning(done: int, total: int, path: Path) -> Progress:
    return Progress("scanning", done, total, path=path)


def _table(folder: Path, encoder: Encoder, found: walk.Listing) -> Table | None:
    """The table, made if there is something to put into it."""
    model = ModelRecord(encoder.name, encoder.fingerprint, encoder.dim, encoder.revision)
    if not exists(folder):
        return Table.create(folder, model) if found.files else None
    table = Table.open(folder)
    if table.model.fingerprint == encoder.fingerprint:
        return table
    if not table.count():  # left by a run whose model turned out to be broken, say: it binds nobody
        return Table.create(folder, model)
    if table.model.name == encoder.name:
        raise ModelMismatch(
            f"{folder} was built by {encoder.name} as it was then; its weights, config or preprocessing are others "
            f"now: index into another folder with --index, or delete {folder} first"
        )
    raise ModelMismatch(
        f"{folder} was built by {table.model.name} ({table.model.fingerprint[:12]}), not by {encoder.name} "
        f"({encoder.fingerprint[:12]}): use --model {table.model.name}, or another folder with --index"
    )


def _amend(table: Table, plan: Plan) -> None:
    """Tell the table of new names and times, then of files that are gone."""
    ids = list(plan.amend)
    for start in range(0, len(ids), _AMENDED):
        rows = table.take(ids[start : start + _AMENDED])
        told = [plan.amend[id] for id in ids[start : start + _AMENDED]]
        for name, values in ("uri", [to_uri(path) for path, _ in told]), ("mtime", [mtime for _, mtime in told]):
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, rows.schema.field(place), pa.array(values))
        table.replace(rows)
    if plan.remove:
        table.remove(plan.remove)


def _encode(table: Table, plan: Plan, encoder: Encoder, summary: Summary, report: Report) -> None:
    if not plan.encode:
        return
    ids = {path: row.id for path, row in plan.encode.items() if row is not None}
    batch = _Batch(table, set(ids.values()), summary)
    new = [path for path, row in plan.encode.items() if row is None]
    if new:
        ids.update(zip(new, range(table.reserve(len(new)), 2**63), strict=False))
    items = (Item(ids[path], Path(path)) for path in plan.encode)  # never all at once: each holds a thumbnail
    # Closed whatever happens: its threads would go on reading files.
    with closing(encoder.stream_images(items, lambda item: item.read(encoder.size_hint))) as stream:
        try:
            for done, (item, vector) in enumerate(stream, start=1):
                batch.add(item, vector)
                report(Progress("encoding", done, len(plan.encode), summary.added, len(summary.skipped), item.path))
        except KeyboardInterrupt:
            batch.flush()
            raise
    batch.flush()


class _Batch:
    """Encoded items on their way into the table. `old` are the ids that are in it."""

    def __init__(self, table: Table, old: set[int], summary: Summary) -> None:
        self._table, self._old, self._summary = table, old, summary
        self._start()

    def _start(self) -> None:
        self._new: list[tuple[Item, Any]] = []
        self._changed: list[tuple[Item, Any]] = []
        self._unreadable: list[int] = []
        self._since = time.monotonic()

    def add(self, item: Item, vector: npt.NDArray[np.float32] | SightlineError) -> None:
        if not isinstance(vector, SightlineError) and not np.isfinite(vector).all():
            vector = ImageError(str(item.path), "the model gives no finite vector for it")
        if isinstance(vector, SightlineError):
            reason = vector.reason if isinstance(vector, ImageError) else str(vector)
            self._summary.skipped.append((item.path, reason))
            if item.id in self._old:  # the row no longer tells what is in the file
                self._unreadable.append(item.id)
                self._summary.removed += 1
        elif item.id in self._old:
            self._changed.append((item, vector))
            self._summary.changed += 1
        else:
            self._new.append((item, vector))
            self._summary.added += 1
        if len(self._new) + len(self._changed) >= _BATCH or time.monotonic() - self._since > _SECONDS:
            self.flush()
            self._table.tidy()

    def flush(self) -> None:
        """Commit. Between the commits, too, every row is whole and there once.

        Rows are let go of before they are committed: an interrupt out of a commit does not tell whether it took
        place, and a second one would double them. What was lost, the next run finds missing.
        """
        changed, new, unreadable = self._changed, self._new, self._unreadable
        self._start()
        if changed:
            self._table.replace(self._to_arrow(changed))
        if new:
            self._table.append(self._to_arrow(new))
        if unreadable:
            self._table.remove(unreadable)

    def _to_arrow(self, rows: Sequence[tuple[Item, Any]]) -> pa.Table:
        schema = item_schema(self._table.model)
        items = [item for item, _ in rows]
        vectors = np.concatenate([vector for _, vector in rows]).astype(np.float16)
        columns: dict[str, Any] = {
            "uri": [to_uri(item.path) for item in items],
            "kind": ["image"] * len(items),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors), self._table.model.dim),
        }
        for name in ("id", "size", "mtime", "hash", "width", "height", "taken", "thumbnail"):
            columns[name] = [getattr(item, name) for item in items]
        for name in ("start", "end", "caption"):
            columns[name] = pa.nulls(len(items), schema.field(name).type)
        return pa.table([columns[name] for name in schema.names], schema=schema)
