"""Search in memory: every vector is looked at, or what a first pass names; scores do not depend on how one asks."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, TypeVar

import faiss
import numpy as np
import numpy.typing as npt

from sightline.errors import IndexDamaged, UsageError
from sightline.index.ivf import Lists

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
T = TypeVar("T")

_MARGIN = 32
"""Rows fetched beyond k, so that a tie or a rounding at the k-th place rarely needs a second pass."""
_PART = 64 << 20
"""Bytes of vectors that are worth a thread."""
_BLOCK = 2 << 20
"""Bytes of vectors that stay in a core's cache while several queries look at them."""
_BROAD = 5
"""A filter that may let one row in so many pass is applied to what was found without it."""
_MANY = 4
"""So many queries are answered together by a product of matrices."""
_PRODUCT_K = 1024
"""The largest k for which a product or a broad filter is worth it."""
_FIRST_PASS_K = 100
"""The largest k that a first pass serves: it finds the same candidates for each."""


class Scan:
    """Vectors resident in memory as float16, and an exact top-k over them.

    ids: int64 (n,), each once. matrix: float16 (n, dim), rows of unit length; it is kept, not copied (and must not be
    changed). FAISS's scalar-quantiser scanner reads it where it is: an index of FAISS's would copy it into memory
    without huge pages, which takes twice the room and twice the time. Usable from several threads. Raises IndexDamaged
    for vectors that are not finite numbers. `lists` opens an approximate first pass for few queries at
    a time, when one is to be asked that need not be exact.
    """

    def __init__(
        self, ids: Ids, matrix: npt.NDArray[np.float16], lists: Callable[[], Lists | None] = lambda: None
    ) -> None:
        n, self.dim = matrix.shape
        self._lists = cache(lists)
        self.ids = np.ascontiguousarray(ids, dtype=np.int64)
        self._matrix = np.ascontiguousarray(matrix, dtype=np.float16)
        self._rows = np.arange(n)
        self._quantiser: Any = faiss.ScalarQuantizer(self.dim, faiss.ScalarQuantizer.QT_fp16)
        self._scanners: list[Any] = []
        # |float32 sum - exact sum| <= dim * 2^-24 * |row| * |query| (Higham, Accuracy and Stability, 3.1)
        self._rounding = 1.02 * self.dim * 2.0**-24
        if not all(self._threaded(self._finite, n)):
            raise IndexDamaged("the index holds vectors that are not numbers: run `sightline fsck --repair`")

    def __len__(self) -> int:
        return len(self.ids)

    def top(self, queries: Floats, k: int, allow: Ids | None = None, *, exact: bool = False) -> tuple[Floats, Ids]:
        """The k best rows for each query: scores float32 (q, k') and ids int64 (q, k'), k' = min(k, rows allowed).

        A score is the dot product of the stored row and the query, summed in float64 and rounded once to float32: the
        same whatever k, the filter or the other queries. Order: score, then the lower id; so the first rows of a larger
        k are the rows of a smaller one. `allow` holds the ids that may be found; ids that are not here are ignored.

        With lists, k of at most 100, fewer than four queries and no filter, a row may be missed, unless it is to be
        `exact`: the rows are the best of some thousands that are likely. Scores and order are as ever, and the first
        rows of a larger k (up to 100) are still the rows of a smaller one.
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
            # The best among all, in order, and of those the allowed: if they are k, they are the best k of the allowed.
            scores, ids = self._best(queries, more, None, exact=True)
            kept = _among(ids, allow)
            if kept.sum(axis=1).min(initial=k) >= k:
                first = np.argsort(~kept, axis=1, kind="stable")[:, :k]
                return np.take_along_axis(scores, first, axis=1), np.take_along_axis(ids, first, axis=1)
        return self._best(queries, k, np.flatnonzero(np.isin(self.ids, allow)), exact=True)

    def _best(self, queries: Floats, k: int, places: Ids | None, exact: bool) -> tuple[Floats, Ids]:
        """`top` among the rows at these places, None for all."""
        count = len(self) if places is None else len(places)
        k = min(k, count)
        scores = np.empty((len(queries), k), np.float32)
        ids = np.empty((len(queries), k), np.int64)
        if not k:
            return scores, ids
        for row, (found_scores, found_ids) in enumerate(self._found(queries, k, places, exact)):
            scores[row], ids[row] = found_scores, found_ids
        return scores, ids

    def _found(self, queries: Floats, k: int, places: Ids | None, exact: bool) -> Iterator[tuple[Floats, Ids]]:
        if not exact and len(queries) < _MANY and k <= _FIRST_PASS_K and (lists := self._lists()) is not None:
            for query in queries:
                near = lists.near(query)
                enough = near is not None and len(near) >= min(_FIRST_PASS_K, len(self))
                yield from self._settled(query[None], k, near if enough else None)
            return
        chosen: list[Ids | None] = [None] * len(queries)
        if len(queries) >= _MANY and k <= _PRODUCT_K:
            from sightline.index import product  # torch, which a search by text does not need

            if product.is_fast():
                chosen = product.candidates(self._matrix, queries, k, places)
        alone = self._settled(queries[[found is None for found in chosen]], k, places)
        for query, found in zip(queries, chosen, strict=True):
            yield next(alone) if found is None else self._ordered(query, found, k)

    def _settled(self, queries: Floats, k: int, places: Ids | None) -> Iterator[tuple[Floats, Ids]]:
        """For each query its exact top k. FAISS's float32 scores choose candidates; a query whose candidates cannot be
        proven to hold all of the top k (ties at the boundary) is asked again for more."""
        count = len(self) if places is None else len(places)
        power = np.frexp(np.abs(queries).max(axis=1, keepdims=True))[1]
        queries, given = np.ldexp(queries, -power), queries  # so float32 suffices for large and small ones
        rough, chosen = self._rough(queries, min(count, k + _MARGIN), places)
        for row, query in enumerate(queries):
            slack = 2 * self._rounding * float(np.linalg.norm(query))
            row_rough, row_chosen = rough[row], chosen[row]
            while True:
                scores, ids = self._ordered(given[row], row_chosen, k)
                if len(row_chosen) == count:
                    break
                if np.float32(np.ldexp(float(row_rough.min()) + slack, power[row, 0])) < scores[-1]:
                    break
                more = min(count, 4 * len(row_chosen))
                row_rough, row_chosen = (found[0] for found in self._rough(query[None], more, places))
            yield scores, ids

    def _rough(self, queries: Floats, fetch: int, places: Ids | None) -> tuple[Floats, Ids]:
        """FAISS's scores and the places of the best `fetch` rows for each query, in no order."""
        parts = self._threaded(
            partial(self._part, queries, fetch, places), len(self) if places is None else len(places)
        )
        scores, found = (np.concatenate(both, axis=1) for both in zip(*parts, strict=True))
        best = np.argpartition(-scores, fetch - 1, axis=1)[:, :fetch]
        return np.take_along_axis(scores, best, axis=1), np.take_along_axis(found, best, axis=1)

    def _part(self, queries: Floats, fetch: int, places: Ids | None, lo: int, hi: int) -> tuple[Floats, Ids]:
        """`_rough` among the rows from lo to hi; fewer than `fetch` are filled up with place -1."""
        scores = np.full((len(queries), fetch), -np.inf, np.float32)
        found = np.full((len(queries), fetch), -1, np.int64)
        scanners = [self._scanner() for _ in queries]
        for scanner, query in zip(scanners, queries, strict=True):
            scanner.set_query(faiss.swig_ptr(query))
        heaps = [(faiss.swig_ptr(scores[row]), faiss.swig_ptr(found[row])) for row in range(len(queries))]
        step = hi - lo if len(queries) == 1 and places is None else max(1, _BLOCK // (2 * self.dim))
        for start in range(lo, hi, step):
            stop = min(hi, start + step)
            rows = self._rows[start:stop] if places is None else places[start:stop]
            block = self._matrix[start:stop] if places is None else self._matrix[rows]
            for scanner, (heap, held) in zip(scanners, heaps, strict=True):
                codes = faiss.swig_ptr(block.view(np.uint8))
                scanner.scan_codes(stop - start, codes, faiss.swig_ptr(rows), heap, held, fetch)
        self._scanners.extend(scanners)
        return scores, found

    def _scanner(self) -> Any:
        """A scanner for one query. They are used again: faiss cannot free them from Python."""
        try:
            return self._scanners.pop()
        except IndexError:
            return self._quantiser.select_InvertedListScanner(faiss.METRIC_INNER_PRODUCT, None, False, None, False)

    def _finite(self, lo: int, hi: int) -> bool:
        """Whether the rows from lo to hi hold numbers only, seen from the bits: an all-ones exponent is none."""
        step = max(1, _BLOCK // (2 * self.dim))
        blocks = (self._matrix[start : min(hi, start + step)] for start in range(lo, hi, step))
        return all(b.view(np.int16).max() < 0x7C00 and b.view(np.uint16).max() < 0xFC00 for b in blocks)

    def _threaded(self, work: Callable[[int, int], T], count: int) -> list[T]:
        """work(lo, hi) for parts of `count` rows, each large enough to be worth a thread."""
        threads = min(os.cpu_count() or 1, 1 + 2 * self.dim * count // _PART)
        if threads == 1:
            return [work(0, count)]
        cuts = [count * part // threads for part in range(threads + 1)]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(work, cuts, cuts[1:]))

    def _ordered(self, query: Floats, places: Ids, k: int) -> tuple[Floats, Ids]:
        """Exact scores and ids of the best k of these rows."""
        wide = query.astype(np.float64)
        scores = np.empty(len(places), np.float32)
        for start in range(0, len(places), 4096):
            block = self._matrix[places[start : start + 4096]].astype(np.float64)
            scores[start : start + 4096] = (block * wide).sum(axis=1)
        order = np.lexsort((self.ids[places], -scores))[:k]
        return scores[order], self.ids[places[order]]


def _among(ids: Ids, allow: Ids) -> npt.NDArray[np.bool_]:
    """np.isin for few ids, quick where `allow` ascends, as a table gives it."""
    if not len(allow) or (allow[1:] <= allow[:-1]).any():
        return np.isin(ids, allow)
    return np.asarray(allow[np.minimum(np.searchsorted(allow, ids), len(allow) - 1)] == ids)
