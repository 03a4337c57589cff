"""Encoded files on their way into the table, committed some at a time, each with all its rows or not at all."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightline.errors import ImageError, SightlineError
from sightline.index import cleanup
from sightline.index.plan import IndexedFile
from sightline.index.rows import Content, Row, to_arrow
from sightline.index.table import Table


@dataclass
class SyncReport:
    """What a run of `sync` did, in numbers of files. `changed` have new contents; a changed file that can no longer be
    read is both skipped and removed. `skipped` says why. `indexed`: images and moments in the index at the end."""

    added: int = 0
    unchanged: int = 0
    moved: int = 0
    changed: int = 0
    removed: int = 0
    indexed: int = 0
    skipped: list[tuple[Path, str]] = field(default_factory=list)


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
        if changed:
            self._table.replace(to_arrow(changed, self._table.model), gone)
        elif gone:
            self._table.remove(gone)
        if new:
            self._table.append(to_arrow(new, self._table.model))
