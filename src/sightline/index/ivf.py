"""An approximate first pass for large tables: inverted lists of short codes tell which rows deserve an exact look."""

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import faiss as _faiss
import numpy as np
import numpy.typing as npt

from sightline import files
from sightline.index import lance_errors
from sightline.index.folder import IVF_FILE, OLD_IVF_FILE
from sightline.index.table import Table

faiss: Any = _faiss  # its types lack half of what is used here
Ids = npt.NDArray[np.int64]
Sums = npt.NDArray[np.uint64]

FIRST_PASS_ROWS = 4_000_000
"""Tables below this size are searched exactly (benchmarks/first_pass.py and docs/decisions/0005-exact-search.md)."""
_LISTS = 1024
_PROBED = 4
"""One list in so many is looked at."""
_SHARE, _LEAST = 512, 4096
"""One row in so many, and at least so many, get an exact look."""
_SAMPLE = 65_536
"""Rows from which the lists and codes are learnt."""
_OUTDATED = 0.05
"""The lists are written anew when this share of the rows is new or gone."""
_DIGEST = 32


class Lists:
    """The lists of a table, for its rows as they are now. Usable from several threads.

    Each code counts only where its row still has the vector it was made from, by a checksum; a row without a code is
    always looked at. So lists that are older than the table cost time, at worst, but no row.
    """

    def __init__(self, index: Any, held: Ids, sums: Sums, ids: Ids, matrix: npt.NDArray[np.float16]) -> None:
        """index: faiss's lists of m codes; held, sums (m,): each one's row id and the checksum of its vector; ids (n,),
        matrix (n, dim): the rows as they are now."""
        self._index = index
        order = np.argsort(ids, kind="stable")
        ranks = np.minimum(np.searchsorted(ids[order], held), len(ids) - 1)
        self._places: Ids = order[ranks]
        self._places[(ids[self._places] != held) | (_checksums(matrix)[self._places] != sums)] = -1
        covered = np.zeros(len(ids), bool)
        covered[self._places[self._places >= 0]] = True
        self._uncovered: Ids = np.flatnonzero(~covered)

    @classmethod
    def of(cls, table: Table, ids: Ids, matrix: npt.NDArray[np.float16]) -> "Lists | None":
        """The lists beside a table that holds these vectors; None where it is too small or has none that are whole."""
        found = _read(table) if len(ids) >= FIRST_PASS_ROWS else None
        return None if found is None else cls(*found, ids, matrix)

    def near(self, query: npt.NDArray[np.float32]) -> Ids | None:
        """Places of rows that may be among the nearest to a query (dim,), ascending; None if they cannot tell."""
        wide = query.astype(np.float64)
        length = np.linalg.norm(wide)
        if not length:
            return None
        unit = (wide / length).astype(np.float32)[None]
        fetch = min(len(self._places), max(_LEAST, len(self._places) // _SHARE))
        scores, lists = self._index.quantizer.search(unit, max(1, self._index.nlist // _PROBED))
        threads = min(os.cpu_count() or 1, lists.shape[1])

        def look(part: int) -> tuple[Any, Any]:
            mine = np.ascontiguousarray(lists[0, part::threads]), np.ascontiguousarray(scores[0, part::threads])
            found = np.empty(fetch, np.float32), np.empty(fetch, np.int64)
            given = (faiss.swig_ptr(array) for array in (*mine, *found))
            told = faiss.SearchParametersIVF(nprobe=len(mine[0]))
            before = faiss.omp_get_max_threads()
            faiss.omp_set_num_threads(1)  # of this thread's own: the parts are threads enough
            self._index.search_preassigned_c(1, faiss.swig_ptr(unit), fetch, *given, False, told)
            faiss.omp_set_num_threads(before)
            return found

        with ThreadPoolExecutor(threads) as pool:
            others = pool.map(look, range(1, threads))  # to start a thread takes a twentieth of the search
            rough, codes = (np.concatenate(both) for both in zip(*[look(0), *others], strict=True))
        rough[codes < 0] = -np.inf
        best = np.argpartition(-rough, fetch - 1)[:fetch]
        places = self._places[codes[best[codes[best] >= 0]]]
        places = places[places >= 0]
        if 2 * len(places) < fetch:
            return None  # too many of the best codes are of rows that are gone, or the lists are too uneven
        return np.sort(np.concatenate([places, self._uncovered]))


def refresh(table: Table) -> None:
    """Write the lists of a table that has none, or outdated ones, if it is large enough. Wants the writer's lock held.

    Memory: the codes and a sample of the vectors. Whatever ends this early, the file before it stays.
    """
    with lance_errors.writing(table.folder):
        (table.folder / OLD_IVF_FILE).unlink(missing_ok=True)
        for left in table.folder.glob(f".{IVF_FILE}.*"):  # of a writer that was killed
            left.unlink(missing_ok=True)
        rows = table.count()
        if rows < FIRST_PASS_ROWS or table.model.dim % 4:
            (table.folder / IVF_FILE).unlink(missing_ok=True)
            return
        found = _read(table)
        if found is not None:
            common = len(np.intersect1d(table.columns(["id"]).column("id").to_numpy(), found[1]))
            if max(rows, len(found[1])) - common <= _OUTDATED * rows:
                return
        index, ids, sums = _build(table, rows)
        with files.replacing(table.folder / IVF_FILE) as temporary, temporary.open("r+b") as file:
            _write(file, table, index, ids, sums)


def _build(table: Table, rows: int) -> tuple[Any, Ids, Sums]:
    step = -(-rows // _SAMPLE)
    sample = np.concatenate([matrix[::step] for _, matrix in table.batches()]).astype(np.float32)
    index = faiss.index_factory(
        table.model.dim, f"IVF{_LISTS},PQ{table.model.dim // 4}x4fsr", faiss.METRIC_INNER_PRODUCT
    )
    index.train(sample)
    ids, sums = [], []
    for some, matrix in table.batches():
        index.add(matrix.astype(np.float32))
        ids.append(some)
        sums.append(_checksums(matrix))
    return index, np.concatenate(ids), np.concatenate(sums)


def _write(file: BinaryIO, table: Table, index: Any, ids: Ids, sums: Sums) -> None:
    """A digest of all that follows, a line of JSON, the ids, the checksums, and what faiss writes."""
    digest = hashlib.blake2b(digest_size=_DIGEST)

    def write(data: Any) -> int:
        digest.update(data)
        return file.write(data)

    file.write(bytes(_DIGEST))
    write(json.dumps({"rows": len(ids), "model": table.model.fingerprint}).encode() + b"\n")
    write(ids.tobytes())
    write(sums.tobytes())
    faiss.write_index(index, faiss.PyCallbackIOWriter(write))
    file.seek(0)
    file.write(digest.digest())


def _read(table: Table) -> tuple[Any, Ids, Sums] | None:
    """faiss's lists, ids and checksums; None if the file is not there, not whole, or another model's. Only bytes whose
    digest is right reach faiss, which may end the process on others."""
    try:
        with (table.folder / IVF_FILE).open("rb") as file:
            digest = hashlib.blake2b(digest_size=_DIGEST)
            noted = file.read(_DIGEST)
            while block := file.read(1 << 20):
                digest.update(block)
            if digest.digest() != noted:
                return None
            file.seek(_DIGEST)
            head = json.loads(file.readline())
            if head["model"] != table.model.fingerprint:
                return None
            ids: Ids = np.frombuffer(file.read(8 * head["rows"]), np.int64)
            sums: Sums = np.frombuffer(file.read(8 * head["rows"]), np.uint64)
            index = faiss.read_index(faiss.PyCallbackIOReader(file.read))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, MemoryError):
        return None  # a newer faiss may have written what this one does not know
    known = isinstance(index, faiss.IndexIVFPQFastScan) and index.d == table.model.dim
    return (index, ids, sums) if known and index.ntotal == len(ids) == len(sums) else None


def _checksums(matrix: npt.NDArray[np.float16]) -> Sums:
    """64 bits for each row: its words times fixed odd numbers, modulo 2^64."""
    words = np.ascontiguousarray(matrix).view(np.uint64)
    weights = np.random.default_rng(0).integers(0, 2**63, words.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    blocks = range(0, len(words), 4096)
    work: Callable[[int], Any] = lambda start: words[start : start + 4096] @ weights  # noqa: E731
    with ThreadPoolExecutor() as pool:
        return np.concatenate([np.empty(0, np.uint64), *pool.map(work, blocks)])
