"""The table brought up to date with folders, in commits small enough that a killed run loses little."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from sightline.errors import ModelMismatch, SightlineError, UsageError
from sightline.index import ivf, lock, walk
from sightline.index.batch import Batch, Part, Summary
from sightline.index.folder import claim, exists
from sightline.index.item import Facts, Item, read
from sightline.index.plan import Plan, below, compare, files_of
from sightline.index.schema import ModelRecord
from sightline.index.table import Table
from sightline.index.uri import to_uri
from sightline.models.regions import Shape, packed_rows
from sightline.processing.suffixes import is_video

_AMENDED = 2048
_AMENDED_BYTES = 64 << 20
"""Rows at a time that get a new name or time, and bytes of their vectors; they are whole rows, thumbnails with them."""


class Encoded(Protocol):
    """What an encoder's stream yields."""

    @property
    def item(self) -> Item: ...
    @property
    def facts(self) -> Facts | None: ...
    @property
    def vector(self) -> NDArray[np.float32] | SightlineError: ...
    @property
    def extras(self) -> NDArray[np.float16] | None: ...


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
    @property
    def frames(self) -> int: ...
    @property
    def summary(self) -> int: ...
    @property
    def regions(self) -> Shape | None: ...
    def stream(
        self,
        items: Iterable[Item],
        read: Callable[[Item], tuple[Image.Image | Sequence[Image.Image], Facts]],
        is_video: Callable[[Item], bool],
        /,
        *,
        extras: bool,
    ) -> Generator[Encoded]: ...


@dataclass(frozen=True)
class Progress:
    """How far a run is, in files. `total` is None while it is not known. Stages: "scanning", "encoding", "finishing".
    `second` is how far a film is, None where it is a picture."""

    stage: str
    done: int = 0
    total: int | None = None
    added: int = 0
    skipped: int = 0
    path: Path | None = None
    second: float | None = None


Report = Callable[[Progress], None]


def sync(
    folder: str | os.PathLike[str],
    paths: Sequence[str | os.PathLike[str]],
    encoder: Encoder,
    progress: Report | None = None,
    *,
    wait: float = 0.0,
    regions: bool = False,
) -> Summary:
    """Bring the index in `folder` up to date with the pictures and films at and below `paths`.

    Only rows at and below `paths` are touched, and those of files that moved there. Files whose size and time are those
    in the table are not read. A killed run loses at most the last few seconds of work and the film that it was at; the
    next one goes on. All moments of a film are there or none. Another writer at work is waited for `wait` seconds.
    A new index keeps the `regions` of each picture if that is wanted, and then goes on to. Raises IndexLocked,
    ModelMismatch, UsageError for a path that is not there and for regions that cannot be had, and IndexFault where a
    folder lost all its files at once or the index cannot be written.
    """
    folder, report = Path(folder).absolute(), progress or (lambda _: None)
    roots = walk.roots_of(paths)
    for root in roots:
        if not os.path.lexists(root) and not (exists(folder) and below(files_of(Table.open(folder)), [root])):
            raise UsageError(f"{root}: no such file or folder")
    claim(folder)
    with lock.writer(folder, wait) as finished:
        report(Progress("scanning"))
        found = walk.listing(roots, avoid=folder)
        summary = Summary(skipped=found.skipped)
        table = _table(folder, encoder, found, regions)
        if table is not None:
            if not finished:
                table.sweep()
            table.upgrade()
            plan = compare(table, roots, found, lambda *state: report(_scanning(*state)))
            summary.unchanged, summary.moved, summary.removed = plan.unchanged, plan.moved, len(plan.remove)
            _amend(table, plan)
            _encode(table, plan, encoder, summary, report)
            report(Progress("finishing"))
            table.tidy()
            ivf.refresh(table)
    return summary


def forget(folder: str | os.PathLike[str], paths: Sequence[str | os.PathLike[str]], *, wait: float = 0.0) -> int:
    """Drop what the index holds at and below `paths`, whether or not it still exists; returns how many files."""
    folder = Path(folder).absolute()
    Table.open(folder)
    with lock.writer(folder, wait) as finished:
        table = Table.open(folder)
        if not finished:
            table.sweep()
        files = below(files_of(table), walk.roots_of(paths)).values()
        if files:
            table.remove([id for held in files for id in held.ids])
            table.tidy()
    return len(files)


def _scanning(done: int, total: int, path: Path) -> Progress:
    return Progress("scanning", done, total, path=path)


def _table(folder: Path, encoder: Encoder, found: walk.Listing, regions: bool) -> Table | None:
    """The table, made if there is something to put into it."""
    model = ModelRecord(encoder.name, encoder.fingerprint, encoder.dim, encoder.revision, encoder.summary)
    if regions:
        shape = encoder.regions
        if shape is None:
            raise UsageError(
                f"{encoder.name} sees no regions in pictures; that takes a GroupViT: --model mini-groupvit"
            )
        model = replace(model, summary=packed_rows(shape, encoder.dim), regions=shape)
    if not exists(folder):
        return Table.create(folder, model) if found.files else None
    table = Table.open(folder)
    if table.model.fingerprint == encoder.fingerprint and (table.model.regions or not regions):
        return table
    if not table.count():  # left by a run whose model turned out to be broken, say: it binds nobody
        return Table.create(folder, model)
    if table.model.fingerprint == encoder.fingerprint:
        raise UsageError(
            f"{folder} was made without regions and cannot take them in: index into another folder with --index, or "
            f"delete {folder} first"
        )
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
    """Tell the table of new names and times, those of one file in one commit, then of files that are gone."""
    ids, model = list(plan.amend), table.model
    step = max(1, min(_AMENDED, _AMENDED_BYTES // (2 * model.dim * (1 + model.summary))))
    start = 0
    while start < len(ids):
        stop = min(start + step, len(ids))
        while stop < len(ids) and plan.amend[ids[stop]] == plan.amend[ids[stop - 1]]:
            stop += 1
        rows = table.take(ids[start:stop])
        told = [plan.amend[id] for id in ids[start:stop]]
        for name, values in ("uri", [to_uri(path) for path, _ in told]), ("mtime", [mtime for _, mtime in told]):
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, rows.schema.field(place), pa.array(values))
        table.replace(rows)
        start = stop
    if plan.remove:
        table.remove([id for held in plan.remove for id in held.ids])


def _encode(table: Table, plan: Plan, encoder: Encoder, summary: Summary, report: Report) -> None:
    if not plan.encode:
        return
    batch = Batch(table, plan.encode, summary)
    items = _items(plan.encode, encoder)  # never all at once: they hold thumbnails and frames
    done, parts = 0, list[Part]()
    # Closed whatever happens: its threads would go on reading files.
    extras = table.model.summary > 0
    stream = encoder.stream(items, lambda item: read(item, encoder.size_hint), Item.is_moment, extras=extras)
    with closing(stream):
        try:
            for encoded in stream:
                item = encoded.item
                parts.append(Part(encoded.facts, encoded.vector, encoded.extras))  # without the frames
                if item.is_last:
                    batch.add(item.path, parts)
                    done, parts = done + 1, []
                batch.flush_in_time()
                counts = done, len(plan.encode), summary.added, len(summary.skipped)
                report(Progress("encoding", *counts, item.path, item.end))
        except KeyboardInterrupt:
            batch.flush()
            raise
    batch.flush()


def _items(paths: Iterable[str], encoder: Encoder) -> Iterator[Item]:
    for path in paths:
        if is_video(path):
            from sightline.index.video_items import cut

            yield from cut(Path(path), encoder.frames, encoder.size_hint)
        else:
            yield Item(Path(path))
