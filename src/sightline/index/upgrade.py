"""A table of an older format brought up to today's: its rows are copied, the files' headers read, nothing is encoded.

The new table is filled beside the old one, a few hundred rows a commit; UPGRADE notes which table it is made from, and
in which version. A run that is killed leaves the old table as it was, and the next run copies the rows that are still
missing. When all rows are there the pointer is switched, in one step; the old table stays until no reader can still be
using it (see `cleanup`). Needs the writer's lock held throughout.
"""

import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa

from sightline.errors import IndexDamaged
from sightline.index import cleanup
from sightline.index.folder import UPGRADE, flush, is_table, read_note, switch, tables, upgrade_target, write_note
from sightline.index.rows import with_column, with_headers
from sightline.index.schema import VERSION
from sightline.index.table import Table
from sightline.index.uri import to_path
from sightline.processing.image.phash import perceptual_hash
from sightline.progress import Progress, ProgressCallback


def upgrade(table: Table, progress: ProgressCallback) -> Table:
    """The live table in today's format. Ids and vectors stay; `added`, `precision` and what a file's header does not
    say are null, and of a file that cannot be read all metadata but `taken`."""
    if table.version == VERSION:
        with table.writing():
            (table.folder / UPGRADE).unlink(missing_ok=True)  # killed after the switch
        return table
    target = _resumed(table) or _begun(table)
    ids, done = (each.columns(["id"]).column("id").to_numpy() for each in (table, target))
    missing = ids[~np.isin(ids, done)]
    step = min(table.limits.upgraded_rows, table.limits.copied(table.model))
    progress(Progress("upgrading", len(done), len(ids)))
    for start in range(0, len(missing), step):
        batch = missing[start : start + step]
        target.append(_upgraded(table.take(batch)))
        cleanup.tidy(target)
        progress(Progress("upgrading", len(done) + start + len(batch), len(ids)))
    target.reserve(table.next_id() - target.next_id())
    with table.writing():
        for path in target.path.rglob("*"):
            flush(path)
        switch(table.folder, target.path.name)
        (table.folder / UPGRADE).unlink()
    return target


def _resumed(table: Table) -> Table | None:
    """The table that a killed run began to fill from this version of the old table; None if there is none."""
    target = upgrade_target(table.folder)
    if target is None or not is_table(target) or read_note(table.folder / UPGRADE) != _note(table, target.name):
        return None
    with suppress(IndexDamaged):
        resumed = Table.open(table.folder, table.limits, target.name)
        cleanup.sweep(resumed)
        return resumed
    return None


def _begun(table: Table) -> Table:
    """A new, empty table, in the place of one that cannot be resumed."""
    folder, given_up = table.folder, upgrade_target(table.folder)
    with table.writing():
        if given_up is not None and given_up.exists():
            shutil.rmtree(given_up)
    name = f"items-{max(tables(folder)) + 1}.lance"
    write_note(folder / UPGRADE, _note(table, name))
    return Table.create(folder, table.model, table.limits, name)


def _note(table: Table, target: str) -> dict[str, str | int]:
    return {"source": table.path.name, "version": table.dataset.version, "target": target}


def _upgraded(rows: pa.Table) -> pa.Table:
    """Rows of an older format with what their files' headers and their thumbnails say."""
    rows = with_column(rows, "phash", [_phash(image) for image in rows.column("thumbnail").to_pylist()])
    # Formats before 3 read the time from EXIF alone.
    rows = with_column(rows, "taken_source", [time and "exif" for time in rows.column("taken").to_pylist()])
    files = zip(*(rows.column(name).to_pylist() for name in ("uri", "size")), strict=True)
    return with_headers(rows, [_path_if_unchanged(uri, size) for uri, size in files])


def _path_if_unchanged(uri: str, size: int) -> Path | None:
    """The path of a file; None if it is gone or of another size: then it has new contents, and will have a new row."""
    path = to_path(uri)
    try:
        return path if path.stat().st_size == size else None
    except (OSError, ValueError):
        return None


def _phash(thumbnail: bytes | None) -> int | None:
    try:
        return None if thumbnail is None else perceptual_hash(thumbnail)
    except Exception:  # Pillow's decoders raise anything on broken data
        return None
