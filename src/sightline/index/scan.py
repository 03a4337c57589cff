"""Search among vectors in memory. What `Scan.top` does, in four lines:

- Candidates come from a bfloat16 product (`batch_product`, four queries or more), from FAISS's scanner (`_shortlist`),
  or, if the answer may be approximate, from inverted lists (`ivf`).
- A scanner's candidates are taken when rounding cannot have hidden a better row (`_proven`), else more are fetched.
- The candidates are scored in float64 and sorted (`_rescore_float64`): so a score is the same in every kind of search.
- A filter that most rows pass is applied to a longer list of the best; for a narrow filter its rows alone are scanned.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import faiss
import numpy as np
import numpy.typing as npt

from sightline.errors import IndexDamaged, UsageError
from sightline.index.ivf import InvertedLists

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
T = TypeVar("T")

_FEW = 256
"""So many rows are scored in float64 without a shortlist."""
_MARGIN = 32
"""Rows fetched beyond k, so that a tie or a rounding at the k-th place rarely needs a second pass."""
_THREAD_BYTES = 64 << 20
"""Bytes of vectors for which a thread is worth starting."""
_CACHE_BYTES = 2 << 20
"""Bytes of vectors that stay in a core's cache while several queries are compared with them."""
_BROAD = 5
"""A filter that at least one row in five passes is broad: it is applied to the best of all rows."""
_PRODUCT_QUERIES = 4
"""From this number of queries on they are answered together by a product of matrices."""
_WORTH_TORCH = 1 << 24
"""Rows, counted once a query, that the scanner compares in about the time that importing torch takes."""
_PRODUCT_K = 1024
"""The largest k for which a product or a broad filter saves time."""
_FIRST_PASS_K = 100
"""The largest k that inverted lists serve: their candidates are the same for each smaller k."""


