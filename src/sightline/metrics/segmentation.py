"""Mean intersection over union of label maps, as PASCAL VOC counts it: over all pixels of all images, class by class.

Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective" (2015), section 4.4.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def confusion(truth: ArrayLike, predicted: ArrayLike, classes: int, ignore: int | None = None) -> NDArray[np.int64]:
    """Two label maps of one shape -> (classes, classes): how many pixels of class [row] were predicted as [column].

    Pixels whose truth is `ignore` don't count, whatever was predicted. Matrices of several images can be added up.
    Raises `ValueError` for maps of different shapes and for labels outside of the classes.
    """
    labels = {"true": np.asarray(truth), "predicted": np.asarray(predicted)}
    if labels["true"].shape != labels["predicted"].shape:
        raise ValueError(f"the true labels are {labels['true'].shape}, those predicted {labels['predicted'].shape}")
    if ignore is not None:
        counted = labels["true"] != ignore
        labels = {name: values[counted] for name, values in labels.items()}
    for name, values in labels.items():
        if values.size and (values.dtype.kind not in "iub" or values.min() < 0 or values.max() >= classes):
            raise ValueError(f"labels must be whole numbers from 0 to {classes - 1}; those {name} are not")
    pairs = labels["true"].astype(np.int64).ravel() * classes + labels["predicted"].astype(np.int64).ravel()
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def iou(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """A confusion matrix -> (classes,): intersection over union of truth and prediction, from 0 to 1.

    NaN for a class that occurs in neither.
    """
    both = np.diag(matrix)
    either = matrix.sum(0) + matrix.sum(1) - both
    shares = np.full(len(matrix), np.nan)
    np.divide(both, either, out=shares, where=either > 0)
    return shares


def mean_iou(matrix: NDArray[np.int64]) -> float:
    """The mean of `iou` over the classes that occur in the truth or in the prediction.

    Raises `ValueError` if no class occurs.
    """
    each = iou(matrix)
    if np.isnan(each).all():
        raise ValueError("no pixels, so no mean IoU")
    return float(np.nanmean(each))
