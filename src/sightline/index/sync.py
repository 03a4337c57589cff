"""Folder against table: what is new, changed, moved or gone, and the table brought up to date."""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from sightline.errors import ImageError, IndexFault, ModelMismatch, SightlineError, UsageError
from sightline.index import lock, walk
from sightline.index.item import Item, hash_file, open_file
from sightline.index.schema import ModelRecord, item_schema
from sightline.index.table import Table, claim, exists
from sightline.index.uri import to_text, to_uri

T = TypeVar("T")

_BATCH = 256
_SECONDS = 5.0
"""A batch is committed when it is full or this old: so much is lost at most when a run is killed."""


class Encoder(Protocol):
    """What is wanted of `sightline.encoder.Encoder`."""

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def size_hint(self) -> int: ...
    def stream_images(
        self, items: Iterable[T], open: Callable[[T], Image.Image]
    ) -> Iterator[tuple[T, npt.NDArray[np.float32] | SightlineError]]: ...


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
    """What a run did, in files. `changed` counts rows with new contents, `skipped` says why."""

    added: int = 0
    unchanged: int = 0
    moved: int = 0
    changed: int = 0
    removed: int = 0
    skipped: list[tuple[Path, str]] = field(default_factory=list)


class _Row(NamedTuple):
    id: int
    size: int
    mtime: int
    hash: str


@dataclass
class _Plan:
    """`amend`: id -> (path, mtime) of rows whose contents stay; `encode`: path -> row it replaces, if any."""

    amend: dict[int, tuple[str, int]] = field(default_factory=dict)
    remove: list[int] = field(default_factory=list)
    encode: dict[str, _Row | None] = field(default_factory=dict)


def sync(
    folder: str | os.PathLike[str],
    paths: Sequence[str | os.PathLike[str]],
    encoder: Encoder,
    progress: Callable[[Progress], None] | None = None,
    *,
    wait: float = 0.0,
) -> Summary:
    """Bring the index in `folder` up to date with the pictures at and below `paths`.

    Only rows at and below `paths` are touched. Files whose size and time are those in the table are not read. A killed
    run loses at most the last few seconds of work; the next one goes on. Another writer at work is waited for `wait`
    seconds. Raises IndexLocked, ModelMismatch, UsageError for a path that is not there, and IndexFault where a folder
    lost all its pictures at once.
    """
    folder, report = Path(folder), progress or (lambda _: None)
    roots = walk.roots_of(paths)
    for root in roots:
        if not os.path.lexists(root) and not _rows_below(folder, [root]):
            raise UsageError(f"{root}: no such file or folder")
    claim(folder)
    with lock.writer(folder, wait):
        report(Progress("scanning"))
        found = walk.listing(roots, avoid=folder)
        table = _table(folder, encoder, found)
        summary = Summary(skipped=found.skipped)
        if table is not None:
            plan = _compare(table, roots, found, summary, report)
            _tell_of_moves(table, plan)
            _encode(table, plan, encoder, summary, report)
            report(Progress("finishing"))
            table.tidy()
    return summary


def forget(folder: str | os.PathLike[str], paths: Sequence[str | os.PathLike[str]], *, wait: float = 0.0) -> int:
    """Drop what the index holds at and below `paths`, whether or not it still exists; returns how many rows."""
    folder = Path(folder)
    Table.open(folder)
    with lock.writer(folder, wait):
        table = Table.open(folder)
        ids = [row.id for row in _known(table, walk.roots_of(paths)).values()]
        if ids:
            table.remove(ids)
            table.tidy()
    return len(ids)


def _table(folder: Path, encoder: Encoder, found: walk.Listing) -> Table | None:
    """The table, made if there is something to put into it."""
    if not exists(folder):
        model = ModelRecord(encoder.name, encoder.fingerprint, encoder.dim, getattr(encoder, "revision", None))
        return Table.create(folder, model) if found.files else None
    table = Table.open(folder)
    if table.model.fingerprint != encoder.fingerprint:
        raise ModelMismatch(
            f"{folder} was built by {table.model.name} ({table.model.fingerprint[:12]}), not by {encoder.name} "
            f"({encoder.fingerprint[:12]}): use --model {table.model.name}, or another folder with --index"
        )
    return table


def _rows_below(folder: Path, roots: Sequence[str]) -> int:
    return len(_known(Table.open(folder), roots)) if exists(folder) else 0


def _known(table: Table, roots: Sequence[str]) -> dict[str, _Row]:
    """The rows at and below `roots`, by path."""
    columns = [column.to_pylist() for column in table.columns(["uri", *_Row._fields]).columns]
    known: dict[str, _Row] = {}
    for uri, *facts in zip(*columns, strict=True):
        path = to_text(uri)
        if any(walk.is_below(path, root) for root in roots):
            known[path] = _Row(*facts)
    return known


