"""Recall@K as CLIP counts it: a query with several right answers is a hit if any of them is among the first K.

Young et al., "From image descriptions to visual denotations" (2014), section 5, for the protocol; Radford et al.
(2021), appendix E.2, for pictures with several captions.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ranks(scores: NDArray[np.floating], relevant: Sequence[ArrayLike]) -> NDArray[np.int64]:
    """`scores` (Q, N) and, for each query, the positions of its right answers -> (Q,) ranks of the best one, from 0.

    Equal scores are ordered by position, as a search orders them. Raises `ValueError` for a query without an answer
    and for scores that are not numbers, which have no order.
    """
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN, which have no order")
    if len(scores) != len(relevant):
        raise ValueError(f"{len(scores)} rows of scores for {len(relevant)} queries")
    out = np.empty(len(scores), np.int64)
    for i, (row, answers) in enumerate(zip(scores, relevant, strict=True)):
        right = np.sort(np.atleast_1d(np.asarray(answers, np.int64)))
        if not len(right):
            raise ValueError(f"query {i} has no right answer")
        best = right[row[right].argmax()]
        out[i] = (row > row[best]).sum() + (row[:best] == row[best]).sum()
    return out


def recall_at(ranks: NDArray[np.int64], k: int) -> float:
    """The share of queries, from 0 to 1, whose best answer is among the first `k`."""
    if not len(ranks):
        raise ValueError("no queries, so no recall")
    return float((ranks < k).mean())