class Scan:
    """Vectors resident in memory as float16, and an exact top-k over them.

    ids: int64 (n,), each once. matrix: float16 (n, dim), rows of unit length; it is kept, not copied (and must not be
    changed). FAISS's scanner reads it in place: an index of FAISS's would copy it into memory without huge pages, which
    takes twice the room and twice the time. Usable from several threads. Raises IndexDamaged for vectors that are not
    finite numbers. `lists` opens the inverted lists, when the first query comes that may be answered approximately.
    """

    def __init__(
        self, ids: Ids, matrix: npt.NDArray[np.float16], lists: Callable[[], InvertedLists | None] = lambda: None
    ) -> None:
        n, self.dim = matrix.shape
        self._lists = cache(lists)
        self._scanned = 0
        self.ids = np.ascontiguousarray(ids, dtype=np.int64)
        self._matrix = np.ascontiguousarray(matrix, dtype=np.float16)
        self._rows = np.arange(n)
        self._quantizer: Any = faiss.ScalarQuantizer(self.dim, faiss.ScalarQuantizer.QT_fp16)
        self._scanners: list[Any] = []
        # |float32 sum - exact sum| <= dim * 2^-24 * |row| * |query| (Higham, Accuracy and Stability, 3.1)
        self._rounding = 1.02 * self.dim * 2.0**-24
        if not all(self._threaded(self._finite, n)):
            raise IndexDamaged("the index holds vectors that are not numbers: run `sightline fsck --repair`")

    def __len__(self) -> int:
        return len(self.ids)

    def top(self, queries: Floats, k: int, allow: Ids | None = None, *, exact: bool = False) -> tuple[Floats, Ids]:
        """The k best rows for each query (q, dim): scores float32 (q, k') and ids int64 (q, k'), k' = min(k, rows
        allowed).

        A score is the dot product of the stored row and the query, summed in float64 and rounded once to float32: the
        same whatever k, the filter or the other queries. Order: score, then the lower id; so the first rows of a larger
        k are the rows of a smaller one. `allow` holds the ids that may be found; ids that the table lacks are ignored.

        With inverted lists, k of at most 100, fewer than four queries and no filter, a row may be missed unless `exact`
        is set: the rows are then the best of a few thousand likely ones. Scores and order are those of an exact search,
        and the first rows of a larger k (up to 100) are still the rows of a smaller one.
        Raises UsageError for queries that are not finite or of another width.
        """
        queries = np.ascontiguousarray(np.atleast_2d(queries), dtype=np.float32)
        if queries.shape[1] != self.dim:
            raise UsageError(f"the query has {queries.shape[1]} dimensions, the index has {self.dim}")
        if not np.isfinite(queries).all():
            raise UsageError("the query vector holds values that are not finite")
        if k < 0:
            raise UsageError(f"k must not be negative: {k}")
        if allow is None:
            return self._best(queries, k, None, exact)
        if (
            len(allow) * _BROAD >= len(self)
            and (more := 8 + 5 * k * len(self) // (4 * max(len(allow), 1))) <= _PRODUCT_K
        ):
            # The best of all rows, in order: if k of them are allowed, they are the best k of the allowed.
            scores, ids = self._best(queries, more, None, exact=True)
            allowed = _among(ids, allow)
            if allowed.sum(axis=1).min(initial=k) >= k:
                first = np.argsort(~allowed, axis=1, kind="stable")[:, :k]
                return np.take_along_axis(scores, first, axis=1), np.take_along_axis(ids, first, axis=1)
        return self._best(queries, k, np.flatnonzero(np.isin(self.ids, allow)), exact=True)

    def _best(self, queries: Floats, k: int, places: Ids | None, exact: bool) -> tuple[Floats, Ids]:
        """`top` among the rows at these places, None for all."""
        k = min(k, len(self) if places is None else len(places))
        scores = np.empty((len(queries), k), np.float32)
        ids = np.empty((len(queries), k), np.int64)
        if not k:
            return scores, ids
        rest = []
        for row, candidates in enumerate(self._exact(queries, k, places) if exact else self._approximate(queries, k)):
            if candidates is None:
                rest.append(row)
            else:
                scores[[row]], ids[[row]] = self._proven(queries[[row]], k, candidates)
        scores[rest], ids[rest] = self._proven(queries[rest], k, places)
        return scores, ids

    def _exact(self, queries: Floats, k: int, places: Ids | None) -> list[Ids | None]:
        """For each query the places of rows among which its best k are; None where only a scan of all can say."""
        if len(queries) >= _PRODUCT_QUERIES and k <= _PRODUCT_K and self._is_worth_torch(len(queries), places):
            from sightline.index import batch_product

            if batch_product.is_fast():
                return batch_product.candidates(self._matrix, queries, k, places)
        return [None] * len(queries)

    def _is_worth_torch(self, queries: int, places: Ids | None) -> bool:
        """Whether torch, which multiplies faster, is imported, or would have been quicker by now: the scanner does not
        wait for its import, and a program that asks much pays for it once."""
        self._scanned += queries * (len(self) if places is None else len(places))
        return "torch" in sys.modules or self._scanned > _WORTH_TORCH

    def _approximate(self, queries: Floats, k: int) -> list[Ids | None]:
        """`_exact`, but for few queries and a small k the places that inverted lists name, if there are lists."""
        few = len(queries) < _PRODUCT_QUERIES and k <= _FIRST_PASS_K
        if not few or (lists := self._lists()) is None:
            return self._exact(queries, k, None)
        candidates = [lists.near(query) for query in queries]
        enough = min(_FIRST_PASS_K, len(self))
        return [None if rows is None or len(rows) < enough else rows for rows in candidates]

    def _proven(self, queries: Floats, k: int, places: Ids | None) -> tuple[Floats, Ids]:
        """For each query its exact best k among these places. FAISS's float32 scores choose a shortlist; where it
        cannot be proven to hold all of the best k (ties at its end), a longer one is fetched."""
        count = len(self) if places is None else len(places)
        scores = np.empty((len(queries), k), np.float32)
        ids = np.empty((len(queries), k), np.int64)
        if count <= _FEW:
            for row, query in enumerate(queries):
                scores[row], ids[row] = self._rescore_float64(query, self._rows if places is None else places, k)
            return scores, ids
        power = np.frexp(np.abs(queries).max(axis=1, keepdims=True))[1]
        scaled = np.ldexp(queries, -power)  # so that float32 suffices for large and for small queries
        slack = 2 * self._rounding * np.linalg.norm(scaled.astype(np.float64), axis=1)
        least, shortlists = self._shortlist(scaled, min(count, k + _MARGIN), places)
        for row, query in enumerate(queries):
            shortlist, bound = shortlists[row], float(least[row])
            while True:
                scores[row], ids[row] = self._rescore_float64(query, shortlist, k)
                if len(shortlist) == count:
                    break
                if np.float32(np.ldexp(bound + slack[row], power[row, 0])) < scores[row, -1]:
                    break
                fetch = min(count, 4 * len(shortlist))
                (bound,), (shortlist,) = self._shortlist(scaled[[row]], fetch, places)
        return scores, ids

    def _shortlist(self, queries: Floats, fetch: int, places: Ids | None) -> tuple[Floats, Ids]:
        """For each query the least of the best `fetch` scores of FAISS's (q,), and the places of those rows (q, fetch),
        in no order."""
        count = len(self) if places is None else len(places)
        parts = self._threaded(lambda lo, hi: self._partition(queries, fetch, places, lo, hi), count)
        scores, chosen = map(np.hstack, zip(*parts, strict=True))
        best = np.argpartition(-scores, fetch - 1, axis=1)[:, :fetch]
        return np.take_along_axis(scores, best, axis=1).min(axis=1), np.take_along_axis(chosen, best, axis=1)

    def _partition(self, queries: Floats, fetch: int, places: Ids | None, lo: int, hi: int) -> tuple[Floats, Ids]:
        """`_shortlist` with all scores (q, fetch), of the rows from lo to hi; place -1 fills up fewer than `fetch`."""
        scores = np.full((len(queries), fetch), -np.inf, np.float32)
        chosen = np.full((len(queries), fetch), -1, np.int64)
        scanners = [self._scanner() for _ in queries]
        for scanner, query in zip(scanners, queries, strict=True):
            scanner.set_query(faiss.swig_ptr(query))
        heaps = [(faiss.swig_ptr(scores[row]), faiss.swig_ptr(chosen[row])) for row in range(len(queries))]
        step = hi - lo if len(queries) == 1 and places is None else max(1, _CACHE_BYTES // (2 * self.dim))
        for start in range(lo, hi, step):
            stop = min(hi, start + step)
            rows = self._rows[start:stop] if places is None else places[start:stop]
            block = self._matrix[start:stop] if places is None else self._matrix[rows]
            for scanner, (heap_scores, heap_places) in zip(scanners, heaps, strict=True):
                codes = faiss.swig_ptr(block.view(np.uint8))
                scanner.scan_codes(stop - start, codes, faiss.swig_ptr(rows), heap_scores, heap_places, fetch)
        self._scanners.extend(scanners)
        return scores, chosen

    def _rescore_float64(self, query: Floats, places: Ids, k: int) -> tuple[Floats, Ids]:
        """Exact scores and ids of the best k of these rows."""
        wide = query.astype(np.float64)
        scores = np.empty(len(places), np.float32)
        for start in range(0, len(places), 4096):
            block = self._matrix[places[start : start + 4096]].astype(np.float64)
            scores[start : start + 4096] = (block * wide).sum(axis=1)
        order = np.lexsort((self.ids[places], -scores))[:k]
        return scores[order], self.ids[places[order]]

    def _scanner(self) -> Any:
        """A scanner for a query. Scanners are used again: faiss cannot free them from Python."""
        try:
            return self._scanners.pop()
        except IndexError:
            return self._quantizer.select_InvertedListScanner(faiss.METRIC_INNER_PRODUCT, None, False, None, False)

    def _finite(self, lo: int, hi: int) -> bool:
        """Whether the rows from lo to hi are finite, by their bits: infinity and NaN have an exponent of ones."""
        step = max(1, _CACHE_BYTES // (2 * self.dim))
        blocks = (self._matrix[start : min(hi, start + step)] for start in range(lo, hi, step))
        return all(b.view(np.int16).max() < 0x7C00 and b.view(np.uint16).max() < 0xFC00 for b in blocks)

    def _threaded(self, work: Callable[[int, int], T], count: int) -> list[T]:
        """work(lo, hi) for parts of `count` rows, a thread for each part."""
        threads = min(os.cpu_count() or 1, 1 + 2 * self.dim * count // _THREAD_BYTES)
        if threads == 1:
            return [work(0, count)]
        cuts = [count * part // threads for part in range(threads + 1)]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(work, cuts, cuts[1:]))


def _among(ids: Ids, allow: Ids) -> npt.NDArray[np.bool_]:
    """np.isin for few ids, quick where `allow` ascends, as a table gives it."""
    if not len(allow) or (allow[1:] <= allow[:-1]).any():
        return np.isin(ids, allow)
    return np.asarray(allow[np.minimum(np.searchsorted(allow, ids), len(allow) - 1)] == ids)
