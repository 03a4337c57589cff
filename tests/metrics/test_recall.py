"""Ranks and recall, by hand and against a sort."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from sightline.metrics import ranks, recall_at


def test_by_hand() -> None:
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.2, 0.2], [0.1, 0.3, 0.2]])
    found = ranks(scores, [[0], [2], [0, 2]])
    assert found.tolist() == [0, 2, 1]
    assert [recall_at(found, k) for k in (1, 2, 3)] == [1 / 3, 2 / 3, 1.0]


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 4))
def test_equals_a_sort(seed: int, n: int, answers: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (5, n)).astype(np.float32)  # few values: many ties
    relevant = [rng.choice(n, min(answers, n), replace=False) for _ in range(5)]
    found = ranks(scores, relevant)
    for row, right, rank in zip(scores, relevant, found, strict=True):
        order = sorted(range(n), key=lambda i: (-row[i], i))
        assert min(order.index(i) for i in right) == rank


def test_refuses_what_has_no_rank() -> None:
    with pytest.raises(ValueError, match="NaN"):
        ranks(np.array([[np.nan, 1.0]]), [[0]])
    with pytest.raises(ValueError, match="no right answer"):
        ranks(np.array([[0.0, 1.0]]), [[]])
    with pytest.raises(ValueError, match="1 rows"):
        ranks(np.array([[0.0, 1.0]]), [[0], [1]])
    with pytest.raises(ValueError, match="no queries"):
        recall_at(np.array([], np.int64), 1)
