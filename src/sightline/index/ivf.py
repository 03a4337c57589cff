"""An approximate first pass for large tables: inverted lists of short codes choose the rows that are scored exactly.

The rows are divided among lists by the nearest of 1,024 centers (IVF); a query is compared with the product codes of
the rows in the nearest quarter of the lists, and the best of them are the candidates.
"""

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
_PROBE_FRACTION = 4
"""A query is compared with the codes of one list in four."""
_CANDIDATE_FRACTION, _LEAST_CANDIDATES = 512, 4096
"""One row in 512, and at least 4,096, are candidates."""
_TRAINING_ROWS = 65_536
"""Rows from which the lists' centers and the codes are learned."""
_OUTDATED = 0.05
"""The lists are written anew when this part of the rows is new or gone."""
_DIGEST_BYTES = 32


class InvertedLists:
    """The inverted lists of a table, for its present rows. Usable from several threads.

    A code counts only while its row has the vector that the code was made from, by a checksum; a row without a valid
    code is always a candidate. So lists that are older than the table cost time at worst, and lose no row.
    """

    def __init__(self, index: Any, code_ids: Ids, sums: Sums, ids: Ids, matrix: npt.NDArray[np.float16]) -> None:
        """index: faiss's lists of m codes; code_ids, sums (m,): the row id of each code and the checksum of the vector
        that it was made from; ids (n,), matrix (n, dim): the present rows."""
        self._index = index
        order = np.argsort(ids, kind="stable")
        ranks = np.minimum(np.searchsorted(ids[order], code_ids), len(ids) - 1)
        self._places: Ids = order[ranks]
        self._places[(ids[self._places] != code_ids) | (_checksums(matrix)[self._places] != sums)] = -1
        covered = np.zeros(len(ids), bool)
        covered[self._places[self._places >= 0]] = True
        self._uncovered: Ids = np.flatnonzero(~covered)

    @classmethod
    def of(cls, table: Table, ids: Ids, matrix: npt.NDArray[np.float16]) -> "InvertedLists | None":
        """The lists beside a table that holds these vectors; None for a small table and a missing or damaged file."""
        stored = _read(table) if len(ids) >= FIRST_PASS_ROWS else None
        return None if stored is None else cls(*stored, ids, matrix)

    def near(self, query: npt.NDArray[np.float32]) -> Ids | None:
        """Places of rows that may be among the nearest to a query (dim,), ascending; None where too few are found."""
        wide = query.astype(np.float64)
        length = np.linalg.norm(wide)
        if not length:
            return None
        query_unit = (wide / length).astype(np.float32)[None]
        fetch = min(len(self._places), max(_LEAST_CANDIDATES, len(self._places) // _CANDIDATE_FRACTION))
        scores, lists = self._index.quantizer.search(query_unit, max(1, self._index.nlist // _PROBE_FRACTION))
        threads = min(os.cpu_count() or 1, lists.shape[1])

        def scan(part: int) -> tuple[Any, Any]:
            probed = np.ascontiguousarray(lists[0, part::threads]), np.ascontiguousarray(scores[0, part::threads])
            best = np.empty(fetch, np.float32), np.empty(fetch, np.int64)
            pointers = (faiss.swig_ptr(array) for array in (*probed, *best))
            parameters = faiss.SearchParametersIVF(nprobe=len(probed[0]))
            before = faiss.omp_get_max_threads()
            faiss.omp_set_num_threads(1)  # in this thread: the parts are threads enough
            self._index.search_preassigned_c(1, faiss.swig_ptr(query_unit), fetch, *pointers, False, parameters)
            faiss.omp_set_num_threads(before)
            return best

        with ThreadPoolExecutor(threads) as pool:
            others = pool.map(scan, range(1, threads))  # to start a thread takes a twentieth of the search
            code_scores, codes = (np.concatenate(both) for both in zip(*[scan(0), *others], strict=True))
        code_scores[codes < 0] = -np.inf
        best = np.argpartition(-code_scores, fetch - 1)[:fetch]
        places = self._places[codes[best[codes[best] >= 0]]]
        places = places[places >= 0]
        if 2 * len(places) < fetch:
            return None  # too many of the best codes are of rows that changed, or the lists are too uneven
        return np.sort(np.concatenate([places, self._uncovered]))


def refresh(table: Table) -> None:
    """Writes the lists of a large table if they are missing or outdated. The caller holds the writer's lock.

    Memory: the codes and a sample of the vectors. If this ends early, the file of before stays.
    """
    with lance_errors.writing(table.folder):
        (table.folder / OLD_IVF_FILE).unlink(missing_ok=True)
        for left in table.folder.glob(f".{IVF_FILE}.*"):  # of a writer that was killed
            left.unlink(missing_ok=True)
        rows = table.count()
        if rows < FIRST_PASS_ROWS or table.model.dim % 4:
            (table.folder / IVF_FILE).unlink(missing_ok=True)
            return
        stored = _read(table)
        if stored is not None:
            common = len(np.intersect1d(table.columns(["id"]).column("id").to_numpy(), stored[1]))
            if max(rows, len(stored[1])) - common <= _OUTDATED * rows:
                return
        index, ids, sums = _build(table, rows)
        with files.replacing(table.folder / IVF_FILE) as temporary, temporary.open("r+b") as file:
            _write(file, table, index, ids, sums)


def _build(table: Table, rows: int) -> tuple[Any, Ids, Sums]:
    step = -(-rows // _TRAINING_ROWS)
    sample = np.concatenate([matrix[::step] for _, matrix in table.batches()]).astype(np.float32)
    index = faiss.index_factory(
        table.model.dim, f"IVF{_LISTS},PQ{table.model.dim // 4}x4fsr", faiss.METRIC_INNER_PRODUCT
    )
    index.train(sample)
    ids, sums = [], []
    for batch_ids, matrix in table.batches():
        index.add(matrix.astype(np.float32))
        ids.append(batch_ids)
        sums.append(_checksums(matrix))
    return index, np.concatenate(ids), np.concatenate(sums)


def _write(file: BinaryIO, table: Table, index: Any, ids: Ids, sums: Sums) -> None:
    """A digest of all that follows, a line of JSON, the ids, the checksums, and what faiss writes."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def write(data: Any) -> int:
        digest.update(data)
        return file.write(data)

    file.write(bytes(_DIGEST_BYTES))
    write(json.dumps({"rows": len(ids), "model": table.model.fingerprint}).encode() + b"\n")
    write(ids.tobytes())
    write(sums.tobytes())
    faiss.write_index(index, faiss.PyCallbackIOWriter(write))
    file.seek(0)
    file.write(digest.digest())


def _read(table: Table) -> tuple[Any, Ids, Sums] | None:
    """faiss's lists, ids and checksums; None if the file is missing, damaged, or another model's. Only bytes whose
    digest is right reach faiss: others can make it end the process."""
    try:
        with (table.folder / IVF_FILE).open("rb") as file:
            digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
            stored = file.read(_DIGEST_BYTES)
            while block := file.read(1 << 20):
                digest.update(block)
            if digest.digest() != stored:
                return None
            file.seek(_DIGEST_BYTES)
            header = json.loads(file.readline())
            if header["model"] != table.model.fingerprint:
                return None
            ids: Ids = np.frombuffer(file.read(8 * header["rows"]), np.int64)
            sums: Sums = np.frombuffer(file.read(8 * header["rows"]), np.uint64)
            index = faiss.read_index(faiss.PyCallbackIOReader(file.read))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, MemoryError):
        return None  # a newer faiss may have written a format that this version cannot read
    is_ours = isinstance(index, faiss.IndexIVFPQFastScan) and index.d == table.model.dim
    return (index, ids, sums) if is_ours and index.ntotal == len(ids) == len(sums) else None


def _checksums(matrix: npt.NDArray[np.float16]) -> Sums:
    """64 bits for each row: its words times fixed odd numbers, modulo 2^64."""
    words = np.ascontiguousarray(matrix).view(np.uint64)
    weights = np.random.default_rng(0).integers(0, 2**63, words.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    blocks = range(0, len(words), 4096)
    work: Callable[[int], Any] = lambda start: words[start : start + 4096] @ weights  # noqa: E731
    with ThreadPoolExecutor() as pool:
        return np.concatenate([np.empty(0, np.uint64), *pool.map(work, blocks)])
