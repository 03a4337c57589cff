"""Exact search in memory: every vector is looked at, filters are selectors, scores do not depend on how one asks."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from sightline.errors import IndexDamaged, UsageError

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_MARGIN = 32
"""Rows fetched beyond k, so that a tie or a rounding at the k-th place rarely needs a second pass."""
_PART = 64 << 20
"""Bytes of vectors that are worth a thread."""
_BLOCK = 2 << 20
"""Bytes of vectors that stay in a core's cache while several queries look at them."""


class Scan:
    """Vectors resident in memory as float16, and an exact top-k over them.

    ids: int64 (n,), each once. matrix: float16 (n, dim), rows of unit length; it is kept, not copied (and must not be
    changed). FAISS's scalar-quantiser scanner reads it where it is: an index of FAISS's would copy it into memory
    without huge pages, which takes twice the room and twice the time. Usable from several threads.
    """

    def __init__(self, ids: Ids, matrix: npt.NDArray[np.float16]) -> None:
        n, self.dim = matrix.shape
        self.ids = np.ascontiguousarray(ids, dtype=np.int64)
        self._matrix = np.ascontiguousarray(matrix, dtype=np.float16)
        self._rows = np.arange(n)
        self._quantiser: Any = faiss.ScalarQuantizer(self.dim, faiss.ScalarQuantizer.QT_fp16)
        self._scanners: dict[bool, list[Any]] = {False: [], True: []}
        # |float32 sum - exact sum| <= dim * 2^-24 * |row| * |query| (Higham, Accuracy and Stability, 3.1)
        self._rounding = 1.02 * self.dim * 2.0**-24

    def __len__(self) -> int:
        return len(self.ids)

    def top(self, queries: Floats, k: int, allow: Ids | None = None) -> tuple[Floats, Ids]:
        """The k best rows for each query: scores float32 (q, k') and ids int64 (q, k'), k' = min(k, rows allowed).

        A score is the dot product of the stored row and the query, summed in float64 and rounded once to float32: the
        same whatever k, the filter or the other queries. Order: score, then the lower id; so the first rows of a larger
        k are the rows of a smaller one. `allow` holds the ids that may be found; ids that are not here are ignored.
        Raises UsageError for queries that are not finite or of another width.
        """
        queries = np.ascontiguousarray(np.atleast_2d(queries), dtype=np.float32)
        if queries.shape[1] != self.dim:
            raise UsageError(f"the query has {queries.shape[1]} dimensions, the index has {self.dim}")
        if not np.isfinite(queries).all():
            raise UsageError("the query vector holds values that are not finite")
        if k < 0:
            raise UsageError(f"k must not be negative: {k}")
        allowed = None if allow is None else np.isin(self.ids, allow)
        count = len(self) if allowed is None else int(allowed.sum())
        k = min(k, count)
        scores = np.empty((len(queries), k), np.float32)
        ids = np.empty((len(queries), k), np.int64)
        if k and len(queries):
            selector = None if allowed is None else self._selector(allowed)
            for row, found in enumerate(self._settled(queries, k, count, selector)):
                scores[row], ids[row] = found
        return scores, ids

    def _selector(self, allowed: npt.NDArray[np.bool_]) -> Any:
        bitmap: Any = np.packbits(allowed, bitorder="little")  # faiss's annotations are the C++ signatures
        return faiss.IDSelectorBitmap(bitmap)  # type: ignore[call-arg]

    def _settled(self, queries: Floats, k: int, count: int, selector: Any) -> Iterator[tuple[Floats, Ids]]:
        """For each query its exact top k. FAISS's float32 scores choose candidates; a query whose candidates cannot be
        proven to hold all of the top k (ties at the boundary) is asked again for more."""
        rough, places = self._rough(queries, min(count, k + _MARGIN), selector)
        for query, row_rough, row_places in zip(queries, rough, places, strict=True):
            slack = 2 * self._rounding * float(np.linalg.norm(query))
            while True:
                scores = self._exact(query, row_places)
                order = np.lexsort((self.ids[row_places], -scores))[:k]
                if len(row_places) == count or row_rough.min() + slack < scores[order[-1]]:
                    break
                more = min(count, 4 * len(row_places))
                row_rough, row_places = (found[0] for found in self._rough(query[None], more, selector))
            yield scores[order], self.ids[row_places[order]]

    def _rough(self, queries: Floats, fetch: int, selector: Any) -> tuple[Floats, Ids]:
        """FAISS's scores and the places of the best `fetch` rows for each query, in no order."""
        threads = min(os.cpu_count() or 1, 1 + self._matrix.nbytes // _PART)
        cuts = [len(self) * part // threads for part in range(threads + 1)]
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(lambda lo, hi: self._part(queries, fetch, selector, lo, hi), cuts, cuts[1:]))
        scores, places = (np.concatenate(found, axis=1) for found in zip(*parts, strict=True))
        best = np.argpartition(-scores, fetch - 1, axis=1)[:, :fetch]
        places = np.take_along_axis(places, best, axis=1)
        if (places < 0).any():  # a row that compares with nothing is never fetched
            raise IndexDamaged("the index holds vectors that are not numbers: run `sightline fsck --repair`")
        return np.take_along_axis(scores, best, axis=1), places

    def _part(self, queries: Floats, fetch: int, selector: Any, lo: int, hi: int) -> tuple[Floats, Ids]:
        """`_rough` among the rows from lo to hi; fewer than `fetch` are filled up with place -1."""
        scores = np.full((len(queries), fetch), -np.inf, np.float32)
        places = np.full((len(queries), fetch), -1, np.int64)
        scanners = [self._scanner(selector) for _ in queries]
        for scanner, query in zip(scanners, queries, strict=True):
            scanner.set_query(faiss.swig_ptr(query))
        heaps = [(faiss.swig_ptr(scores[row]), faiss.swig_ptr(places[row])) for row in range(len(queries))]
        step = hi - lo if len(queries) == 1 else max(1, _BLOCK // (2 * self.dim))
        for start in range(lo, hi, step):
            stop = min(hi, start + step)
            codes = faiss.swig_ptr(self._matrix[start:stop].view(np.uint8))
            rows = faiss.swig_ptr(self._rows[start:stop])
            for scanner, (heap, held) in zip(scanners, heaps, strict=True):
                scanner.scan_codes(stop - start, codes, rows, heap, held, fetch)
        self._scanners[selector is not None].extend(scanners)
        return scores, places

    def _scanner(self, selector: Any) -> Any:
        """A scanner for one query. They are used again: faiss cannot free them from Python."""
        try:
            scanner = self._scanners[selector is not None].pop()
        except IndexError:
            scanner = self._quantiser.select_InvertedListScanner(
                faiss.METRIC_INNER_PRODUCT, None, False, selector, False
            )
        scanner.sel = selector
        return scanner

    def _exact(self, query: Floats, places: Ids) -> Floats:
        wide = query.astype(np.float64)
        scores = np.empty(len(places), np.float32)
        for start in range(0, len(places), 4096):
            block = self._matrix[places[start : start + 4096]].astype(np.float64)
            scores[start : start + 4096] = (block * wide).sum(axis=1)
        return scores
