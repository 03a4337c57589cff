"""Confusions: the classes that a model takes for one another, and how confident it is of that."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from sightline.data import Labelled
from sightline.data.classes import Classes
from sightline.encoder.encoder import Encoder
from sightline.evaluate.classification import ClassAccuracy, class_accuracies, equal_names
from sightline.evaluate.encode import describe_run, encode
from sightline.evaluate.intervals import SEED
from sightline.evaluate.kept import KeptVectors
from sightline.evaluate.matching import Answers, AnswersDetails, answer, class_blocks, learned_scale
from sightline.evaluate.result import Result, Settings
from sightline.evaluate.small_images import small_images
from sightline.evaluate.zeroshot import ClassTask, class_scores
from sightline.progress import ProgressCallback, no_progress
from sightline.templates import IMAGE_TEMPLATE, VIDEO_TEMPLATE

PAIRS = 12  # of classes that are shown
IMAGES = 4  # of a pair of classes


class ConfusedPair(TypedDict):
    """`count` images of the class `right` were predicted as the class `predicted`: their `share` of the class, the
    mean `confidence`, and the `keys` of those of the highest confidence."""

    right: str
    predicted: str
    count: int
    share: float
    confidence: float
    keys: list[str]


class ConfusionsDetails(AnswersDetails):
    """The details of confusions. `images`: small JPEGs as base64 text (RFC 4648, section 4), by the samples' keys."""

    classes: dict[str, ClassAccuracy]
    without_samples: list[str]
    equal_names: list[str]
    pairs: list[ConfusedPair]
    images: dict[str, str]


def confusions(
    encoder: Encoder,
    data: Labelled,
    classes: Classes | None = None,
    templates: Sequence[str] = (),
    progress: ProgressCallback = no_progress,
    *,
    settings: Settings | None = None,
    kept: KeptVectors | None = None,
) -> Result:
    """The figures of `diagnosis` for images or videos and their classes, in words as `zeroshot` puts them.

    Details: `ConfusionsDetails`, with the pairs of classes that are confused most often. Raises `UsageError` for
    classes that don't fit the data.
    """
    has_videos = any(sample.is_video for sample in data.samples)
    task = ClassTask.of(data, classes, templates, VIDEO_TEMPLATE if has_videos else IMAGE_TEMPLATE)
    scale = learned_scale(encoder)
    encoded = encode(encoder, data.samples, progress, kept=kept)
    labels = task.labels(encoded.samples)
    scores = class_scores(encoder, encoded, task, progress)
    answers = answer(class_blocks(scores, labels, task.equal), scale)
    rows_of = most_confused(answers)
    pairs: list[ConfusedPair] = [
        {
            "right": task.names[right],
            "predicted": task.names[predicted],
            "count": len(rows),
            "share": len(rows) / int((labels == right).sum()),
            "confidence": float(answers.confidence[rows].mean()),
            "keys": [encoded.samples[i].key for i in rows[:IMAGES]],
        }
        for (right, predicted), rows in rows_of
    ]
    shown = {key for pair in pairs for key in pair["keys"]}
    accuracies, without_samples = class_accuracies(task.names, labels, answers.ranks + 1)
    return Result(
        kind="confusions",
        figures=answers.figures(),
        intervals=answers.intervals(len(labels)),
        **describe_run(encoder, data),
        seed=SEED,
        settings={"scale": scale, **task.settings()} | dict(settings or {}),
        details=ConfusionsDetails(
            **answers.details(len(task.names)),
            classes=accuracies,
            without_samples=without_samples,
            equal_names=equal_names(task.names, task.equal),
            pairs=pairs,
            images=small_images(item for item in encoded.samples if item.key in shown),
        ),
        skipped=encoded.skipped,
    )


def most_confused(answers: Answers) -> list[tuple[tuple[int, int], NDArray[np.int64]]]:
    """Pairs (right, predicted) that differ, the most frequent first, at most `PAIRS`, each with the questions answered
    so, the most confident answer first."""
    wrong = np.flatnonzero(~answers.correct)
    wrong = wrong[np.argsort(-answers.confidence[wrong], kind="stable")]
    rows: dict[tuple[int, int], list[int]] = {}
    for i in wrong:
        rows.setdefault((int(answers.right[i]), int(answers.predicted[i])), []).append(int(i))
    ranked = sorted(rows.items(), key=lambda item: -len(item[1]))[:PAIRS]
    return [(pair, np.array(of_pair, np.int64)) for pair, of_pair in ranked]
