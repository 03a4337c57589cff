"""What changes with the scale of the logits (the loss, and how sure the model is), and what cannot: the ranking.

Radford et al. (2021), section 2.5, learn the scale, CLIP's inverse temperature; Guo et al. (2017), section 4.2, find
the one that fits a trained model best.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sightline.encoder.source import Vectors
from sightline.metrics.calibration import Counts, Floats, Reliability, answers, moved, reliability

RANGE = 0.5, 1000.0
STEPS = 45
BLOCK = 1 << 22  # cosines at a time

Block = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class Questions:
    """Cosines in blocks (q, N), each with the right candidates' positions (q,); made anew each time they are read."""

    _blocks: Callable[[], Iterator[Block]]

    def __iter__(self) -> Iterator[Block]:
        return self._blocks()


def classification(pictures: Vectors, classes: Vectors, labels: ArrayLike) -> Questions:
    """Unit vectors (N, P) and (C, P), each picture's class (N,): each picture asks for its class."""
    return Questions(lambda: _blocks(pictures, classes, np.asarray(labels, np.int64)))


def retrieval(pictures: Vectors, texts: Vectors, owner: ArrayLike) -> tuple[Questions, Questions]:
    """Unit vectors (N, P) and (T, P), each text's picture (T,): each text asks for its picture, and each picture for
    its text.

    As in training, one text of each picture stands among the candidates: the first of all pictures, then the second
    of all, as far as every picture has one. So the loss is the contrastive loss of all N pairs, averaged over these.
    Raises `ValueError` for a picture without a text.
    """
    of = np.asarray(owner, np.int64)
    counts = np.bincount(of, minlength=len(pictures))
    if not counts.size or counts.min() == 0:
        raise ValueError("a picture has no text")
    order = np.argsort(of, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rounds = [texts[order[starts + i]] for i in range(int(counts.min()))]
    pairs = np.arange(len(pictures))
    return (
        Questions(lambda: (block for each in rounds for block in _blocks(each, pictures, pairs))),
        Questions(lambda: (block for each in rounds for block in _blocks(pictures, each, pairs))),
    )


def _blocks(asking: Vectors, candidates: Vectors, right: NDArray[np.int64]) -> Iterator[Block]:
    rows = max(1, BLOCK // len(candidates))
    for at in range(0, len(asking), rows):
        yield asking[at : at + rows] @ candidates.T, right[at : at + rows]


@dataclass(frozen=True)
class Curve:
    """At each scale (S,): the mean `loss`, `confidence` and `entropy`, the expected calibration `error`, and of how
    many questions the rank is another one, with logits in float64 (`moved`: none) and in float32 (`merged`). What is
    the same at every scale: the `accuracy` and the `ranks` (Q,), from 0."""

    scales: Floats
    loss: Floats
    confidence: Floats
    entropy: Floats
    error: Floats
    moved: Counts
    merged: Counts
    accuracy: float
    ranks: Counts


def curve(questions: Questions, scales: ArrayLike) -> Curve:
    """What the softmax of the cosines times each of the scales (S,) says, and where it ranks the right answers."""
    factors = np.asarray(scales, np.float64)
    said, others, merged = [], [], []
    for cosines, right in questions:
        said.append(answers(cosines, right, factors))
        others.append(moved(cosines, right, factors, np.float64))
        merged.append(moved(cosines, right, factors, np.float32))
    loss, confidence, entropy = (
        np.concatenate([getattr(part, name) for part in said], axis=1) for name in ("loss", "confidence", "entropy")
    )
    ranks = np.concatenate([part.ranks for part in said])
    error = np.array([reliability(row, ranks == 0).error for row in confidence])
    return Curve(
        factors,
        loss.mean(1),
        confidence.mean(1),
        entropy.mean(1),
        error,
        np.sum(others, axis=0),
        np.sum(merged, axis=0),
        float((ranks == 0).mean()),
        ranks,
    )


def diagram(questions: Questions, scale: float) -> Reliability:
    """The reliability diagram's numbers at one scale."""
    said = [answers(cosines, right, [scale]) for cosines, right in questions]
    confidence = np.concatenate([part.confidence[0] for part in said])
    return reliability(confidence, np.concatenate([part.ranks for part in said]) == 0)


def scales_around(own: float) -> Floats:
    """Scales in equal ratios over `RANGE`, widened to hold the model's `own`, which is one of them."""
    return np.union1d(np.geomspace(min(RANGE[0], own), max(RANGE[1], own), STEPS), [own])


def best_scale(*questions: Questions) -> tuple[float, float]:
    """The scale within `RANGE`, to 0.1%, at which the mean loss is least, and that loss.

    The loss is convex in the scale, so that the least of some scales has the least of all beside it.
    """
    scales = np.geomspace(*RANGE, 25)
    while True:
        loss = np.mean([_loss(asked, scales) for asked in questions], axis=0)
        at = int(loss.argmin())
        low, high = scales[max(at - 1, 0)], scales[min(at + 1, len(scales) - 1)]
        if high / low < 1.001:
            return float(scales[at]), float(loss[at])
        scales = np.geomspace(low, high, 9)


def _loss(questions: Questions, scales: Floats) -> Floats:
    parts = [answers(cosines, right, scales).loss for cosines, right in questions]
    return np.asarray(np.concatenate(parts, axis=1).mean(1))
