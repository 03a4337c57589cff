"""The table of items in an index folder: a Lance dataset, read by anyone, written by the holder of the lock."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import lance
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sightline.errors import IndexDamaged, IndexFault, IndexMissing, IndexTooNew, UsageError
from sightline.index import lock
from sightline.index.schema import VERSION, ModelRecord, item_schema, version_of

NAME = "items.lance"
"""The dataset's folder inside the index folder: LanceDB lists it as the table "items"."""

_NEXT_ID = "sightline.next_id"
_FAILURES = (OSError, ValueError, RuntimeError, NotImplementedError)
"""What Lance raises when a file is missing or broken (pyarrow's errors are ValueErrors and OSErrors)."""
_SMALL_FRAGMENTS = 64
_FRAGMENT_ROWS = 65_536
_KEEP = timedelta(hours=1)
"""A replaced version stays readable this long: whoever reads it has that long to finish or refresh."""


class Table:
    """One consistent snapshot of an index's rows; `refresh` moves on to the newest.

    The reading methods may be called from several threads. The writing methods want the writer's lock held; each
    commits once, atomically: a reader or a later run sees all of it or nothing.
    """

    def __init__(self, folder: Path, dataset: Any) -> None:
        self.folder = folder
        self._dataset = dataset
        self._places: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None
        metadata = dataset.schema_metadata
        try:
            self.version = version_of(metadata)
        except (KeyError, ValueError):
            raise IndexDamaged(f"{folder / NAME} is not a table of Sightline's") from None
        if self.version > VERSION:
            raise IndexTooNew(
                f"{folder} has format {self.version}; this Sightline reads up to {VERSION}: update Sightline"
            )
        try:
            self.model = ModelRecord.from_metadata(metadata)
        except (KeyError, ValueError):
            raise IndexDamaged(f"{folder}: the record of its model is broken; {_repair(folder)}") from None
        if not dataset.schema.equals(item_schema(self.model)):
            raise IndexDamaged(f"{folder}: its columns are not those of format {VERSION}; {_repair(folder)}")

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "Table":
        """The table in `folder`. Raises IndexMissing, IndexTooNew or IndexDamaged."""
        folder = Path(folder)
        if not exists(folder):
            raise IndexMissing(f"{folder} holds no index: make one with `sightline index PATH --index {folder}`")
        with _reading(folder):
            dataset = lance.dataset(str(folder / NAME))
        return cls(folder, dataset)

    @classmethod
    def create(cls, folder: str | os.PathLike[str], model: ModelRecord) -> "Table":
        """A new, empty table in `folder`."""
        folder = Path(folder)
        with _writing(folder):
            dataset = lance.write_dataset(item_schema(model).empty_table(), str(folder / NAME))
        return cls(folder, dataset)

    # ---- reading

    def count(self) -> int:
        """Number of rows."""
        with _reading(self.folder):
            return int(self._dataset.count_rows())

    def refresh(self) -> bool:
        """Move on to the newest version; whether there was a newer one."""
        with _reading(self.folder):
            before = self._dataset.version
            if self._dataset.latest_version == before:
                return False
        renewed = Table.open(self.folder)
        self._dataset, self.model, self._places = renewed._dataset, renewed.model, None
        return True

    def vectors(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float16]]:
        """All ids, int64 (n,), and vectors, float16 (n, dim), in the order in which the table holds them."""
        n = self.count()
        ids = np.empty(n, np.int64)
        matrix = np.empty((n, self.model.dim), np.float16)
        with _reading(self.folder):
            start = 0
            for batch in self._dataset.to_batches(columns=["id", "vector"]):
                stop = start + batch.num_rows
                ids[start:stop] = batch.column("id").to_numpy()
                matrix[start:stop] = batch.column("vector").flatten().to_numpy().reshape(-1, self.model.dim)
                start = stop
        return ids, matrix

    def columns(self, names: Sequence[str]) -> pa.Table:
        """The named columns of all rows."""
        with _reading(self.folder):
            return self._dataset.to_table(columns=list(names))

    def rows(
        self, ids: Sequence[int] | npt.NDArray[np.int64], columns: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """One dict per id, in the order of `ids`, each with its "id". Raises KeyError for an id that is not here."""
        return list(self.take(ids, columns).to_pylist())

    def take(self, ids: Sequence[int] | npt.NDArray[np.int64], columns: Sequence[str] | None = None) -> pa.Table:
        """As `rows`, as a pyarrow table."""
        wanted = np.asarray(ids, dtype=np.int64)
        if self._places is None:
            held = self.columns(["id"]).column("id").to_numpy()
            order = np.argsort(held)
            self._places = held[order], order
        held, order = self._places
        ranks = np.minimum(np.searchsorted(held, wanted), max(len(held) - 1, 0))
        if len(wanted) and (not len(held) or (held[ranks] != wanted).any()):
            raise KeyError(f"{self.folder} holds no row {sorted(set(wanted.tolist()) - set(held.tolist()))[0]}")
        names = item_schema(self.model).names if columns is None else list(dict.fromkeys(["id", *columns]))
        places, back = np.unique(order[ranks], return_inverse=True)
        with _reading(self.folder):
            return self._dataset.take(pa.array(places), columns=names).take(pa.array(back))

    def ids_where(self, sql: str) -> npt.NDArray[np.int64]:
        """The ids of the rows for which the SQL expression holds. Raises UsageError if it cannot be understood."""
        try:
            found = self._dataset.to_table(columns=["id"], filter=sql)
        except _FAILURES as error:
            self.columns(["id"])  # a damaged table fails here too, and says so
            names = ", ".join(item_schema(self.model).names)
            raise UsageError(f"the filter {sql!r} is not understood ({_reason(error)}); columns are {names}") from None
        return np.asarray(found.column("id"), dtype=np.int64)

    # ---- writing

    def reserve(self, count: int) -> int:
        """Set `count` ids aside, for good; returns the first. What is not used of them stays unused."""
        held = self.columns(["id"]).column("id").to_numpy()
        first = max(int(self._dataset.config().get(_NEXT_ID, 0)), int(held.max(initial=-1)) + 1)
        with self._commit():
            self._dataset.update_config({_NEXT_ID: str(first + count)})
        return first

    def append(self, rows: pa.Table) -> None:
        """Add whole rows whose ids are new."""
        with self._commit():
            self._dataset.insert(rows)

    def replace(self, rows: pa.Table) -> None:
        """Give the rows with these ids new values: whole rows, or "id" and the columns that change."""
        with self._commit():
            self._dataset.merge_insert("id").when_matched_update_all().execute(rows)

    def remove(self, ids: Sequence[int]) -> None:
        """Take rows out."""
        with self._commit():
            keys = pa.table({"id": pa.array(ids, pa.int64())})
            self._dataset.merge_insert("id").when_matched_delete().execute(keys)

    def tidy(self) -> None:
        """Merge small fragments and drop versions nobody can still be reading, when there is enough of either."""
        with self._commit():
            if self._dataset.stats.dataset_stats(_FRAGMENT_ROWS)["num_small_files"] >= _SMALL_FRAGMENTS:
                self._dataset.optimize.compact_files(target_rows_per_fragment=_FRAGMENT_ROWS)
            if len(list((self.folder / NAME / "_versions").iterdir())) > _SMALL_FRAGMENTS:
                # half-written files of killed runs are nobody's: the lock says that no other writer is at work
                self._dataset.cleanup_old_versions(_KEEP, delete_unverified=True)

    @contextmanager
    def _commit(self) -> Iterator[None]:
        self._places = None
        with _writing(self.folder):
            yield


def exists(folder: Path) -> bool:
    """Whether the folder holds an index, whole or damaged. A creation that was cut short left none."""
    dataset = folder / NAME
    return any(any((dataset / part).glob("*")) for part in ("_versions", "data"))


def claim(folder: Path) -> None:
    """Make the index folder, if it may become one. Raises UsageError where other things live."""
    folder.mkdir(parents=True, exist_ok=True)
    if not exists(folder) and (others := {entry.name for entry in folder.iterdir()} - {NAME, lock.NAME}):
        raise UsageError(f"{folder} holds other things ({min(others)}): choose an empty folder for the index")


def _repair(folder: Path) -> str:
    return f"`sightline fsck --repair --index {folder}` keeps what is whole"


def _reason(error: Exception) -> str:
    """The error's first line without the places in Lance's sources."""
    return re.sub(r",? \S+\.rs:\d+:\d+", "", str(error).splitlines()[0])


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise IndexDamaged(f"{folder} is damaged ({_reason(error)}); {_repair(folder)}") from error


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise IndexFault(f"{folder} could not be written ({_reason(error)}); what it held before is intact") from error
