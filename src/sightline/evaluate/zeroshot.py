"""Zero-shot classification: an image belongs to the class whose words come nearest.

Radford et al. (2021), section 3.1: each class stands in several templates, and is the normalized mean of their unit
vectors. For X-CLIP, whose texts read differently for each video, it is the mean of the templates' scores.

Shapes: N images or videos, C classes, K templates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NotRequired, Self, TypedDict

import numpy as np
from numpy.typing import NDArray

from sightline.data import Labelled, LabelledSample
from sightline.data.classes import Classes
from sightline.encoder.encoder import Encoder
from sightline.errors import UsageError
from sightline.evaluate.encode import EncodedData, describe_run, encode, encode_texts, score_pairs
from sightline.evaluate.equal_texts import equal_texts
from sightline.evaluate.intervals import SEED, intervals, wilson
from sightline.evaluate.result import Result, Settings
from sightline.metrics import exact_cosines, ranks
from sightline.metrics.pairs import Scores
from sightline.progress import Progress, ProgressCallback, no_progress
from sightline.templates import IMAGE_TEMPLATE, check_template
from sightline.vectors import unit

AT = (1, 5)
Floats = NDArray[np.float64]
_ROWS = 512

ClassAccuracy = TypedDict(
    "ClassAccuracy", {"samples": int, "top-1": float, "interval": list[float], "top-5": NotRequired[float]}
)
"""Of a class: its samples, the shares that are found first, with its 95% interval, and among the first five."""


class ZeroshotDetails(TypedDict):
    """How many samples were classified; what the data set lacks, counted by reason; the accuracy of each class that has
    samples, and the names of the others; names that several classes have, which are equally right."""

    samples: int
    left_out: dict[str, int]
    classes: dict[str, ClassAccuracy]
    without_samples: list[str]
    equal_names: list[str]


def zeroshot(
    encoder: Encoder,
    data: Labelled,
    classes: Classes | None = None,
    templates: Sequence[str] = (),
    progress: ProgressCallback = no_progress,
    *,
    settings: Settings | None = None,
) -> Result:
    """Top-1 and top-5 accuracy of images, and the mean of the classes' accuracies. Top-5 is left out where there are no
    more than five classes. Details: `ZeroshotDetails`. Intervals: of all figures.

    `classes`: what an image may be, with the data's classes among them; None: just these. `templates`: texts with
    "{}" for the class; none: those that came with the classes, or else `IMAGE_TEMPLATE`. Equal scores are ordered by
    the classes' position. Images that cannot be read are left out, and named. Raises `UsageError` for classes that
    don't fit the data, and for videos.
    """
    if video := next((sample for sample in data.samples if sample.is_video), None):
        raise UsageError(f"{video.media} is a video: `sightline eval video` is for these")
    task = ClassTask.of(data, classes, templates, IMAGE_TEMPLATE)
    return classify("zeroshot", encoder, data, task, progress, settings)


@dataclass(frozen=True)
class ClassTask:
    """The `names` of the classes to tell apart, the `templates` for their texts, and, for each class of the data by its
    number, its `position` among the names. Classes of one name are all right: no model can tell them apart."""

    names: Sequence[str]
    templates: Sequence[str]
    position: Sequence[int]

    @classmethod
    def of(cls, data: Labelled, classes: Classes | None, templates: Sequence[str], default_template: str) -> Self:
        """From the arguments of `zeroshot`. Raises `UsageError` for classes that don't fit the data."""
        known = classes or Classes.of(data.classes)
        templates = templates or known.templates or (default_template,)
        position = known.find(data.classes) if classes else range(len(data.classes))
        return cls(known.names, [check_template(template) for template in templates], position)

    @cached_property
    def equal(self) -> list[NDArray[np.int64]]:
        """For each of the names the positions of those that are equal to it, ascending."""
        number = equal_texts(self.names)
        places = [np.flatnonzero(number == each) for each in range(int(number.max()) + 1)]
        return [places[each] for each in number]

    @property
    def equal_names(self) -> list[str]:
        """Names that several classes have."""
        return list(dict.fromkeys(self.names[of[0]] for of in self.equal if len(of) > 1))

    def labels(self, samples: Sequence[LabelledSample]) -> NDArray[np.int64]:
        """The positions (N,) of the samples' classes."""
        return np.array([self.position[sample.label] for sample in samples], np.int64)

    def settings(self) -> dict[str, list[str]]:
        """What a result keeps of the task."""
        return {"classes": list(self.names), "templates": list(self.templates)}


def classify(
    kind: str,
    encoder: Encoder,
    data: Labelled,
    task: ClassTask,
    progress: ProgressCallback,
    settings: Settings | None,
) -> Result:
    """The result of `zeroshot` and of `video`."""
    encoded = encode(encoder, data.samples, progress)
    scores = class_scores(encoder, encoded, task, progress)
    labels = task.labels(encoded.samples)
    rank, predicted = np.empty_like(labels), np.empty_like(labels)
    for start in range(0, len(labels), _ROWS):
        rows = slice(start, min(start + _ROWS, len(labels)))
        of_classes = scores(rows, slice(0, len(task.names)))
        rank[rows] = ranks(of_classes, [task.equal[label] for label in labels[rows]]) + 1
        predicted[rows] = of_classes.argmax(1)
        progress(Progress("ranking", rows.stop, len(labels)))
    samples = {
        "key": [sample.key for sample in encoded.samples],
        "label": labels.tolist(),
        "rank": rank.tolist(),
        "predicted": predicted.tolist(),
    }
    accuracies, without_samples = class_accuracies(task.names, labels, rank)
    told = {f"top-{k}" for k in told_at(len(task.names))} | {"mean_per_class"}
    measured = measure(samples, np.ones((1, len(labels))))
    figures = {name: float(value[0]) for name, value in measured.items() if name in told}
    return Result(
        kind=kind,
        figures=figures,
        intervals=intervals(measure, samples, figures),
        **describe_run(encoder, data),
        seed=SEED,
        settings={**task.settings(), **(settings or {})},
        samples=samples,
        details=ZeroshotDetails(
            samples=len(labels),
            left_out=dict(data.left_out.counts),
            classes=accuracies,
            without_samples=without_samples,
            equal_names=task.equal_names,
        ),
        skipped=encoded.skipped,
    )


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


def class_scores(
    encoder: Encoder, encoded: EncodedData[Any], task: ClassTask, progress: ProgressCallback = no_progress
) -> Scores:
    """The cosines of images or videos with classes: of a range of N and a range of C."""
    texts = [template.replace("{}", name) for name in task.names for template in task.templates]
    vectors, count = encode_texts(encoder, texts, progress), len(task.templates)
    if encoded.rescoring is None:
        return exact_cosines(encoded.vectors, unit(vectors.reshape(len(task.names), count, -1).mean(1)))
    of_texts, _ = score_pairs(encoder, encoded, vectors)

    def means(rows: slice, columns: slice) -> NDArray[np.floating]:
        scores = of_texts(rows, slice(columns.start * count, columns.stop * count))
        of_classes: NDArray[np.floating] = scores.reshape(len(scores), -1, count).mean(2)
        return of_classes

    return means


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
