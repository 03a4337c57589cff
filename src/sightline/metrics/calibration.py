"""Calibration: whether a model is right as often as its confidence says.

Guo et al., "On Calibration of Modern Neural Networks" (2017), section 2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sightline.metrics.recall import count_ahead, ranks

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Reliability:
    """Answers by their confidence, in bins of equal width: `edges` (bins + 1,) from 0 to 1; `counts`, mean
    `confidence` and `accuracy` of each bin (bins,), NaN for an empty bin."""

    edges: Floats
    counts: Counts
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float:
        """The expected calibration error, equation 3: how far confidence is from accuracy, on average over answers."""
        filled = self.counts > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float(gaps @ self.counts[filled] / self.counts.sum())


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> Reliability:
    """The probabilities (N,) of answers, and whether these were right (N,) -> the reliability diagram's numbers.

    A bin holds what is above its lower edge up to its upper one. Raises `ValueError` for no answers, for arrays of
    different lengths and for numbers that are no probabilities.
    """
    probability, right = np.asarray(confidence, np.float64), np.asarray(correct, bool)
    if probability.ndim != 1 or probability.shape != right.shape:
        raise ValueError(f"confidence {probability.shape} and correct {right.shape} must be two rows of one length")
    if not len(probability):
        raise ValueError("no answers, so no calibration")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("confidence must be probabilities, from 0 to 1")
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, probability, side="left") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    means = [np.full(bins, np.nan), np.full(bins, np.nan)]
    for mean, values in zip(means, (probability, right), strict=True):
        np.divide(np.bincount(place, values, bins), counts, out=mean, where=counts > 0)
    return Reliability(edges, counts, *means)


@dataclass(frozen=True)
class SoftmaxStats:
    """The softmax over the candidates of Q questions at S scales: `loss` (the cross entropy, in nats), `confidence`
    (the probability of the likeliest candidate) and `entropy` (in nats), each (S, Q); `ranks` (Q,) of the right
    candidate, from 0, which no scale changes."""

    loss: Floats
    confidence: Floats
    entropy: Floats
    ranks: NDArray[np.int64]


def softmax_stats(cosines: NDArray[np.float32], right: ArrayLike, scales: ArrayLike) -> SoftmaxStats:
    """Cosines (Q, N) of questions and candidates, the right candidate's position (Q,), scales (S,) above 0."""
    truth, factors = np.asarray(right, np.int64), _checked(scales)
    below = cosines.astype(np.float64)
    below -= below.max(1, keepdims=True)
    loss, confidence, entropy = (np.empty((len(factors), len(cosines))) for _ in range(3))
    for i, scale in enumerate(factors):
        terms = np.exp(below * scale)
        total = terms.sum(1)
        confidence[i] = 1 / total
        loss[i] = np.log(total) - below[np.arange(len(below)), truth] * scale
        entropy[i] = np.log(total) - scale * np.einsum("qn,qn->q", terms, below) / total
    return SoftmaxStats(loss, confidence, entropy, ranks(cosines, truth.tolist()))


def rank_changes(cosines: NDArray[np.float32], right: ArrayLike, scales: ArrayLike, dtype: type[np.floating]) -> Counts:
    """At each scale (S,): of how many questions the right candidate's rank changes if logits are computed in `dtype`.

    In float64 of none: two float32 numbers that differ still do, and in the same order, after a product that is rounded
    so finely. In float32, in which models give their logits, neighbouring numbers may become equal, and equal ones are
    ordered by position.
    """
    truth = np.asarray(right, np.int64)

    def ranks_of(scores: NDArray[np.floating]) -> Counts:
        return count_ahead(scores, np.take_along_axis(scores, truth[:, None], 1)[:, 0], truth)

    unscaled, values = ranks_of(cosines), cosines.astype(dtype)
    at_scale = (ranks_of(values * dtype(scale)) for scale in _checked(scales))
    return np.array([(each != unscaled).sum() for each in at_scale], np.int64)


def _checked(scales: ArrayLike) -> Floats:
    factors = np.asarray(scales, np.float64)
    if not (np.isfinite(factors).all() and (factors > 0).all()):
        raise ValueError("scales must be numbers above 0")
    return factors
