"""Encoded files on their way into the table, committed some at a time, each with all its rows or not at all."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import pyarrow as pa

from sightline.errors import ImageError, SightlineError
from sightline.index import cleanup
from sightline.index.plan import IndexedFile
from sightline.index.rows import UNSTORABLE, Content, Row, to_arrow
from sightline.index.table import Table


@dataclass
class SyncReport:
    """What a run of `sync` did, in numbers of files. `changed` have new contents; a changed file that can no longer be
    read is both skipped and removed. `skipped` says why. `indexed`: images and moments in the index at the end.

    Left aside were: `links`, other names of files that are in the index; `excluded`, by pattern the files and folders
    that it left out; `others`, by suffix the files that are no images and no videos. Of the removed, `removed_links`
    are links of other files, and `removed_excluded` are left out by patterns now. `unmounted`: the folders of disks
    that are not there, of which all rows stay. `precision`: what "fast" chose, if vectors were computed by it."""

    added: int = 0
    unchanged: int = 0
    moved: int = 0
    changed: int = 0
    removed: int = 0
    indexed: int = 0
    links: int = 0
    removed_links: int = 0
    removed_excluded: int = 0
    excluded: Mapping[str, int] = field(default_factory=dict)
    others: Mapping[str, int] = field(default_factory=dict)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    unmounted: list[str] = field(default_factory=list)
    precision: str | None = None


class PendingRows:
    """The files that wait for the next commit. `files` says what the table holds of each file that is to come."""

    def __init__(self, table: Table, files: Mapping[str, IndexedFile | None], report: SyncReport) -> None:
        self._table, self._files, self._report = table, files, report
        new = sum(file is None for file in files.values())
        first = table.reserve(new) if new else 0
        self._ids = range(first, first + new)
        self._start()

    def _start(self) -> None:
        self._new: list[Row] = []
        self._changed: list[Row] = []
        self._gone: list[int] = []
        self._since = time.monotonic()

    def add(self, path: Path, contents: Sequence[Content]) -> None:
        """Take in a file: an image has one content, a video one for each of its moments."""
        if not all(content.is_finite() for content in contents):
            self.skip(path, ImageError(str(path), "the model gives no finite vector for it"))
            return
        indexed = self._files[os.fspath(path)]
        old = () if indexed is None else indexed.ids
        ids = [*old[: len(contents)], *self._new_ids(len(contents) - len(old))]
        moments = None if contents[0].facts.start is None else len(contents)
        rows = [Row(id, path, content, moments) for id, content in zip(ids, contents, strict=True)]
        if indexed is None:
            self._new += rows
            self._report.added += 1
        else:
            self._changed += rows
            self._gone += old[len(contents) :]
            self._report.changed += 1

    def skip(self, path: Path, error: SightlineError) -> None:
        """Leave a file out. Rows that it has go: they no longer say what is in it."""
        self._report.skipped.append((path, error.reason if isinstance(error, ImageError) else str(error)))
        indexed = self._files[os.fspath(path)]
        if indexed is not None:
            self._gone += indexed.ids
            self._report.removed += 1

    def _new_ids(self, count: int) -> range:
        if count > len(self._ids):  # a video has more moments than ids were set aside: the rest of them stay unused
            more = count + self._table.limits.batch_rows
            first = self._table.reserve(more)
            self._ids = range(first, first + more)
        ids, self._ids = self._ids[: max(count, 0)], self._ids[max(count, 0) :]
        return ids

    def flush_in_time(self) -> None:
        """Commit if the batch is full or old."""
        limits = self._table.limits
        rows, age = len(self._new) + len(self._changed), time.monotonic() - self._since
        if rows >= limits.batch_rows or age > limits.batch_seconds:
            self.flush()
            cleanup.tidy(self._table)

    def flush(self) -> None:
        """Commit. Between the commits, too, every file is whole and there once.

        Rows are let go of before they are committed: after an interrupt out of a commit it is unknown whether it took
        place, and a second commit would double them. What was lost, the next run finds missing.
        """
        changed, new, gone = self._changed, self._new, self._gone
        self._start()
        changed_rows, new_rows = self._stored(changed, gone), self._stored(new, gone)
        if changed_rows:
            self._table.replace(changed_rows, gone)
        elif gone:
            self._table.remove(gone)
        if new_rows:
            self._table.append(new_rows)

    def _stored(self, rows: Sequence[Row], gone: list[int]) -> pa.Table | None:
        """The rows as the table takes them; None for no rows. A file with a value that the table cannot hold loses no
        other: it is left out, and what the table holds of it joins `gone`."""
        if not rows:
            return None
        try:
            return to_arrow(rows, self._table.model)
        except UNSTORABLE:
            pass
        tables = []
        for path, group in groupby(rows, key=lambda row: row.path):
            file = list(group)
            try:
                tables.append(to_arrow(file, self._table.model))
            except UNSTORABLE as error:
                indexed = self._files[os.fspath(path)]
                self._report.skipped.append((path, f"the index cannot hold what it says ({error})"))
                if indexed is None:
                    self._report.added -= 1
                else:
                    self._report.changed -= 1
                    self._report.removed += 1
                    gone += indexed.ids
        return pa.concat_tables(tables) if tables else None
