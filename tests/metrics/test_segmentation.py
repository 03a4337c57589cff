"""Confusion and mean IoU, by hand and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn.metrics import confusion_matrix, jaccard_score

from sightline.metrics import confusion, iou, mean_iou


def test_by_hand() -> None:
    truth = np.array([[0, 0, 1], [1, 2, 9]])
    found = np.array([[0, 1, 1], [1, 1, 4]])
    matrix = confusion(truth, found, 5, ignore=9)
    assert matrix.sum() == 5
    assert iou(matrix).tolist()[:3] == [1 / 2, 2 / 4, 0.0]
    assert np.isnan(iou(matrix)[3:]).all()  # class 4 was found only where nothing counts
    assert mean_iou(matrix) == pytest.approx(1 / 3)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(1, 40), st.booleans())
def test_equals_scikit_learn(seed: int, classes: int, pixels: int, ignored: bool) -> None:
    rng = np.random.default_rng(seed)
    here = rng.choice(classes, rng.integers(1, classes + 1), replace=False)  # so that classes are missing
    truth, found = rng.choice(here, (2, 3, pixels)).astype(rng.choice([np.uint8, np.int64]))
    if ignored:
        truth[rng.random(truth.shape) < 0.3] = 127
    counted = truth != 127
    matrix = confusion(truth, found, classes, ignore=127)
    labels = np.arange(classes)
    if not counted.any():
        assert not matrix.any()
        return
    right, given_ = truth[counted], found[counted]
    np.testing.assert_array_equal(matrix, confusion_matrix(right, given_, labels=labels))
    occurring = np.union1d(right, given_)
    np.testing.assert_allclose(iou(matrix)[occurring], jaccard_score(right, given_, labels=occurring, average=None))
    assert np.isnan(np.delete(iou(matrix), occurring)).all()
    assert mean_iou(matrix) == pytest.approx(jaccard_score(right, given_, labels=occurring, average="macro"))


def test_pictures_add_up() -> None:
    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 4, (2, 5, 8, 8))
    parts = sum(confusion(t, f, 4) for t, f in zip(truth, found, strict=True))
    np.testing.assert_array_equal(parts, confusion(truth, found, 4))


def test_refuses_what_has_no_class() -> None:
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        confusion([0, 1], [0, 1, 1], 2)
    with pytest.raises(ValueError, match="from 0 to 1; those true"):
        confusion([0, 2], [0, 1], 2)
    with pytest.raises(ValueError, match="those predicted"):
        confusion([0, 1], [0, -1], 2)
    with pytest.raises(ValueError, match="those predicted"):
        confusion([0, 1], [0.0, 1.0], 2)
    with pytest.raises(ValueError, match="no pixels"):
        mean_iou(confusion([255], [0], 2, ignore=255))
