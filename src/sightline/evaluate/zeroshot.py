"""Zero-shot classification: an image belongs to the class whose words come nearest.

Radford et al. (2021), section 3.1: each class stands in several templates, and is the normalized mean of their unit
vectors. For X-CLIP, whose texts read differently for each video, it is the mean of the templates' scores.

Shapes: N images or videos, C classes, K templates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sightline.data import Labelled, LabelledSample
from sightline.data.classes import Classes
from sightline.encoder.encoder import Encoder
from sightline.errors import UsageError
from sightline.evaluate.classification import classified
from sightline.evaluate.encode import EncodedData, describe_run, encode, encode_texts, score_pairs
from sightline.evaluate.equal_texts import equal_texts
from sightline.evaluate.kept import KeptVectors
from sightline.evaluate.result import Result, Settings
from sightline.metrics import exact_cosines
from sightline.metrics.pairs import Scores
from sightline.progress import ProgressCallback, no_progress
from sightline.templates import IMAGE_TEMPLATE, check_template
from sightline.vectors import unit


def zeroshot(
    encoder: Encoder,
    data: Labelled,
    classes: Classes | None = None,
    templates: Sequence[str] = (),
    progress: ProgressCallback = no_progress,
    *,
    settings: Settings | None = None,
    kept: KeptVectors | None = None,
) -> Result:
    """Top-1 and top-5 accuracy of images, and the mean of the classes' accuracies. Top-5 is left out where there are no
    more than five classes. Details: `ClassificationDetails`. Intervals: of all figures.

    `classes`: what an image may be, with the data's classes among them; None: those
    that came with the data (`Labelled.known`), or else just its own. `templates`: texts with
    "{}" for the class; none: those that came with the classes, or else `IMAGE_TEMPLATE`. Equal scores are ordered by
    the classes' position. Images that cannot be read are left out, and named. Raises `UsageError` for classes that
    don't fit the data, and for videos.
    """
    if video := next((sample for sample in data.samples if sample.is_video), None):
        raise UsageError(f"{video.media} is a video: `sightline eval video` is for these")
    task = ClassTask.of(data, classes, templates, IMAGE_TEMPLATE)
    return classify("zeroshot", encoder, data, task, progress, settings, kept)


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
        classes = classes or data.known
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
    kept: KeptVectors | None,
) -> Result:
    """The result of `zeroshot` and of `video`."""
    encoded = encode(encoder, data.samples, progress, kept=kept)
    return Result(
        kind=kind,
        **classified(
            data, encoded, task.names, task.labels(encoded.samples), class_scores(encoder, encoded, task, progress),
            progress, equal=task.equal,
        ),
        **describe_run(encoder, data),
        settings={**task.settings(), **(settings or {})},
    )  # fmt: skip


def class_scores(
    encoder: Encoder, encoded: EncodedData[Any], task: ClassTask, progress: ProgressCallback = no_progress
) -> Scores:
    """The cosines of images or videos with classes: of a range of N and a range of C."""
    encoder.tokens(task.names)  # tells the logger of names that the vocabulary lacks, which templates would hide
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
