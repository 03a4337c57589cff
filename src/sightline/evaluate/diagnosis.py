"""Diagnosis: what a model finds wrongly, images by captions and captions by images, and how confident it is of that."""

from typing import TypedDict

import numpy as np

from sightline.data import Captions, Sample
from sightline.encoder.encoder import Encoder
from sightline.evaluate.encode import EncodedData, describe_run, encode
from sightline.evaluate.intervals import SEED
from sightline.evaluate.kept import KeptVectors
from sightline.evaluate.matching import Answers, AnswersDetails, answer, learned_scale, pair_blocks
from sightline.evaluate.result import Result, Settings
from sightline.evaluate.small_images import small_images
from sightline.progress import ProgressCallback, no_progress

MISTAKES = 12  # that are shown, of each direction
MATRIX = 10  # images and texts of the similarity matrix


class Mistake(TypedDict):
    """A `text`, the keys of the `right` image and of the `predicted` one, and the probabilities of both."""

    text: str
    right: str
    predicted: str
    confidence: float
    right_confidence: float


class TextMistake(TypedDict):
    """The `key` of an image, the `right` text and the `predicted` one, and the probabilities of both."""

    key: str
    right: str
    predicted: str
    confidence: float
    right_confidence: float


class ImagesByTexts(AnswersDetails):
    """The answers of texts that look for their images, and the surest mistakes."""

    mistakes: list[Mistake]


class TextsByImages(AnswersDetails):
    """The answers of images that look for their texts, and the surest mistakes."""

    mistakes: list[TextMistake]


class Similarities(TypedDict):
    """The `cosines` of `texts` (rows) with the images of `keys` (columns); each text's own image on the diagonal."""

    keys: list[str]
    texts: list[str]
    cosines: list[list[float]]


class DiagnosisDetails(TypedDict):
    """The details of a diagnosis. `images`: small JPEGs as base64 text (RFC 4648, section 4), by the samples' keys."""

    text_to_image: ImagesByTexts
    image_to_text: TextsByImages
    matrix: Similarities
    images: dict[str, str]


def diagnosis(
    encoder: Encoder,
    data: Captions,
    progress: ProgressCallback = no_progress,
    *,
    settings: Settings | None = None,
    kept: KeptVectors | None = None,
) -> Result:
    """Accuracy, mean confidence by the model's own scale and expected calibration error, of finding images by captions
    and captions by images: one caption of each image at a time, as in training.

    Details: `DiagnosisDetails`, with the wrong answers of the highest confidence, each image at most once on either
    side. Intervals: of accuracy and confidence. Raises `DataError` if nothing can be read.
    """
    scale = learned_scale(encoder)
    encoded = encode(encoder, data.samples, progress, kept=kept)
    samples = encoded.samples
    blocks = pair_blocks(encoder, encoded, progress)
    by_text, by_image = (answer(blocks[direction], scale) for direction in ("text_to_image", "image_to_text"))
    count = len(samples)
    mistakes: list[Mistake] = [
        {
            "text": samples[i % count].captions[i // count],
            "right": samples[by_text.right[i]].key,
            "predicted": samples[by_text.predicted[i]].key,
            "confidence": float(by_text.confidence[i]),
            "right_confidence": float(by_text.right_confidence[i]),
        }
        for i in most_confident(by_text)
    ]
    text_mistakes: list[TextMistake] = [
        {
            "key": samples[i % count].key,
            "right": samples[by_image.right[i]].captions[i // count],
            "predicted": samples[by_image.predicted[i]].captions[i // count],
            "confidence": float(by_image.confidence[i]),
            "right_confidence": float(by_image.right_confidence[i]),
        }
        for i in most_confident(by_image)
    ]
    matrix = _matrix(encoder, encoded)
    shown = {mistake[side] for mistake in mistakes for side in ("right", "predicted")} | set(matrix["keys"])
    shown |= {mistake["key"] for mistake in text_mistakes}
    directions = {"text_to_image": by_text, "image_to_text": by_image}
    return Result(
        kind="diagnosis",
        figures={f"{way}_{name}": value for way, of in directions.items() for name, value in of.figures().items()},
        intervals={
            f"{way}_{name}": ends for way, of in directions.items() for name, ends in of.intervals(count).items()
        },
        **describe_run(encoder, data),
        seed=SEED,
        settings={"scale": scale} | dict(settings or {}),
        details=DiagnosisDetails(
            text_to_image={**by_text.details(count), "mistakes": mistakes},
            image_to_text={**by_image.details(count), "mistakes": text_mistakes},
            matrix=matrix,
            images=small_images(item for item in samples if item.key in shown),
        ),
        skipped=encoded.skipped,
    )


def _matrix(encoder: Encoder, encoded: EncodedData[Sample]) -> Similarities:
    """Of images spread over the data."""
    rows = np.unique(np.linspace(0, len(encoded.samples) - 1, MATRIX).round().astype(np.int64))
    block = next(pair_blocks(encoder, encoded.subset(rows))["text_to_image"]())
    return {
        "keys": [encoded.samples[i].key for i in rows],
        "texts": [encoded.samples[i].captions[0] for i in rows],
        "cosines": block.cosines[: len(rows)].tolist(),
    }


def most_confident(answers: Answers) -> list[int]:
    """The wrong answers with the highest confidence, at most `MISTAKES`. No two of them have the
    same right image, or the same predicted image."""
    right: set[int] = set()
    predicted: set[int] = set()
    chosen: list[int] = []
    for i in np.argsort(-answers.confidence, kind="stable"):
        pair = int(answers.right[i]), int(answers.predicted[i])
        if pair[0] != pair[1] and pair[0] not in right and pair[1] not in predicted and len(chosen) < MISTAKES:
            right.add(pair[0])
            predicted.add(pair[1])
            chosen.append(int(i))
    return chosen
