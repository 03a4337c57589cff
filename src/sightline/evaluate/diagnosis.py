"""What a model gets wrong on data, how sure it is of that, and what the worst of it looks like."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.data import Captions, Item, Labelled
from sightline.data.classes import BARE, PHOTO, Classes
from sightline.encoder.encoder import Encoder
from sightline.errors import SightlineError
from sightline.evaluate.encode import Report, Seen, about, quiet, see
from sightline.evaluate.matching import Questions, class_questions, learned_scale, pair_questions
from sightline.evaluate.result import Result
from sightline.evaluate.zeroshot import class_scores
from sightline.metrics.calibration import Floats, answers, reliability
from sightline.processing.image.reading import open_image
from sightline.processing.video.sampling import sample_frames
from sightline.report.page import data_uri

SHOWN = 12  # confusions
EACH = 4  # pictures of a confused pair of classes
MATRIX = 10  # pictures and texts of the similarity matrix
SIDE = 160  # pixels of the longer side of a picture that is shown
BINS = 15


def diagnosis(
    encoder: Encoder, data: Captions, report: Report = quiet, *, settings: Mapping[str, Any] | None = None
) -> Result:
    """Each caption asks for its picture among all: accuracy, mean confidence by the model's own scale, expected
    calibration error.

    Details: the reliability diagram's numbers, a histogram of confidence for right and wrong answers, the similarities
    of some pictures and texts, and the wrong answers that the model is surest of, each picture at most once on either
    side, with the pictures inside as data URIs. Raises `DataError` if nothing can be read.
    """
    seen = see(encoder, data.samples, report)
    questions, scale = pair_questions(encoder, seen, report)["text_to_image"], learned_scale(encoder)
    given = ask(questions, scale)
    texts = [seen.samples[i % len(seen.samples)].captions[i // len(seen.samples)] for i in range(len(given.right))]
    confusions = [
        {
            "text": texts[i],
            "right": seen.samples[given.right[i]].key,
            "found": seen.samples[given.found[i]].key,
            "confidence": float(given.confidence[i]),
            "of_right": float(given.of_right[i]),
        }
        for i in surest(given)
    ]
    some = np.unique(np.linspace(0, len(seen.samples) - 1, MATRIX).round().astype(np.int64))
    block, _ = next(iter(pair_questions(encoder, _part(seen, some))["text_to_image"]))
    matrix = {
        "keys": [seen.samples[i].key for i in some],
        "texts": [seen.samples[i].captions[0] for i in some],
        "cosines": block[: len(some)].tolist(),
    }
    named = {one[side] for one in confusions for side in ("right", "found")} | set(matrix["keys"])
    return Result(
        kind="diagnosis",
        figures=summary(given),
        **about(encoder, data),
        settings={"scale": scale} | dict(settings or {}),
        details={
            "questions": len(given.right),
            "candidates": len(seen.samples),
            "reliability": _diagram(given),
            "histogram": _histogram(given),
            "confusions": confusions,
            "matrix": matrix,
            "pictures": pictures(one for one in seen.samples if one.key in named),
        },
        skipped=seen.skipped,
    )


def confusions(
    encoder: Encoder,
    data: Labelled,
    classes: Classes | None = None,
    templates: Sequence[str] = (),
    report: Report = quiet,
    *,
    settings: Mapping[str, Any] | None = None,
) -> Result:
    """Each picture or film asks for its class, in words as `zeroshot` puts them: the figures of `diagnosis`.

    Details: as there, and each class's accuracy; the pairs of classes that are confused most often, with the pictures
    whose wrong class the model is surest of. Raises `UsageError` for classes that don't fit the data.
    """
    known = classes or Classes.of(data.classes)
    films = any(one.is_video for one in data.samples)
    templates = templates or known.templates or (BARE if films else PHOTO,)
    place = known.find(data.classes) if classes else list(range(len(data.classes)))
    seen = see(encoder, data.samples, report)
    labels = np.array([place[one.label] for one in seen.samples], np.int64)
    scores, scale = class_scores(encoder, seen, known.names, templates, report), learned_scale(encoder)
    given = ask(class_questions(scores, labels, len(known.names)), scale)
    pairs = most_confused(given)
    wrong = [
        {
            "right": known.names[right],
            "found": known.names[found],
            "count": len(rows),
            "share": len(rows) / int((labels == right).sum()),
            "confidence": float(given.confidence[rows].mean()),
            "keys": [seen.samples[i].key for i in rows[:EACH]],
        }
        for (right, found), rows in pairs
    ]
    named = {seen.samples[i].key for _, rows in pairs for i in rows[:EACH]}
    counts = np.bincount(labels, minlength=len(known.names))
    return Result(
        kind="confusions",
        figures=summary(given),
        **about(encoder, data),
        settings={"scale": scale, "classes": list(known.names), "templates": list(templates)} | dict(settings or {}),
        details={
            "questions": len(labels),
            "candidates": len(known.names),
            "reliability": _diagram(given),
            "histogram": _histogram(given),
            "classes": {
                name: {"samples": int(counts[i])}
                | {f"top-{k}": float((given.ranks[labels == i] < k).mean()) for k in (1, 5)}
                for i, name in enumerate(known.names)
                if counts[i]
            },
            "without_samples": [name for i, name in enumerate(known.names) if not counts[i]],
            "pairs": wrong,
            "pictures": pictures(one for one in seen.samples if one.key in named),
        },
        skipped=seen.skipped,
    )


@dataclass(frozen=True)
class Given:
    """The answers to Q questions: the positions of the `right` candidate and of the one `found` to be likeliest, their
    probabilities `of_right` and `confidence`, and the right one's rank, from 0."""

    right: NDArray[np.int64]
    found: NDArray[np.int64]
    of_right: Floats
    confidence: Floats
    ranks: NDArray[np.int64]

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether it is the right one that was found."""
        return np.asarray(self.right == self.found)


def ask(questions: Questions, scale: float) -> Given:
    """All questions, by the softmax of the cosines times `scale`; of equal candidates the first is found."""
    parts = []
    for cosines, right in questions:
        said = answers(cosines, right, [scale])
        parts.append((right, cosines.argmax(1), np.exp(-said.loss[0]), said.confidence[0], said.ranks))
    return Given(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def summary(given: Given) -> dict[str, float]:
    """The figures of a diagnosis."""
    correct, sure = given.correct, given.confidence
    figures = {
        "accuracy": correct.mean(),
        "confidence": sure.mean(),
        "calibration_error": reliability(sure, correct, BINS).error,
    }
    if correct.any():
        figures["confidence_when_right"] = sure[correct].mean()
    if not correct.all():
        figures["confidence_when_wrong"] = sure[~correct].mean()
    return {name: float(value) for name, value in figures.items()}


def surest(given: Given) -> list[int]:
    """The wrong answers with the highest confidence, `SHOWN` at most; no candidate is right, or is found, twice."""
    rights: set[int] = set()
    founds: set[int] = set()
    chosen: list[int] = []
    for i in np.argsort(-given.confidence, kind="stable"):
        right, found = int(given.right[i]), int(given.found[i])
        if right != found and right not in rights and found not in founds and len(chosen) < SHOWN:
            rights.add(right)
            founds.add(found)
            chosen.append(int(i))
    return chosen


def most_confused(given: Given) -> list[tuple[tuple[int, int], NDArray[np.int64]]]:
    """Pairs (right, found) that differ, the most frequent first, `SHOWN` at most, each with the questions that were
    answered so, the surest answer first."""
    wrong = np.flatnonzero(~given.correct)
    wrong = wrong[np.argsort(-given.confidence[wrong], kind="stable")]
    rows: dict[tuple[int, int], list[int]] = {}
    for i in wrong:
        rows.setdefault((int(given.right[i]), int(given.found[i])), []).append(int(i))
    ranked = sorted(rows.items(), key=lambda pair: -len(pair[1]))[:SHOWN]
    return [(pair, np.array(of, np.int64)) for pair, of in ranked]


def pictures(samples: Iterable[Item]) -> dict[str, str]:
    """Small JPEGs as data URIs by the samples' keys; of a film its middle. What cannot be read is left out."""
    found: dict[str, str] = {}
    for one in samples:
        try:
            content = one.content()
            (image,) = sample_frames(content, 1) if one.is_video else [open_image(content, short_side=SIDE)]
        except (SightlineError, OSError):
            continue
        image.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=82)
        found[one.key] = data_uri(buffer.getvalue())
    return found


def _part(seen: Seen[Any], rows: NDArray[np.int64]) -> Seen[Any]:
    summaries = None if seen.summaries is None else seen.summaries[rows]
    return Seen([seen.samples[i] for i in rows], seen.vectors[rows], summaries, [])


def _diagram(given: Given) -> dict[str, Any]:
    """Empty bins, which have no mean, are None."""
    bins = reliability(given.confidence, given.correct, BINS)
    means = {
        name: [None if np.isnan(value) else float(value) for value in getattr(bins, name)]
        for name in ("confidence", "accuracy")
    }
    return {"edges": bins.edges.tolist(), "counts": bins.counts.tolist()} | means


def _histogram(given: Given) -> dict[str, Any]:
    edges = np.linspace(0, 1, 2 * BINS + 1)
    counts = {
        name: np.histogram(given.confidence[which], edges)[0].tolist()
        for name, which in (("right", given.correct), ("wrong", ~given.correct))
    }
    return {"edges": edges.tolist()} | counts
