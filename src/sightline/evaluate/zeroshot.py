"""Zero-shot classification: the class of a picture or film is the one whose words come nearest.

Radford et al. (2021), section 3.1: each class stands in several templates, and is the normalized mean of their unit
vectors. For X-CLIP, whose texts read differently for each film, it is the mean of the templates' scores.

Shapes: N pictures or films, C classes, K templates.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.data import Labelled
from sightline.data.classes import BARE, PHOTO, Classes, check_template
from sightline.encoder.encoder import Encoder
from sightline.encoder.source import Vectors
from sightline.errors import UsageError
from sightline.evaluate.encode import Progress, Report, Seen, about, quiet, read_texts, score_pairs, see
from sightline.evaluate.result import Result
from sightline.metrics import exact_cosines, ranks
from sightline.metrics.pairs import Scores

AT = (1, 5)
Floats = NDArray[np.float64]
_ROWS = 512


def zeroshot(
    encoder: Encoder,
    data: Labelled,
    classes: Classes | None = None,
    templates: Sequence[str] = (),
    report: Report = quiet,
    *,
    settings: Mapping[str, Any] | None = None,
) -> Result:
    """Pictures: top-1 and top-5 accuracy, and the mean of the classes' own accuracies; `details` tell each class's.

    `classes`: what a picture may be, with the data's classes among them; None: just these. `templates`: texts with
    "{}" for the class; else those that came with the classes, else "a photo of a {}." Equal scores are ordered by the
    classes' position. Pictures that cannot be read are left out, and named. Raises `UsageError` for classes that don't
    fit the data, and for films.
    """
    _refuse(data, films=True)
    return _classified("zeroshot", PHOTO, encoder, data, classes, templates, report, settings)


def video(
    encoder: Encoder,
    data: Labelled,
    classes: Classes | None = None,
    templates: Sequence[str] = (),
    report: Report = quiet,
    *,
    settings: Mapping[str, Any] | None = None,
) -> Result:
    """Films, as `zeroshot` pictures; without templates the classes' names stand alone. A model for pictures sees a film
    by the mean of its frames. Raises `UsageError` for pictures."""
    _refuse(data, films=False)
    return _classified("video", BARE, encoder, data, classes, templates, report, settings)


def measure(samples: Mapping[str, Sequence[Any]], weights: Floats) -> dict[str, Floats]:
    """The figures of a data set in which each sample counts as often as `weights` (W, N) say: (W,) each. The mean of
    classes is over those that occur."""
    label, rank = (np.asarray(samples[name], np.int64) for name in ("label", "rank"))
    figures = {f"top-{k}": np.asarray(weights @ (rank <= k) / weights.sum(1)) for k in AT}
    means = np.empty(len(weights))
    for row, each in enumerate(weights):
        there = np.bincount(label, each)
        right = np.bincount(label, each * (rank == 1))
        means[row] = (right[there > 0] / there[there > 0]).mean()
    return {**figures, "mean_per_class": means}


def class_scores(
    encoder: Encoder, seen: Seen[Any], names: Sequence[str], templates: Sequence[str], report: Report = quiet
) -> Scores:
    """The cosines of pictures or films with classes: of a range of N and a range of C."""
    texts = [template.replace("{}", name) for name in names for template in map(check_template, templates)]
    vectors, count = read_texts(encoder, texts, report), len(templates)
    if seen.summaries is None:
        return exact_cosines(seen.vectors, _unit(vectors.reshape(len(names), count, -1).mean(1)))
    scores, _ = score_pairs(encoder, seen, vectors)

    def mean(rows: slice, columns: slice) -> NDArray[np.floating]:
        found = scores(rows, slice(columns.start * count, columns.stop * count))
        of_templates: NDArray[np.floating] = found.reshape(len(found), -1, count).mean(2)
        return of_templates

    return mean


def _classified(
    kind: str,
    template: str,
    encoder: Encoder,
    data: Labelled,
    classes: Classes | None,
    templates: Sequence[str],
    report: Report,
    settings: Mapping[str, Any] | None,
) -> Result:
    known = classes or Classes.of(data.classes)
    templates = templates or known.templates or (template,)
    place = known.find(data.classes) if classes else list(range(len(data.classes)))
    seen = see(encoder, data.samples, report)
    scores = class_scores(encoder, seen, known.names, templates, report)
    label = np.array([place[sample.label] for sample in seen.samples])
    rank, found = np.empty_like(label), np.empty_like(label)
    every = slice(0, len(known.names))
    for start in range(0, len(label), _ROWS):
        rows = slice(start, min(start + _ROWS, len(label)))
        of_classes = scores(rows, every)
        rank[rows] = ranks(of_classes, list(label[rows, None])) + 1
        found[rows] = of_classes.argmax(1)
        report(Progress("ranking", rows.stop, len(label)))
    samples = {
        "key": [sample.key for sample in seen.samples],
        "label": label.tolist(),
        "rank": rank.tolist(),
        "found": found.tolist(),
    }
    counts = np.bincount(label, minlength=len(known.names))
    each = {
        name: {"samples": int(counts[i])} | {f"top-{k}": float((rank[label == i] <= k).mean()) for k in AT}
        for i, name in enumerate(known.names)
        if counts[i]
    }
    return Result(
        kind=kind,
        figures={name: float(value[0]) for name, value in measure(samples, np.ones((1, len(label)))).items()},
        **about(encoder, data),
        settings={"classes": list(known.names), "templates": list(templates), **(settings or {})},
        samples=samples,
        details={
            "samples": len(label),
            "left_out": dict(data.left_out.counts),
            "classes": each,
            "without_samples": [name for i, name in enumerate(known.names) if not counts[i]],
        },
        skipped=seen.skipped,
    )


def _unit(rows: Vectors) -> Vectors:
    unit: Vectors = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit


def _refuse(data: Labelled, films: bool) -> None:
    """Raises `UsageError` if there are films, or if there are pictures, among the samples."""
    strange = next((sample for sample in data.samples if sample.is_video == films), None)
    if strange is not None:
        what, other = ("a film", "video") if films else ("a picture", "zeroshot")
        raise UsageError(f"{strange.media} is {what}: `sightline eval {other}` is for these")
