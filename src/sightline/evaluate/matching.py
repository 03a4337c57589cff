"""Questions of one right answer: to which of the candidates does this text or image belong? And a model's answers.

Shapes: N images or videos, T texts, C classes; a block has the cosines of q questions with all candidates.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from sightline.data import Sample
from sightline.encoder.encoder import Encoder
from sightline.evaluate.encode import EncodedData, encode_texts, score_pairs
from sightline.metrics.calibration import Floats, reliability, softmax_stats
from sightline.metrics.pairs import Scores
from sightline.progress import ProgressCallback, no_progress
from sightline.vectors import tiles

COSINES = 1 << 22  # in memory at a time
IMAGES = 512  # that are compared with classes at a time
BINS = 15


class Block(NamedTuple):
    """`cosines` (q, candidates) of questions, and the position (q,) of each one's `right` candidate."""

    cosines: NDArray[np.float32]
    right: NDArray[np.int64]


Blocks = Callable[[], Iterator[Block]]
"""All questions, block by block; each call computes them anew."""


def pair_blocks(
    encoder: Encoder, encoded: EncodedData[Sample], progress: ProgressCallback = no_progress
) -> dict[str, Blocks]:
    """The questions of texts for their images ("text_to_image"), and of images for their texts ("image_to_text").

    As in training, the candidates hold one text of each image: in a first round the first of all images, then the
    second of all, as far as every image has one. So the mean loss is that of all N pairs, averaged over these rounds.
    """
    texts = rounds([sample.captions for sample in encoded.samples])
    scores, tile = score_pairs(encoder, encoded, encode_texts(encoder, texts, progress))
    images, step = len(encoded.samples), max(1, COSINES // len(encoded.samples))

    def of_texts() -> Iterator[Block]:
        for start in range(0, len(texts), step):
            part = range(start, min(start + step, len(texts)))
            yield Block(_cosines(scores, tile, range(images), part).T, np.arange(part.start, part.stop) % images)

    def of_images() -> Iterator[Block]:
        for first in range(0, len(texts), images):
            for start in range(0, images, step):
                part = range(start, min(start + step, images))
                cosines = _cosines(scores, tile, part, range(first, first + images))
                yield Block(cosines, np.arange(part.start, part.stop))

    return {"text_to_image": of_texts, "image_to_text": of_images}


def class_blocks(scores: Scores, labels: NDArray[np.int64], classes: int) -> Blocks:
    """The questions of images for their classes: `scores` (a range of N, a range of C), `labels` (N,)."""
    step = max(1, min(IMAGES, COSINES // classes))

    def of_images() -> Iterator[Block]:
        for start in range(0, len(labels), step):
            rows = slice(start, min(start + step, len(labels)))
            yield Block(scores(rows, slice(0, classes)).astype(np.float32), labels[rows])

    return of_images


def rounds(captions: Sequence[Sequence[str]]) -> list[str]:
    """The first caption of each image, then the second of each, as far as all have one."""
    return [of_image[i] for i in range(min(map(len, captions))) for of_image in captions]


def learned_scale(encoder: Encoder) -> float:
    """The number that the model multiplies its cosines with."""
    model: Any = encoder.family.model.from_pretrained(encoder.path)
    model.scale_parameter.data = model.scale_parameter.data.double()
    return float(model.scale.detach())


class ReliabilityDetails(TypedDict):
    """The reliability diagram: `edges` of bins of confidence, and each bin's `counts`, mean `confidence` and
    `accuracy`, None for an empty bin."""

    edges: list[float]
    counts: list[int]
    confidence: list[float | None]
    accuracy: list[float | None]


class HistogramDetails(TypedDict):
    """A histogram of confidence: `edges` of its bins, and the counts of `right` and `wrong` answers."""

    edges: list[float]
    right: list[int]
    wrong: list[int]


class AnswersDetails(TypedDict):
    """How many questions were asked, each with how many candidates, and how confident the answers were."""

    questions: int
    candidates: int
    reliability: ReliabilityDetails
    histogram: HistogramDetails


@dataclass(frozen=True)
class Answers:
    """The answers to Q questions: the positions of the `right` candidate and of the `predicted` (likeliest) one;
    the probabilities of both, `right_confidence` and `confidence`; and the rank of the right candidate, from 0."""

    right: NDArray[np.int64]
    predicted: NDArray[np.int64]
    right_confidence: Floats
    confidence: Floats
    ranks: NDArray[np.int64]

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the right candidate was predicted, (Q,)."""
        return np.asarray(self.right == self.predicted)

    def figures(self) -> dict[str, float]:
        """Accuracy, mean confidence (of all, of right and of wrong answers), expected calibration error."""
        figures = {
            "accuracy": self.correct.mean(),
            "confidence": self.confidence.mean(),
            "calibration_error": reliability(self.confidence, self.correct, BINS).error,
        }
        if self.correct.any():
            figures["confidence_when_right"] = self.confidence[self.correct].mean()
        if not self.correct.all():
            figures["confidence_when_wrong"] = self.confidence[~self.correct].mean()
        return {name: float(value) for name, value in figures.items()}

    def details(self, candidates: int) -> AnswersDetails:
        """The figures' details for JSON."""
        return {
            "questions": len(self.right),
            "candidates": candidates,
            "reliability": self._reliability(),
            "histogram": self._histogram(),
        }

    def _reliability(self) -> ReliabilityDetails:
        bins = reliability(self.confidence, self.correct, BINS)
        confidence, accuracy = (
            [None if np.isnan(value) else float(value) for value in values]
            for values in (bins.confidence, bins.accuracy)
        )
        return {
            "edges": bins.edges.tolist(), "counts": bins.counts.tolist(), "confidence": confidence, "accuracy": accuracy
        }  # fmt: skip

    def _histogram(self) -> HistogramDetails:
        edges = np.linspace(0, 1, 2 * BINS + 1)
        right, wrong = (
            np.histogram(self.confidence[which], edges)[0].tolist() for which in (self.correct, ~self.correct)
        )
        return {"edges": edges.tolist(), "right": right, "wrong": wrong}


def answer(blocks: Blocks, scale: float) -> Answers:
    """A model's answers, by the softmax of the cosines times `scale`; of equal candidates the first is predicted."""
    parts = []
    for cosines, right in blocks():
        stats = softmax_stats(cosines, right, [scale])
        parts.append((right, cosines.argmax(1), np.exp(-stats.loss[0]), stats.confidence[0], stats.ranks))
    return Answers(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _cosines(scores: Scores, tile: tuple[int, int], images: range, texts: range) -> NDArray[np.float32]:
    """The cosines of a range of images with a range of texts, in float32, asked for in tiles."""
    cosines = np.empty((len(images), len(texts)), np.float32)
    for rows, columns in tiles(len(images), len(texts), tile):
        r, c = images[rows], texts[columns]
        cosines[rows, columns] = scores(slice(r.start, r.stop), slice(c.start, c.stop))
    return cosines
