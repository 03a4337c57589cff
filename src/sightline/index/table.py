"""The table of items in an index folder: a Lance dataset, read by anyone, written by the holder of the lock."""

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("LANCE_LOG", "critical")  # Lance reads it when imported: no log lines between our own

import lance
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sightline.errors import IndexDamaged, IndexFault, IndexTooNew, UsageError
from sightline.index import condition, lance_errors
from sightline.index.folder import NAME, exists, manifests, missing
from sightline.index.schema import MOMENTS, SUMMARY, VERSION, VERSION_KEY, ModelRecord, item_schema, version_of

Ids = npt.NDArray[np.int64]

_NEXT_ID = "sightline.next_id"
_FRAGMENT_ROWS = 16_384
"""Rows of a merged fragment: few enough that a broken file costs little, enough for a million rows in 64 files."""
_SMALL_FRAGMENTS = 16
"""So many fragments below half of that are merged. Large ones stay: what is added never costs rewriting all."""
_KEEP = timedelta(hours=1)
"""A replaced version stays readable this long: whoever reads it has that long to finish or to refresh."""
_KEEP_LAST = 2
"""So many versions stay however old they are: `fsck` falls back on one of them if the newest manifest breaks."""


class Table:
    """One consistent snapshot of an index's rows; `newest` gives that of now.

    The reading methods may be called from several threads. The writing methods want the writer's lock held; each
    commits once, atomically: a reader or a later run sees all of it or nothing.
    """

    def __init__(self, folder: Path, dataset: Any) -> None:
        """Use `open` or `create`. Raises IndexTooNew or IndexDamaged if this is no table that we know."""
        self.folder = folder
        self._dataset = dataset
        self._places: tuple[Any, Ids, Ids] | None = None
        metadata = dataset.schema_metadata
        try:
            self.version = version_of(metadata)
            if self.version > VERSION:
                raise IndexTooNew(f"{folder} has format {self.version}, this Sightline knows {VERSION}: update it")
            self.model = ModelRecord.from_metadata(metadata)
            schema = item_schema(self.model)
            self.is_old = MOMENTS not in dataset.schema.names
            if self.is_old:
                schema = schema.remove(schema.get_field_index(MOMENTS))
            whole = dataset.schema.equals(schema)
            self._names: list[str] = schema.names
        except (KeyError, ValueError, ArithmeticError):
            whole = False
        if not whole:
            raise IndexDamaged(f"{folder / NAME} lacks what Sightline wrote into it; {lance_errors.repair(folder)}")

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "Table":
        """The newest version of the table in `folder`. Raises IndexMissing, IndexTooNew or IndexDamaged."""
        folder = Path(folder).absolute()
        if not exists(folder):
            raise missing(folder)
        with lance_errors.reading(folder), lance_errors.hushed():
            dataset = lance.dataset(str(folder / NAME))
            _ = dataset.schema, dataset.schema_metadata  # Lance may panic there as well
            for fragment in dataset.get_fragments():
                deletions = fragment.deletion_file()
                if deletions and deletions.endswith(".arrow"):
                    # A broken one of these few bytes makes Lance ask for more memory than there is, which ends the
                    # process; pyarrow raises an error.
                    with pa.ipc.open_file(str(folder / NAME / deletions)) as file:
                        file.read_all()
        return cls(folder, dataset)

    @classmethod
    def create(cls, folder: str | os.PathLike[str], model: ModelRecord) -> "Table":
        """A new, empty table in `folder`, in the place of one that may be there."""
        folder = Path(folder).absolute()
        with lance_errors.writing(folder):
            dataset = lance.write_dataset(item_schema(model).empty_table(), str(folder / NAME), mode="overwrite")
        return cls(folder, dataset)

    # ---- reading

    def count(self) -> int:
        """Number of rows."""
        with self._reading():
            return int(self._dataset.count_rows())

    def newest(self) -> "Table":
        """The newest version: this object where it is that, else another one, so that whoever reads here can finish."""
        with lance_errors.reading(self.folder):
            if self._dataset.latest_version == self._dataset.version:
                return self
        return Table.open(self.folder)

    def vectors(self) -> tuple[Ids, npt.NDArray[np.float16]]:
        """All ids, int64 (n,), and vectors, float16 (n, dim), in the order in which the table holds them."""
        dataset, stop = self._dataset, 0
        with self._reading():
            n = dataset.count_rows()
            ids = np.empty(n, np.int64)
            matrix = np.empty((n, self.model.dim), np.float16)
            for some, vectors in self._batches(dataset):
                start, stop = stop, stop + len(some)
                ids[start:stop], matrix[start:stop] = some, vectors
            if stop != n:
                raise ValueError(f"{stop} rows where there should be {n}")
        self._remember(dataset, ids)
        return ids, matrix

    def batches(self) -> Iterator[tuple[Ids, npt.NDArray[np.float16]]]:
        """As `vectors`, some rows at a time: for whoever does not need them all in memory."""
        with self._reading():
            yield from self._batches(self._dataset)

    def _batches(self, dataset: Any) -> Iterator[tuple[Ids, npt.NDArray[np.float16]]]:
        for batch in dataset.to_batches(columns=["id", "vector"]):
            vectors = batch.column("vector").flatten().to_numpy().reshape(-1, self.model.dim)
            yield batch.column("id").to_numpy(), vectors

    def summaries(self) -> Iterator[tuple[Ids, npt.NDArray[np.float16]]]:
        """All ids with their summaries, float16 (n, summary, dim), some rows at a time."""
        with self._reading():
            for batch in self._dataset.to_batches(columns=["id", SUMMARY], batch_size=1024):
                yield batch.column("id").to_numpy(), self._rows_of(batch.column(SUMMARY))

    def summaries_of(self, ids: Sequence[int] | Ids) -> npt.NDArray[np.float16]:
        """The summaries of these rows, float16 (n, summary, dim)."""
        return self._rows_of(self.take(ids, [SUMMARY]).column(SUMMARY).combine_chunks())

    def _rows_of(self, summaries: Any) -> npt.NDArray[np.float16]:
        flat: npt.NDArray[np.float16] = summaries.flatten().to_numpy()
        return flat.reshape(-1, self.model.summary, self.model.dim)

    def columns(self, names: Sequence[str], where: str | None = None) -> pa.Table:
        """The named columns of all rows, or of those for which an SQL expression of our own holds."""
        with self._reading():
            return self._dataset.to_table(columns=list(names), filter=where)

    def rows(self, ids: Sequence[int] | Ids, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """One dict per id, in the order of `ids`, each with its "id". Raises KeyError for an id that is not here."""
        return list(self.take(ids, columns).to_pylist())

    def take(self, ids: Sequence[int] | Ids, columns: Sequence[str] | None = None) -> pa.Table:
        """As `rows`, as a pyarrow table."""
        wanted = np.asarray(ids, dtype=np.int64)
        with self._reading():
            dataset, held, order = self._places or self._find(self._dataset)
            ranks = np.searchsorted(held, wanted)
            ranks[ranks == len(held)] = 0
            if len(wanted) and (not len(held) or (held[ranks] != wanted).any()):
                raise KeyError(f"{self.folder} holds no row {min(set(wanted.tolist()) - set(held.tolist()))}")
            names = self._names if columns is None else list(dict.fromkeys(["id", *columns]))
            places, back = np.unique(order[ranks], return_inverse=True)
            return dataset.take(pa.array(places, pa.int64()), columns=names).take(pa.array(back))

    def _find(self, dataset: Any) -> tuple[Any, Ids, Ids]:
        return self._remember(dataset, dataset.to_table(columns=["id"]).column("id").to_numpy())

    def _remember(self, dataset: Any, ids: Ids) -> tuple[Any, Ids, Ids]:
        """A version, its ids in ascending order, and where in it each one's row lies: they must not be mixed."""
        order = np.argsort(ids, kind="stable")
        self._places = dataset, ids[order], order
        return self._places

    def ids_where(self, sql: str) -> Ids:
        """The ids of the rows for which the SQL expression holds. Raises UsageError if it cannot be understood."""
        condition.check(sql)
        try:
            asked = self._dataset.scanner(columns=["id"], filter=sql)
            with lance_errors.hushed():  # it is here that Lance panics
                asked.explain_plan()
            found = asked.to_table()
        except BaseException as error:
            if not lance_errors.is_failure(error):
                raise
            plain = [name for name in self._names if name not in ("thumbnail", "vector", SUMMARY)]
            self.columns(plain)  # a damaged table fails here too, and says so
            raise UsageError(
                f"the filter {sql!r} is not understood: {lance_errors.reason(error)}. Columns are "
                f"{', '.join(self._names)}; a time is written timestamp '2024-12-31 18:00:00'"
            ) from None
        return np.asarray(found.column("id"), dtype=np.int64)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with lance_errors.reading(self.folder):
                yield
        except IndexDamaged as error:
            if self.newest() is not self:
                raise IndexFault(f"{self.folder} was rewritten since it was opened: open it again") from error
            raise

    # ---- writing

    def upgrade(self) -> None:
        """Bring a table of the first format up to this one; cut short, it is done again."""
        if self.is_old:
            with self._writing():
                self._dataset.update_schema_metadata({VERSION_KEY: str(VERSION)})
                self._dataset.add_columns(pa.field(MOMENTS, pa.int32()))
            self.version, self.is_old = VERSION, False
            self._names = item_schema(self.model).names

    def reserve(self, count: int) -> int:
        """Set `count` ids aside, for good; returns the first. What is not used of them stays unused."""
        first = self.next_id()
        with self._writing():
            self._dataset.update_config({_NEXT_ID: str(first + count)})
        return first

    def next_id(self) -> int:
        """The lowest id that no row has or had."""
        held = self.columns(["id"]).column("id").to_numpy()
        noted = self._dataset.config().get(_NEXT_ID, "")
        known = int(noted) if re.fullmatch("[0-9]{1,18}", noted) else 0  # a note that was damaged is none
        return max(known, int(held.max(initial=-1)) + 1)

    def append(self, rows: pa.Table) -> None:
        """Add whole rows whose ids are new."""
        with self._writing():
            self._dataset.insert(rows)

    def replace(self, rows: pa.Table, gone: Sequence[int] = ()) -> None:
        """Put whole rows in the place of those with the same ids, add those with new ids, take out the rows `gone`."""
        with self._writing():
            merge = self._dataset.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
            if gone:
                merge = merge.when_not_matched_by_source_delete(f"id IN ({', '.join(map(str, gone))})")
            merge.execute(rows)

    def remove(self, ids: Sequence[int]) -> None:
        """Take rows out."""
        with self._writing():
            keys = pa.table({"id": pa.array(ids, pa.int64())})
            self._dataset.merge_insert("id").when_matched_delete().execute(keys)

    def drop(self, fragments: Sequence[int], addresses: Sequence[int]) -> None:
        """Take out whole fragments, unread, and rows by their addresses: what `fsck` found broken."""
        with self._writing():
            if fragments:
                gone = lance.LanceOperation.Delete([], fragments, "false")
                self._dataset = lance.LanceDataset.commit(self._dataset, gone, read_version=self._dataset.version)
            for start in range(0, len(addresses), 1000):
                listed = ", ".join(map(str, addresses[start : start + 1000]))
                self._dataset.delete(f"_rowid IN ({listed})")

    def tidy(self) -> None:
        """Merge small fragments when there are many, and drop versions that nobody can still be reading."""
        fragments = self._dataset.get_fragments()
        large = [f.fragment_id for f in fragments if f.physical_rows - f.num_deletions >= _FRAGMENT_ROWS // 2]
        with self._writing():
            if len(fragments) - len(large) >= _SMALL_FRAGMENTS:
                self._dataset.optimize.compact_files(
                    target_rows_per_fragment=_FRAGMENT_ROWS,
                    excluded_fragment_ids=large,
                    batch_size=1024,  # rows with summaries are large
                    compaction_mode="try_binary_copy",  # a tenth of the memory, where no row was removed
                )
            if outdated := self._outdated():
                self._dataset.cleanup_old_versions(versions=outdated, error_if_tagged_old_versions=False)

    def _outdated(self) -> list[int]:
        """The versions that were replaced too long ago to have readers; none until there is an hour's worth of them.

        What counts is when a version was replaced, not when it was made: a reader may have opened it just before.
        """
        versions = sorted(manifests(self.folder).items())[: 1 - _KEEP_LAST]
        outdated: list[int] = []
        for (version, _), (_, later) in pairwise(versions):
            age = time.time() - later.stat().st_mtime
            if age <= (_KEEP if outdated else 2 * _KEEP).total_seconds():
                break  # those after it were replaced even later
            outdated.append(version)
        return outdated

    def leftovers(self) -> list[Path]:
        """Files that a killed or failed writer left behind: no version of the table refers to them."""
        with lance_errors.reading(self.folder):
            known = set(self._dataset.tracked_files().read_all().column("path").to_pylist())
        left = [
            file
            for part in ("data", "_deletions", "_transactions")
            for file in self._files(part)
            if f"{part}/{file.name}" not in known
        ]
        return left + [file for file in self._files("_versions") if file.suffix not in (".manifest", ".json")]

    def sweep(self) -> None:
        """Delete the leftovers. Only the writer may: another's half-written files would be among them."""
        with self._writing():
            for file in self.leftovers():
                file.unlink(missing_ok=True)

    def _files(self, part: str) -> Iterator[Path]:
        return (self.folder / NAME / part).glob("*")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._places = None
        with lance_errors.writing(self.folder):
            yield
