"""The table of items in an index folder: a Lance dataset, read by anyone, written by the holder of the lock."""

import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("LANCE_LOG", "critical")  # Lance reads it when imported: no log lines between our own

import lance
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sightline.errors import IndexDamaged, IndexFault, IndexTooNew
from sightline.index import lance_errors
from sightline.index.columns import Column
from sightline.index.folder import exists, is_table, lance_path, live_table
from sightline.index.library import missing
from sightline.index.limits import DEFAULT, Limits
from sightline.index.model_places import find_model
from sightline.index.schema import (
    LARGE_COLUMNS,
    VERSION,
    ModelRecord,
    item_schema,
    stored_names,
    stored_schema,
    version_of,
)

# Lance warns of every fork, whatever the child does. A child that would use Lance is told by `lance_errors`.
warnings.filterwarnings("ignore", message="lance is not fork-safe", category=UserWarning)

Ids = npt.NDArray[np.int64]

NEXT_ID = "sightline.next_id"


class Table:
    """One consistent snapshot of an index's rows; `newest` gives today's.

    The reading methods may be called from several threads; columns that an older format lacks are null. The writing
    methods need the writer's lock held, and a table in today's format; each commits once, atomically: a reader or a
    later run sees all of it or nothing.
    """

    def __init__(self, path: Path, dataset: Any, limits: Limits = DEFAULT) -> None:
        """Use `open` or `create`. Raises IndexTooNew or IndexDamaged if this is no table that we know."""
        self.path, self.folder, self.dataset, self.limits = path, path.parent, dataset, limits
        self._by_id: tuple[Any, Ids, Ids] | None = None
        metadata = dataset.schema_metadata
        try:
            self.version = version_of(metadata)
            if self.version > VERSION:
                raise IndexTooNew(f"{self.folder} has format {self.version}, this Sightline knows {VERSION}: update it")
            self.model = find_model(self.folder, ModelRecord.from_metadata(metadata))
            if "moments" not in dataset.schema.names:
                self.version = 1  # whatever it says: a Sightline before format 3 was killed while it changed that
            self._stored = stored_names(self.version, self.model)
            is_whole = dataset.schema.equals(stored_schema(self.version, self.model))
        except (KeyError, ValueError, ArithmeticError):
            is_whole = False
        if not is_whole:
            raise IndexDamaged(f"{path} lacks what Sightline wrote into it; {lance_errors.repair(self.folder)}")

    def __reduce__(self) -> tuple[Callable[..., "Table"], tuple[Path, Limits, str]]:
        """For `pickle` and `copy`: the table's newest version, opened from its folder."""
        return type(self).open, (self.folder, self.limits, self.path.name)

    @classmethod
    def open(cls, folder: str | os.PathLike[str], limits: Limits = DEFAULT, name: str | None = None) -> "Table":
        """The newest version of the live table in `folder`, or of another one, by name. Raises IndexMissing,
        IndexTooNew or IndexDamaged."""
        folder = Path(folder).absolute()
        path = live_table(folder) if name is None else folder / name
        if not is_table(path):
            if exists(folder):
                raise IndexDamaged(f"{folder} lacks its table {path.name}; {lance_errors.repair(folder)}")
            raise missing(folder)
        with lance_errors.reading(folder), lance_errors.hushed():
            dataset = _open_dataset(path)
        return cls(path, dataset, limits)

    @classmethod
    def create(
        cls, folder: str | os.PathLike[str], model: ModelRecord, limits: Limits = DEFAULT, name: str | None = None
    ) -> "Table":
        """A new, empty table: the live one of `folder`, in the place of one that may be there, or another, by name."""
        folder = Path(folder).absolute()
        path = live_table(folder) if name is None else folder / name
        with lance_errors.writing(folder):
            dataset = lance.write_dataset(item_schema(model).empty_table(), lance_path(path), mode="overwrite")
        return cls(path, dataset, limits)

    # ---- reading

    def count(self) -> int:
        """Number of rows."""
        with self._reading():
            return int(self.dataset.count_rows())

    def newest(self) -> "Table":
        """The newest version: this object if it is that, else another one, so that readers of this one can finish."""
        if live_table(self.folder) == self.path:
            with lance_errors.reading(self.folder):
                if self.dataset.latest_version == self.dataset.version:
                    return self
        return Table.open(self.folder, self.limits)

    def vectors(self) -> tuple[Ids, npt.NDArray[np.float16]]:
        """All ids, int64 (n,), and vectors, float16 (n, dim), in the order in which the table holds them."""
        dataset, stop = self.dataset, 0
        with self._reading():
            n = dataset.count_rows()
            ids = np.empty(n, np.int64)
            matrix = np.empty((n, self.model.dim), np.float16)
            for batch_ids, vectors in self._arrays("vector", 1):
                start, stop = stop, stop + len(batch_ids)
                ids[start:stop], matrix[start:stop] = batch_ids, vectors[:, 0]
            if stop != n:
                raise ValueError(f"{stop} rows where there should be {n}")
        self._remember(dataset, ids)
        return ids, matrix

    def batches(self) -> Iterator[tuple[Ids, npt.NDArray[np.float16]]]:
        """As `vectors`, in parts: for large tables."""
        with self._reading():
            for ids, vectors in self._arrays("vector", 1):
                yield ids, vectors[:, 0]

    def regions(self) -> Iterator[tuple[Ids, npt.NDArray[np.float16]]]:
        """All ids with their packed regions (see `models.regions`), float16 (n, packed rows, dim), in parts."""
        with self._reading():
            yield from self._arrays("regions", self.model.extra_rows, batch_size=1024)

    def regions_of(self, ids: Sequence[int] | Ids) -> npt.NDArray[np.float16]:
        """The packed regions of these rows, float16 (n, packed rows, dim)."""
        return self._array(self.take(ids, ["regions"]).column("regions").combine_chunks(), self.model.extra_rows)

    def _arrays(self, name: str, rows: int, **options: int) -> Iterator[tuple[Ids, npt.NDArray[np.float16]]]:
        stored = self._stored[name]
        for batch in self.dataset.to_batches(columns=["id", stored], **options):
            yield batch.column("id").to_numpy(), self._array(batch.column(stored), rows)

    def _array(self, column: Any, rows: int) -> npt.NDArray[np.float16]:
        """A column of lists -> (n, rows, dim)."""
        flat: npt.NDArray[np.float16] = column.flatten().to_numpy()
        return flat.reshape(-1, rows, self.model.dim)

    def columns(self, names: Sequence[str], where: str | None = None) -> pa.Table:
        """The named columns of all rows, or of those for which an SQL expression of our own holds."""
        with self._reading():
            return self._named(self.dataset.to_table(columns=self._stored_of(names), filter=where), names)

    def rows(self, ids: Sequence[int] | Ids, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """One dict per id, in the order of `ids`, each with its "id". Raises KeyError for an id that no row has."""
        return list(self.take(ids, columns).to_pylist())

    def take(self, ids: Sequence[int] | Ids, columns: Sequence[str] | None = None) -> pa.Table:
        """As `rows`, as a pyarrow table."""
        wanted = np.asarray(ids, dtype=np.int64)
        with self._reading():
            dataset, known, order = self._by_id or self._remember(
                self.dataset, self.dataset.to_table(columns=["id"]).column("id").to_numpy()
            )
            ranks = np.searchsorted(known, wanted)
            ranks[ranks == len(known)] = 0
            if len(wanted) and (not len(known) or (known[ranks] != wanted).any()):
                raise KeyError(f"{self.folder} holds no row {min(set(wanted.tolist()) - set(known.tolist()))}")
            names = item_schema(self.model).names if columns is None else list(dict.fromkeys(["id", *columns]))
            places, back = np.unique(order[ranks], return_inverse=True)
            taken = dataset.take(pa.array(places, pa.int64()), columns=self._stored_of(names))
            return self._named(taken.take(pa.array(back)), names)

    def _stored_of(self, names: Sequence[str]) -> list[str]:
        return [self._stored[name] for name in names if name in self._stored]

    def _named(self, rows: pa.Table, names: Sequence[str]) -> pa.Table:
        """Under today's names; null where this format has no such column."""
        schema = item_schema(self.model)
        fields = [schema.field(name) for name in names]
        columns = [
            rows.column(self._stored[field.name]) if field.name in self._stored else pa.nulls(len(rows), field.type)
            for field in fields
        ]
        return pa.table(columns, schema=pa.schema(fields))

    def _remember(self, dataset: Any, ids: Ids) -> tuple[Any, Ids, Ids]:
        """A version, its ids in ascending order, and the place in it of each one's row: they must not be mixed."""
        order = np.argsort(ids, kind="stable")
        self._by_id = dataset, ids[order], order
        return self._by_id

    def condition_columns(self) -> dict[str, Column]:
        """The columns that a condition may name, by name: those that this table stores, without the large ones."""
        schema = item_schema(self.model)
        names = [name for name in self._stored if name not in LARGE_COLUMNS]
        return {name: Column(name, self._stored[name], schema.field(name).type) for name in names}

    def value_counts(self) -> dict[str, int]:
        """Of each column that a condition may name: in how many rows it is not null."""
        columns = self.condition_columns()
        counts = dict.fromkeys(columns, 0)
        with self._reading():
            for batch in self.dataset.to_batches(columns=[column.stored for column in columns.values()]):
                for name, values in zip(columns, batch.columns, strict=True):
                    counts[name] += len(values) - values.null_count
        return counts

    def precisions(self) -> dict[str | None, int]:
        """In how many rows the vector was computed in these numbers, most first; None: that is not known."""
        return dict(Counter(self.columns(["precision"]).column("precision").to_pylist()).most_common())

    def condition_sql(self, condition: str) -> str:
        """A condition in the grammar of docs/filters.md as SQL for Lance. Raises UsageError if it is none."""
        from sightline.index.filter import sql_of  # searches without a condition need no parser

        more = "" if self.version == VERSION else "; the next `sightline index` of its folders adds more"
        return sql_of(condition, self.condition_columns(), more)

    def ids_where(self, condition: str) -> Ids:
        """The ids of the rows for which the condition holds (see docs/filters.md). Raises UsageError if it is none."""
        rows = self.columns(["id"], self.condition_sql(condition))
        return np.asarray(rows.column("id"), dtype=np.int64)

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

    def reserve(self, count: int) -> int:
        """Set `count` ids aside, for good; returns the first. Those that are not used then stay unused."""
        first = self.next_id()
        with self.writing():
            self.dataset.update_config({NEXT_ID: str(first + count)})
        return first

    def next_id(self) -> int:
        """The lowest id that no row has or had."""
        ids = self.columns(["id"]).column("id").to_numpy()
        noted = self.dataset.config().get(NEXT_ID, "")
        known = int(noted) if re.fullmatch("[0-9]{1,18}", noted) else 0  # unless the note was damaged
        return max(known, int(ids.max(initial=-1)) + 1)

    def append(self, rows: pa.Table) -> None:
        """Add whole rows whose ids are new."""
        with self.writing():
            self.dataset.insert(rows)

    def replace(self, rows: pa.Table, gone: Sequence[int] = ()) -> None:
        """Put whole rows in the place of those with the same ids, add those with new ids, take out the rows `gone`."""
        with self.writing():
            merge = self.dataset.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
            if gone:
                merge = merge.when_not_matched_by_source_delete(f"id IN ({', '.join(map(str, gone))})")
            merge.execute(rows)

    def remove(self, ids: Sequence[int]) -> None:
        """Take rows out; a table in an older format allows that too."""
        with self.writing():
            keys = pa.table({"id": pa.array(ids, pa.int64())})
            self.dataset.merge_insert("id").when_matched_delete().execute(keys)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What fails in here becomes IndexFault, and left the table as it was."""
        self._by_id = None
        with lance_errors.writing(self.folder):
            yield


def _open_dataset(path: Path) -> Any:
    """The newest version. Raises what Lance raises if something is broken that would end the process later on."""
    dataset = lance.dataset(lance_path(path))
    _ = dataset.schema, dataset.schema_metadata  # Lance may panic here as well
    for fragment in dataset.get_fragments():
        deletions = fragment.deletion_file()
        if deletions and deletions.endswith(".arrow"):
            # A broken byte in this list can make Lance ask for more memory than the machine has, which ends the
            # process; pyarrow raises an error.
            with pa.ipc.open_file(str(path / deletions)) as file:
                file.read_all()
    return dataset
