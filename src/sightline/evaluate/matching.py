"""Questions of one right answer: to which of the candidates does this text or image belong? And a model's answers.

Shapes: N images or videos, T texts, C classes; a block has the cosines of q questions with all candidates.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from sightline.data import Sample
from sightline.encoder.encoder import Encoder
from sightline.evaluate.encode import EncodedData, cosines_of, score_pairs
from sightline.evaluate.equal_texts import encode_different, equal_texts
from sightline.evaluate.intervals import intervals
from sightline.metrics.calibration import Floats, reliability, softmax_stats
from sightline.metrics.pairs import Scores
from sightline.progress import Progress, ProgressCallback, no_progress

COSINES = 1 << 22  # in memory at a time
IMAGES = 512  # that are compared with classes at a time
BINS = 15
_NONE = np.empty(0, np.int64)


class Block(NamedTuple):
    """`cosines` (q, candidates) of questions, and the position (q,) of each one's `right` candidate. `best` (q,): of
    several right ones, where texts are equal, the position of the likeliest."""

    cosines: NDArray[np.float32]
    right: NDArray[np.int64]
    best: NDArray[np.int64]


Blocks = Callable[[], Iterator[Block]]
"""All questions, block by block; each call computes them anew."""


def pair_blocks(
    encoder: Encoder, encoded: EncodedData[Sample], progress: ProgressCallback = no_progress
) -> dict[str, Blocks]:
    """The questions of texts for their images ("text_to_image"), and of images for their texts ("image_to_text").

    Equal texts are all right, as `retrieval` counts them. As in training, the candidates hold one text of each image:
    in a first round the first of all images, then the second of all, as far as every image has one. So the mean loss is
    that of all N pairs, averaged over these rounds.
    """
    captions = [sample.captions for sample in encoded.samples]
    texts, every = rounds(captions), list(chain.from_iterable(captions))
    numbers = equal_texts([*texts, *every])
    text, of_every = np.split(numbers, [len(texts)])
    vectors = encode_different(encoder, texts, text, progress)[text]
    scores, tile = score_pairs(encoder, encoded, vectors)
    images, step = len(captions), max(1, COSINES // len(captions))
    owner = np.repeat(np.arange(images), list(map(len, captions)))
    images_with = _places(of_every, owner)

    def of_texts() -> Iterator[Block]:
        for start in range(0, len(texts), step):
            part = range(start, min(start + step, len(texts)))
            cosines, right = cosines_of(scores, tile, range(images), part).T, np.arange(part.start, part.stop) % images
            yield Block(cosines, right, _best(cosines, right, [images_with[text[i]] for i in part]))
            progress(Progress("comparing", part.stop, len(texts)))

    def of_images() -> Iterator[Block]:
        for first in range(0, len(texts), images):
            texts_with = _places(text[first : first + images], np.arange(images))
            for start in range(0, images, step):
                part = range(start, min(start + step, images))
                cosines = cosines_of(scores, tile, part, range(first, first + images))
                of_part = np.split(of_every, np.searchsorted(owner, part))[1:]
                right_ones = [
                    np.sort(np.concatenate([texts_with.get(number, _NONE) for number in np.unique(of_image)]))
                    for of_image in of_part
                ]
                right = np.arange(part.start, part.stop)
                yield Block(cosines, right, _best(cosines, right, right_ones))
                progress(Progress("comparing", first + part.stop, len(texts)))

    return {"text_to_image": of_texts, "image_to_text": of_images}


def _places(numbers: NDArray[np.int64], places: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """Numbers (T,) and a place of each (T,) -> the places of each number, ascending, each once."""
    pairs = np.unique(np.stack([numbers, places], axis=1), axis=0)
    of_each, starts = np.unique(pairs[:, 0], return_index=True)
    return dict(zip(of_each.tolist(), np.split(pairs[:, 1], starts[1:]), strict=True))


def _best(
    cosines: NDArray[np.float32], right: NDArray[np.int64], right_ones: Sequence[NDArray[np.int64]]
) -> NDArray[np.int64]:
    """Of each question's `right_ones`, ascending positions, the one of the highest cosine, of equal ones the first."""
    best = right.copy()
    for row, positions in enumerate(right_ones):
        if len(positions) > 1:
            best[row] = positions[cosines[row, positions].argmax()]
    return best


def class_blocks(scores: Scores, labels: NDArray[np.int64], equal: Sequence[NDArray[np.int64]]) -> Blocks:
    """The questions of images for their classes: `scores` (a range of N, a range of C), `labels` (N,), and for each of
    the C classes the positions of those with its name."""
    step = max(1, min(IMAGES, COSINES // len(equal)))

    def of_images() -> Iterator[Block]:
        for start in range(0, len(labels), step):
            rows = slice(start, min(start + step, len(labels)))
            cosines, right = scores(rows, slice(0, len(equal))).astype(np.float32), labels[rows]
            yield Block(cosines, right, _best(cosines, right, [equal[label] for label in right]))

    return of_images


def rounds(captions: Sequence[Sequence[str]]) -> list[str]:
    """The first caption of each image, then the second of each, as far as all have one."""
    return [of_image[i] for i in range(min(map(len, captions))) for of_image in captions]


def learned_scale(encoder: Encoder) -> float:
    """The number that the model multiplies its cosines with. Raises `UsageError` for an export, which lacks it."""
    if encoder.exported is not None:
        raise encoder.vectors_only("the scale of its scores is with")
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
    """The answers to Q questions: the positions of the (best) `right` candidate and of the `predicted` (likeliest) one;
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

    def intervals(self, images: int) -> dict[str, list[float]]:
        """Of accuracy and confidence: images are drawn, each with as many questions as there are rounds."""
        samples = {
            name: values.reshape(-1, images).mean(0)
            for name, values in (("accuracy", self.correct), ("confidence", self.confidence))
        }
        return intervals(_means, samples, self.figures())

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


def _means(samples: Mapping[str, Any], weights: Floats) -> dict[str, Floats]:
    return {name: weights @ values / weights.sum(1) for name, values in samples.items()}


def answer(blocks: Blocks, scale: float) -> Answers:
    """A model's answers, by the softmax of the cosines times `scale`; of equal candidates the first is predicted."""
    parts = []
    for cosines, _, best in blocks():
        stats = softmax_stats(cosines, best, [scale])
        parts.append((best, cosines.argmax(1), np.exp(-stats.loss[0]), stats.confidence[0], stats.ranks))
    return Answers(*(np.concatenate(column) for column in zip(*parts, strict=True)))
