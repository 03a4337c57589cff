"""A table of an older format brought up to today's: its rows are copied, the files' headers read, nothing is encoded.

The new table is filled beside the old one, a few hundred rows a commit; UPGRADE notes which table it is made from, and
in which version. A run that is killed leaves the old table as it was, and the next run copies the rows that are still
missing. When all rows are there the pointer is switched, in one step; the old table stays until no reader can still be
using it (see `cleanup`). Needs the writer's lock held throughout.
"""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa

from sightline.errors import ImageError, IndexDamaged
from sightline.files import open_file
from sightline.index import cleanup, walk
from sightline.index.folder import UPGRADE, flush, is_table, read_note, switch, tables, upgrade_target, write_note
from sightline.index.rows import with_column, with_headers
from sightline.index.schema import VERSION
from sightline.index.table import Table
from sightline.index.uri import to_path
from sightline.processing.image.thumbnail import perceptual_hash
from sightline.progress import Progress, ProgressCallback

UNREAD = walk.EARLIEST - 1
"""The `mtime` of a row whose file's header could not be read: no file has it, so that `sync` compares the contents."""
_THREADS = 8
"""Files that are opened at a time."""


def upgrade(table: Table, progress: ProgressCallback) -> Table:
    """The live table in today's format. Ids and vectors stay; `added`, `precision` and what a file's header does not
    say are null, and of a file that cannot be read all metadata but `taken`: its rows get the time UNREAD, by which
    the next `sync` that finds the file reads its header."""
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
    before = _readable(rows)
    rows = with_headers(rows, before)
    read = [None not in paths for paths in zip(before, _readable(rows), strict=True)]  # a disk may go in between
    times = rows.column("mtime").to_pylist()
    return with_column(rows, "mtime", [time if is_read else UNREAD for time, is_read in zip(times, read, strict=True)])


def _readable(rows: pa.Table) -> list[Path | None]:
    """The paths of the rows' files; None for a file that is gone, of another size or not to be opened."""
    files = list(zip(*(rows.column(name).to_pylist() for name in ("uri", "size")), strict=True))
    with ThreadPoolExecutor(_THREADS) as pool:
        paths = dict(zip(dict.fromkeys(files), pool.map(_path_if_readable, dict.fromkeys(files)), strict=True))
    return [paths[file] for file in files]


def _path_if_readable(uri_and_size: tuple[str, int]) -> Path | None:
    path = to_path(uri_and_size[0])
    try:
        with open_file(path) as file:
            return path if os.fstat(file.fileno()).st_size == uri_and_size[1] else None
    except (OSError, ValueError, ImageError):
        return None


def _phash(thumbnail: bytes | None) -> int | None:
    try:
        return None if thumbnail is None else perceptual_hash(thumbnail)
    except Exception:  # Pillow's decoders raise anything on broken data
        return None
