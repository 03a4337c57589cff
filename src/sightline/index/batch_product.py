"""Many queries at once: a bfloat16 product finds, with a proven bound, every row that may be among the best."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from sightline.encoder.hardware import one_core_threads, pick_dtype

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Candidates = tuple[Floats, Ids, Ids]

_ROWS = 8192
"""Rows of one product: few enough for the cache, enough that the threads rarely wait for Python."""
_QUERIES = 128
"""Queries of one product."""
_MOST_CANDIDATES = 4096
"""A query with more candidates than this is left to the scanner: the product has hardly narrowed it down."""

# A float16 without its lowest three bits, the other bits moved down by three, has the bits of a bfloat16 that is the
# number times 2^-112: two integer operations, where a true conversion takes as long as four products.
_SHIFT, _KEEP, _SCALE = 3, -0x7001, 2.0**112
# Cutting bits off makes each number smaller by 0 to 7/1024 of itself. The queries are made larger by half of that.
_MIDDLE = 1 / (1 - 7 / 2048)
_CUT = 7 / 2048 * _MIDDLE
_HALF = 2.0**-8
"""The largest error of a number rounded to bfloat16, as a part of the number."""


def is_fast() -> bool:
    """Whether this processor multiplies in bfloat16."""
    return pick_dtype("auto", torch.device("cpu")) == torch.bfloat16


def candidates(matrix: npt.NDArray[np.float16], queries: Floats, k: int, places: Ids | None) -> list[Ids | None]:
    """For each query the places of rows among which its best k are; None where the product cannot tell them apart.

    matrix: (n, dim), finite rows of unit length. queries: (q, dim), finite. places: the rows to choose from, None for
    all; there are at least k of them.
    """
    chosen: list[Ids | None] = []
    for start in range(0, len(queries), _QUERIES):
        chosen += _Product(matrix, queries[start : start + _QUERIES], k, places).candidates()
    return chosen


class _Product:
    """A product of the rows with up to _QUERIES queries. Candidates are (scores float32, queries, rows), arrays of the
    same length, ordered by query, best score first."""

    def __init__(self, matrix: npt.NDArray[np.float16], queries: Floats, k: int, places: Ids | None) -> None:
        self.bits, self.k, self.places = matrix.view(np.int16), k, places
        self.rows, self.dim = len(matrix) if places is None else len(places), matrix.shape[1]
        wide = queries.astype(np.float64)
        norms = np.linalg.norm(wide, axis=1, keepdims=True)
        # Scores beyond the range of float32 tie, which the bound leaves out: such queries are left to the scanner.
        self.least = np.where((norms[:, 0] < 2.0**-80) | (norms[:, 0] > 2.0**120), np.inf, -np.inf).astype(np.float32)
        exact = torch.from_numpy(wide / np.where(norms > 0, norms, 1) * (_MIDDLE * _SCALE))
        self.weights = exact.to(torch.bfloat16)
        rounded = torch.linalg.vector_norm(exact - self.weights.double(), dim=1).numpy() / _SCALE
        # |rough - exact score of the unit query|, before the rounding to bfloat16. In that order: bits cut off the row,
        # its numbers below float16's normal ones (taken for 0), the query's rounding, the sum in float32.
        self.error = 1.02 * (_CUT + self.dim**0.5 * 2.0**-14 + rounded + 4 * self.dim * 2.0**-24)

    def candidates(self) -> list[Ids | None]:
        threads = min(os.cpu_count() or 1, -(-self.rows // _ROWS))
        cuts = [self.rows * part // threads for part in range(threads + 1)]
        parts = list(_threads().map(self._partition, cuts, cuts[1:]))
        (_, queries, rows), least = self._best(
            [candidates for candidates, _ in parts], np.max([least for _, least in parts], axis=0)
        )
        if self.places is not None:
            rows = self.places[rows]
        ends = np.searchsorted(queries, np.arange(len(self.weights) + 1))
        return [
            None if is_left else rows[lo:hi]
            for is_left, lo, hi in zip(np.isposinf(least), ends[:-1], ends[1:], strict=True)
        ]

    def _partition(self, lo: int, hi: int) -> tuple[Candidates, Floats]:
        """The candidates among the rows from lo to hi, and the least score that a candidate of each query needs."""
        wanted = len(self.weights)
        block = torch.empty(_ROWS, self.dim, dtype=torch.bfloat16)  # aligned by torch, which makes products quicker
        product = torch.empty(_ROWS, wanted, dtype=torch.bfloat16)
        bits, rough = block.view(torch.int16).numpy(), product.view(torch.int16).numpy()
        least = self.least
        found: list[Candidates] = [(np.empty(0, np.float32), np.empty(0, np.int64), np.empty(0, np.int64))]
        kept = fresh = 0
        for start in range(lo, hi, _ROWS):
            n = min(hi, start + _ROWS) - start
            rows = slice(start, start + n) if self.places is None else self.places[start : start + n]
            np.right_shift(self.bits[rows], _SHIFT, out=bits[:n])
            np.bitwise_and(bits[:n], _KEEP, out=bits[:n])
            torch.mm(block[:n], self.weights.T, out=product[:n])
            if start == lo and n >= self.k:
                first = min(n, max(self.k, 1024))
                kth = np.partition(_floats(rough[:first].T), first - self.k, axis=1)[:, first - self.k]
                least = np.maximum(least, self._least(kth))
            # Bits of positive numbers are in the order of the numbers; a `least` of 0 or below admits all rows.
            hits = np.flatnonzero(
                rough[:n] >= np.where(least > 0, least.view(np.int32) >> 16, -0x8000).astype(np.int16)
            )
            found.append((_floats(rough.ravel()[hits]), hits % wanted, start + hits // wanted))
            fresh += len(hits)
            if fresh > kept + 16 * wanted:
                best, least = self._best(found, least)
                found, kept, fresh = [best], len(best[0]), 0
        return self._best(found, least)

    def _best(self, found: list[Candidates], least: Floats) -> tuple[Candidates, Floats]:
        """The candidates that can be among their query's k best, and the least score for that; +inf for a query that is
        left to the scanner."""
        scores, queries, rows = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.lexsort((-scores, queries))
        scores, queries, rows = scores[order], queries[order], rows[order]
        starts = np.searchsorted(queries, np.arange(len(least) + 1))
        enough = np.diff(starts) >= self.k
        least = least.copy()
        least[enough] = np.maximum(least[enough], self._least(scores[starts[:-1][enough] + self.k - 1], enough))
        keep = scores >= least[queries]
        least[np.bincount(queries[keep], minlength=len(least)) > _MOST_CANDIDATES] = np.inf
        keep = scores >= least[queries]
        return (scores[keep], queries[keep], rows[keep]), least

    def _least(self, kth: Floats, of: npt.NDArray[np.bool_] | slice = slice(None)) -> Floats:
        """No row with a rough score below this is among the k best, if the k-th best rough score is `kth`.

        Both rows' errors count; both scores, and the least one, were rounded to bfloat16.
        """
        both = 2 * self.error[of]
        least: Floats = (kth - both - 3.1 * _HALF * (np.abs(kth) + both)).astype(np.float32)
        return least


def _floats(bits: npt.NDArray[np.int16]) -> Floats:
    """The float32 numbers of bfloat16 bits."""
    return (bits.astype(np.int32) << 16).view(np.float32)


@cache
def _threads() -> ThreadPoolExecutor:
    return one_core_threads(os.cpu_count() or 1)


if hasattr(os, "register_at_fork"):  # a child process has none of its parent's threads and would wait for them
    os.register_at_fork(after_in_child=_threads.cache_clear)
