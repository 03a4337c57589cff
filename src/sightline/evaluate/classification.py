"""What classifications have in common, by words, by a probe or by neighbours: their figures, intervals and details.

Shapes: N images or videos, C classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from sightline.data import Labelled, LabelledSample
from sightline.evaluate.encode import EncodedData
from sightline.evaluate.intervals import SEED, intervals, wilson
from sightline.metrics import ranks
from sightline.metrics.pairs import Scores
from sightline.progress import Progress, ProgressCallback, no_progress

AT = (1, 5)
Floats = NDArray[np.float64]
_ROWS = 512

ClassAccuracy = TypedDict(
    "ClassAccuracy", {"samples": int, "top-1": float, "interval": list[float], "top-5": NotRequired[float]}
)
"""Of a class: its samples, the shares that are found first, with its 95% interval, and among the first five."""


class ClassificationDetails(TypedDict):
    """How many samples were classified; what the data set lacks, counted by reason; the accuracy of each class that has
    samples, and the names of the others; names that several classes have, which are equally right."""

    samples: int
    left_out: dict[str, int]
    classes: dict[str, ClassAccuracy]
    without_samples: list[str]
    equal_names: list[str]


def classified(
    data: Labelled,
    encoded: EncodedData[LabelledSample],
    names: Sequence[str],
    labels: NDArray[np.int64],
    scores: Scores,
    progress: ProgressCallback = no_progress,
    *,
    equal: Sequence[NDArray[np.int64]] | None = None,
) -> dict[str, Any]:
    """The fields of a `Result` about its figures. `names` (C,), `labels` (N,), `scores` of a range of N and a range of
    C; equal scores are ordered by the classes' position. `equal`: for each class the positions of those that are as
    right as it; None: only itself. Details: `ClassificationDetails`."""
    alike = [np.array([position]) for position in range(len(names))] if equal is None else equal
    rank, predicted = np.empty_like(labels), np.empty_like(labels)
    for start in range(0, len(labels), _ROWS):
        rows = slice(start, min(start + _ROWS, len(labels)))
        of_classes = scores(rows, slice(0, len(names)))
        rank[rows] = ranks(of_classes, [alike[label] for label in labels[rows]]) + 1
        predicted[rows] = of_classes.argmax(1)
        progress(Progress("ranking", rows.stop, len(labels)))
    samples = {
        "key": [sample.key for sample in encoded.samples],
        "label": labels.tolist(),
        "rank": rank.tolist(),
        "predicted": predicted.tolist(),
    }
    accuracies, without_samples = class_accuracies(names, labels, rank)
    told = {f"top-{k}" for k in told_at(len(names))} | {"mean_per_class"}
    measured = measure(samples, np.ones((1, len(labels))))
    figures = {name: float(value[0]) for name, value in measured.items() if name in told}
    details = ClassificationDetails(
        samples=len(labels),
        left_out=dict(data.left_out.counts),
        classes=accuracies,
        without_samples=without_samples,
        equal_names=equal_names(names, alike),
    )
    return {
        "figures": figures,
        "intervals": intervals(measure, samples, figures),
        "seed": SEED,
        "samples": samples,
        "details": details,
        "skipped": encoded.skipped,
    }


def equal_names(names: Sequence[str], equal: Sequence[NDArray[np.int64]]) -> list[str]:
    """Names that several classes have, each once."""
    return list(dict.fromkeys(names[of[0]] for of in equal if len(of) > 1))


def told_at(classes: int) -> list[int]:
    """The k of top-k that say something: with no more than k classes all answers would be right."""
    return [k for k in AT if k < classes]


def measure(samples: Mapping[str, Sequence[Any]], weights: Floats) -> dict[str, Floats]:
    """The figures, (W,) each, of data sets in which each sample counts `weights` (W, N) times. The mean of classes is
    over those that occur."""
    label, rank = (np.asarray(samples[name], np.int64) for name in ("label", "rank"))
    figures = {f"top-{k}": np.asarray(weights @ (rank <= k) / weights.sum(1)) for k in AT}
    means = np.empty(len(weights))
    for row, weight in enumerate(weights):
        count = np.bincount(label, weight)
        right = np.bincount(label, weight * (rank == 1))
        means[row] = (right[count > 0] / count[count > 0]).mean()
    return {**figures, "mean_per_class": means}


def class_accuracies(
    names: Sequence[str], labels: NDArray[np.int64], ranks: NDArray[np.int64]
) -> tuple[dict[str, ClassAccuracy], list[str]]:
    """The accuracies of the classes that have samples, by name, and the names of the others; `ranks` (N,) from 1."""
    accuracies: dict[str, ClassAccuracy] = {}
    for i, name in enumerate(names):
        of_class = ranks[labels == i]
        if len(of_class):
            hits = int((of_class <= 1).sum())
            accuracies[name] = {
                "samples": len(of_class), "top-1": hits / len(of_class), "interval": wilson(hits, len(of_class))
            }  # fmt: skip
            if 5 in told_at(len(names)):
                accuracies[name]["top-5"] = float((of_class <= 5).mean())
    return accuracies, [name for name in names if name not in accuracies]
