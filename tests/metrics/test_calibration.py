"""Calibration against scikit-learn and torch, and by hand; the ranking at every scale."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.calibration import calibration_curve

from sightline.metrics.calibration import rank_changes, reliability, softmax_stats

COSINES = arrays.arrays(np.float32, (4, 6), elements=st.floats(-1, 1, width=32))
SCALES = st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=5)


def test_by_hand():
    found = reliability([0.05, 0.5, 0.45, 1.0], [False, True, False, True], bins=2)
    assert found.counts.tolist() == [3, 1]  # 0.5 is in the bin that ends there
    np.testing.assert_allclose(found.confidence, [1 / 3, 1.0])
    np.testing.assert_allclose(found.accuracy, [1 / 3, 1.0])
    assert found.error == pytest.approx(0.0)
    assert reliability([0.9, 0.9], [True, False]).error == pytest.approx(0.4)
    assert reliability([0.0], [True]).error == 1.0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40))
def test_bins_are_scikit_learns(drawn):
    confidence, correct = map(np.array, zip(*drawn, strict=True))
    edges = np.linspace(0, 1, 11)
    # That one's bins begin at their lower edge and ours end at their upper one: nothing on an edge.
    confidence = np.where(np.isin(confidence, edges), confidence / 2 + 0.013, confidence)
    found = reliability(confidence, correct, bins=10)
    accuracy, means = calibration_curve(correct, confidence, n_bins=10)
    filled = found.counts > 0
    np.testing.assert_allclose(found.accuracy[filled], accuracy)
    np.testing.assert_allclose(found.confidence[filled], means)
    assert 0 <= found.error <= 1
    assert found.counts.sum() == len(confidence)


@pytest.mark.parametrize(
    ("confidence", "correct", "says"),
    [
        ([], [], "no answers"),
        ([0.1], [True, False], "one length"),
        ([1.1], [True], "0 to 1"),
        ([float("nan")], [True], "0 to 1"),
    ],
)
def test_what_is_no_confidence(confidence, correct, says):
    with pytest.raises(ValueError, match=says):
        reliability(confidence, correct)


@given(COSINES, SCALES, st.lists(st.integers(0, 5), min_size=4, max_size=4))
def test_answers_are_torchs_softmax(cosines, scales, right):
    found = softmax_stats(cosines, right, scales)
    for i, scale in enumerate(scales):
        logits = torch.from_numpy(cosines).double() * scale
        spread = torch.distributions.Categorical(logits=logits)
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(right), reduction="none")
        np.testing.assert_allclose(found.loss[i], loss, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.confidence[i], spread.probs.max(1).values, rtol=1e-9)
        np.testing.assert_allclose(found.entropy[i], spread.entropy(), rtol=1e-7, atol=1e-8)


def neighbours(count):
    """(count, count): in each row cosines of which each is the next number after the one before it."""
    row = np.full(count, 0.95, np.float32)
    for i in range(1, count):
        row[i] = np.nextafter(row[i - 1], np.float32(1))
    return np.tile(row, (count, 1))


@given(st.floats(1e-3, 1e4))
def test_no_scale_moves_a_rank(scale):
    assert rank_changes(neighbours(50), np.arange(50), [scale], np.float64).tolist() == [0]


def test_float32_makes_neighbours_equal():
    # Above 1 there are half as many numbers: 0.95 and its neighbours have no room there. A power of two keeps all.
    found = rank_changes(neighbours(50), np.arange(50), [1.1, 2.0, 0.5], np.float32)
    assert found[0] > 10
    assert found[1:].tolist() == [0, 0]


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_scales_are_above_zero(scale):
    with pytest.raises(ValueError, match="above 0"):
        softmax_stats(np.zeros((1, 2), np.float32), [0], [scale])
    with pytest.raises(ValueError, match="above 0"):
        rank_changes(np.zeros((1, 2), np.float32), [0], [scale], np.float64)
