"""Ranks and Recall@K as CLIP counts them: a query with several right answers is a hit if any is among the first K.

Young et al., "From image descriptions to visual denotations" (2014), section 5, for the protocol; Radford et al.
(2021), appendix E.2, for images with several captions.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def count_ahead(
    scores: NDArray[np.floating], level: NDArray[np.floating], position: NDArray[np.int64], start: int = 0
) -> NDArray[np.int64]:
    """How many candidates of each row of `scores` (Q, N) come before the answer with the score `level` (Q,) at
    `position` (Q,): those with a higher score, and those with an equal score at an earlier position.

    The positions of the N candidates are `start`, `start + 1`, ...: the answer may be in another tile.
    """
    stop = start + scores.shape[1]
    if len(position) and position.min() >= stop:
        return np.asarray((scores >= level[:, None]).sum(1))
    count = np.asarray((scores > level[:, None]).sum(1))
    if len(position) and position.max() > start:
        count += ((scores == level[:, None]) & (np.arange(start, stop) < position[:, None])).sum(1)
    return count


def ranks(scores: NDArray[np.floating], relevant: Sequence[ArrayLike]) -> NDArray[np.int64]:
    """`scores` (Q, N) and, for each query, the positions of its right answers -> (Q,) ranks of the best one, from 0.

    Equal scores are ordered by position, as a search orders them. Raises `ValueError` for a query without an answer
    and for scores that are NaN, which have no order.
    """
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN, which have no order")
    if len(scores) != len(relevant):
        raise ValueError(f"{len(scores)} rows of scores for {len(relevant)} queries")
    best = np.empty(len(scores), np.int64)
    for i, (row, positions) in enumerate(zip(scores, relevant, strict=True)):
        right = np.sort(np.atleast_1d(np.asarray(positions, np.int64)))
        if not len(right):
            raise ValueError(f"query {i} has no right answer")
        best[i] = right[row[right].argmax()]
    return count_ahead(scores, np.take_along_axis(scores, best[:, None], 1)[:, 0], best)


def recall_at(ranks: NDArray[np.int64], k: int) -> float:
    """The share of queries, from 0 to 1, whose best answer is among the first `k`. Raises `ValueError` for none."""
    if not len(ranks):
        raise ValueError("no queries, so no recall")
    return float((ranks < k).mean())
