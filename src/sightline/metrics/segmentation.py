"""Mean intersection over union of label maps, as PASCAL VOC counts it: over all pixels of all pictures, class by class.

Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective" (2015), section 4.4.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def confusion(truth: ArrayLike, found: ArrayLike, classes: int, ignore: int | None = None) -> NDArray[np.int64]:
    """Two label maps of one shape -> (classes, classes): how many pixels of class [row] were found to be [column].

    Pixels whose truth is `ignore` don't count, whatever was found there. Matrices of several pictures are added up.
    Raises `ValueError` for maps of different shapes and for labels that are no class.
    """
    right, given = np.asarray(truth), np.asarray(found)
    if right.shape != given.shape:
        raise ValueError(f"the true labels are {right.shape}, those found {given.shape}")
    if ignore is not None:
        right, given = right[right != ignore], given[right != ignore]
    for name, labels in (("true", right), ("found", given)):
        if labels.size and (labels.dtype.kind not in "iub" or labels.min() < 0 or labels.max() >= classes):
            raise ValueError(f"labels must be whole numbers from 0 to {classes - 1}; those {name} are not")
    pairs = right.astype(np.int64).ravel() * classes + given.astype(np.int64).ravel()
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def iou(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """A confusion matrix -> (classes,): intersection over union of truth and what was found, from 0 to 1.

    NaN for a class that occurs in neither: there is nothing to be right or wrong about.
    """
    both = np.diag(matrix)
    either = matrix.sum(0) + matrix.sum(1) - both
    shares = np.full(len(matrix), np.nan)
    np.divide(both, either, out=shares, where=either > 0)
    return shares


def mean_iou(matrix: NDArray[np.int64]) -> float:
    """The mean of `iou` over the classes that occur in the truth or in what was found; the others are left out.

    Raises `ValueError` if no class occurs.
    """
    each = iou(matrix)
    if np.isnan(each).all():
        raise ValueError("no pixels, so no mean IoU")
    return float(np.nanmean(each))