def _compare(
    table: Table, roots: Sequence[str], found: walk.Listing, summary: Summary, report: Callable[[Progress], None]
) -> _Plan:
    known = _known(table, roots)
    for path in known.keys() - found.files.keys():
        if not walk.is_listed(path):  # given by its own name once
            found.look(path)
    gone = {path: row for path, row in known.items() if path not in found.files and not found.is_blocked(path)}
    for root in roots:
        lost = sum(walk.is_below(path, root) for path in gone)
        if lost and not any(walk.is_below(path, root) for path in found.files):
            raise IndexFault(
                f"{root} holds no picture any more, but the index holds {lost} from there: is its disk mounted? "
                f"To drop them: `sightline index {root} --forget`"
            )
    plan = _Plan()
    gone_by_size: defaultdict[int, list[_Row]] = defaultdict(list)
    for row in gone.values():
        gone_by_size[row.size].append(row)
    doubtful: list[tuple[str, list[_Row]]] = []
    for path, (size, mtime) in found.files.items():
        held = known.get(path)
        if held and (held.size, held.mtime) == (size, mtime):
            summary.unchanged += 1
            continue
        plan.encode[path] = held
        twins = gone_by_size[size] if held is None else [held] if held.size == size else []
        if twins:
            doubtful.append((path, twins))
    with ThreadPoolExecutor(4) as pool:
        hashes = pool.map(_hash, (path for path, _ in doubtful))
        for done, ((path, twins), hashed) in enumerate(zip(doubtful, hashes, strict=True)):
            report(Progress("scanning", done, len(doubtful), path=Path(path)))
            same = next((twin for twin in twins if twin.hash == hashed and twin.id not in plan.amend), None)
            if same is None:
                continue
            plan.amend[same.id] = path, found.files[path][1]
            if plan.encode.pop(path) is None:
                summary.moved += 1
            else:
                summary.unchanged += 1
    plan.remove = [row.id for row in gone.values() if row.id not in plan.amend]
    summary.removed = len(plan.remove)
    return plan


def _hash(path: str) -> str | None:
    try:
        with open_file(Path(path)) as file:
            return hash_file(file)
    except (OSError, ImageError):
        return None  # encoding it will say why


def _tell_of_moves(table: Table, plan: _Plan) -> None:
    amended = list(plan.amend.items())
    for start in range(0, len(amended), 8192):
        part = amended[start : start + 8192]
        ids, uris, times = zip(*((id, to_uri(path), mtime) for id, (path, mtime) in part), strict=True)
        schema = item_schema(table.model)
        table.replace(
            pa.table([ids, uris, times], schema=pa.schema([schema.field(name) for name in ("id", "uri", "mtime")]))
        )
    if plan.remove:
        table.remove(plan.remove)


def _encode(table: Table, plan: _Plan, encoder: Encoder, summary: Summary, report: Callable[[Progress], None]) -> None:
    if not plan.encode:
        return
    new = sum(row is None for row in plan.encode.values())
    fresh = iter(range(table.reserve(new), 2**63 - 1)) if new else iter(())
    items = [Item(next(fresh) if row is None else row.id, Path(path)) for path, row in plan.encode.items()]
    old = {row.id for row in plan.encode.values() if row is not None}
    batch = _Batch(table, old)
    stream = encoder.stream_images(items, lambda item: item.read(encoder.size_hint))
    for done, (item, vector) in enumerate(stream, start=1):
        if isinstance(vector, SightlineError):
            summary.skipped.append((item.path, vector.reason if isinstance(vector, ImageError) else str(vector)))
            if item.id in old:
                batch.unreadable.append(item.id)
                summary.removed += 1
        else:
            batch.add(item, vector)
            if item.id in old:
                summary.changed += 1
            else:
                summary.added += 1
        report(Progress("encoding", done, len(items), summary.added, len(summary.skipped), item.path))
    batch.flush()


class _Batch:
    """Encoded items on their way to the table."""

    def __init__(self, table: Table, old: set[int]) -> None:
        self._table, self._old = table, old
        self._rows: list[tuple[Item, Any]] = []
        self._since = time.monotonic()
        self.unreadable: list[int] = []

    def add(self, item: Item, vector: npt.NDArray[np.float32]) -> None:
        self._rows.append((item, vector.astype(np.float16)))
        if len(self._rows) >= _BATCH or time.monotonic() - self._since > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Commit: changed rows are replaced, new ones added, rows of files that cannot be read any more go."""
        changed = [row for row in self._rows if row[0].id in self._old]
        added = [row for row in self._rows if row[0].id not in self._old]
        if changed:
            self._table.replace(self._to_arrow(changed))
        if added:
            self._table.append(self._to_arrow(added))
        if self.unreadable:
            self._table.remove(self.unreadable)
        self._rows, self.unreadable, self._since = [], [], time.monotonic()

    def _to_arrow(self, rows: Sequence[tuple[Item, Any]]) -> pa.Table:
        items = [item for item, _ in rows]
        vectors = pa.array(np.concatenate([vector for _, vector in rows]))
        schema = item_schema(self._table.model)
        columns: dict[str, Any] = {
            "uri": [to_uri(item.path) for item in items],
            "kind": ["image"] * len(items),
            "vector": pa.FixedSizeListArray.from_arrays(vectors, self._table.model.dim),
        }
        for name in ("id", "size", "mtime", "hash", "width", "height", "taken", "thumbnail"):
            columns[name] = [getattr(item, name) for item in items]
        for name in ("start", "end", "caption"):
            columns[name] = pa.nulls(len(items), schema.field(name).type)
        return pa.table([columns[name] for name in schema.names], schema=schema)
