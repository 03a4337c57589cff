"""Exact search in memory: every vector is looked at, filters are selectors, scores do not depend on how one asks."""

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from sightline.errors import IndexDamaged, UsageError

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_MARGIN = 32
"""Rows fetched beyond k, so that a tie or a rounding at the k-th place rarely needs a second pass."""


class Scan:
    """Vectors resident in memory as float16, and an exact top-k over them.

    ids: int64 (n,), each once. matrix: float16 (n, dim), rows of unit length; it is copied once and may be dropped.
    """

    def __init__(self, ids: Ids, matrix: npt.NDArray[np.float16]) -> None:
        n, self.dim = matrix.shape
        self.ids = np.ascontiguousarray(ids, dtype=np.int64)
        self._order = np.argsort(self.ids)
        self._index = faiss.IndexScalarQuantizer(self.dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        if n:
            self._index.add_sa_codes(np.ascontiguousarray(matrix, dtype=np.float16).view(np.uint8))
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
        allowed = None if allow is None else self._positions(allow)
        count = len(self) if allowed is None else len(allowed)
        k = min(k, count)
        scores = np.empty((len(queries), k), np.float32)
        ids = np.empty((len(queries), k), np.int64)
        if k and len(queries):
            params = None if allowed is None else self._selector(allowed)
            for row, found in enumerate(self._candidates(queries, k, count, params)):
                scores[row], ids[row] = found
        return scores, ids

    def _positions(self, allow: Ids) -> Ids:
        """Where the allowed ids lie, ascending."""
        allow = np.unique(np.asarray(allow, dtype=np.int64))
        ranks = np.searchsorted(self.ids, allow, sorter=self._order)
        ranks = np.minimum(ranks, max(len(self) - 1, 0))
        places = self._order[ranks] if len(self) else np.empty(0, np.int64)
        return np.sort(places[self.ids[places] == allow[: len(places)]])

    def _selector(self, positions: Ids) -> Any:
        bits = np.zeros(len(self), bool)
        bits[positions] = True
        bitmap: Any = np.packbits(bits, bitorder="little")  # faiss's annotations are the C++ signatures
        selector = faiss.IDSelectorBitmap(bitmap)  # type: ignore[call-arg]
        return faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]

    def _candidates(self, queries: Floats, k: int, count: int, params: Any) -> Any:
        """For each query its exact top k. FAISS's float32 scores choose candidates; a query whose candidates cannot be
        proven to hold all of the top k (ties at the boundary) is asked again with more."""
        fetch = min(count, k + _MARGIN)
        rough, places = self._index.search(queries, fetch, params=params)
        for query, row_rough, row_places in zip(queries, rough, places, strict=True):
            slack = 2 * self._rounding * float(np.linalg.norm(query))
            while True:
                scores = self._exact(query, row_places)
                order = np.lexsort((self.ids[row_places], -scores))[:k]
                if len(row_places) == count or row_rough[-1] + slack < scores[order[-1]]:
                    break
                more = min(count, 4 * len(row_places))
                row_rough, row_places = (found[0] for found in self._index.search(query[None], more, params=params))
            yield scores[order], self.ids[row_places[order]]

    def _exact(self, query: Floats, places: Ids) -> Floats:
        if (places < 0).any():
            raise IndexDamaged("the index holds vectors that are not numbers: run `sightline fsck --repair`")
        wide = query.astype(np.float64)
        scores = np.empty(len(places), np.float32)
        for start in range(0, len(places), 4096):
            block = self._index.reconstruct_batch(places[start : start + 4096]).astype(np.float64)
            scores[start : start + 4096] = (block * wide).sum(axis=1)
        return scores
