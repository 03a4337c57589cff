"""Diagnosis: the images that a model finds wrongly by captions, and how confident it is of that."""

from base64 import b64encode
from collections.abc import Iterable
from typing import TypedDict

import numpy as np

from sightline.data import Captions, Item
from sightline.encoder.encoder import Encoder
from sightline.errors import SightlineError
from sightline.evaluate.encode import describe_run, encode
from sightline.evaluate.matching import Answers, AnswersDetails, answer, learned_scale, pair_blocks
from sightline.evaluate.result import Result, Settings
from sightline.processing.image.reading import open_image
from sightline.processing.image.thumbnail import thumbnail
from sightline.processing.video.sampling import sample_frames
from sightline.progress import ProgressCallback, no_progress

MISTAKES = 12  # that are shown
MATRIX = 10  # images and texts of the similarity matrix
SIDE = 160  # pixels of the longer side of an image that is shown


class Mistake(TypedDict):
    """A `text`, the keys of the `right` image and of the `predicted` one, and the probabilities of both."""

    text: str
    right: str
    predicted: str
    confidence: float
    right_confidence: float


class Similarities(TypedDict):
    """The `cosines` of `texts` (rows) with the images of `keys` (columns); each text's own image on the diagonal."""

    keys: list[str]
    texts: list[str]
    cosines: list[list[float]]


class DiagnosisDetails(AnswersDetails):
    """The details of a diagnosis. `images`: small JPEGs as base64 text (RFC 4648, section 4), by the samples' keys."""

    mistakes: list[Mistake]
    matrix: Similarities
    images: dict[str, str]


def diagnosis(
    encoder: Encoder, data: Captions, progress: ProgressCallback = no_progress, *, settings: Settings | None = None
) -> Result:
    """Accuracy, mean confidence by the model's own scale and expected calibration error of finding images by captions.

    Details: `DiagnosisDetails`, with the wrong answers of the highest confidence, each image at most once on either
    side. Raises `DataError` if nothing can be read.
    """
    encoded = encode(encoder, data.samples, progress)
    samples, scale = encoded.samples, learned_scale(encoder)
    answers = answer(pair_blocks(encoder, encoded, progress)["text_to_image"], scale)
    mistakes: list[Mistake] = [
        {
            "text": samples[i % len(samples)].captions[i // len(samples)],
            "right": samples[answers.right[i]].key,
            "predicted": samples[answers.predicted[i]].key,
            "confidence": float(answers.confidence[i]),
            "right_confidence": float(answers.right_confidence[i]),
        }
        for i in most_confident(answers)
    ]
    rows = np.unique(np.linspace(0, len(samples) - 1, MATRIX).round().astype(np.int64))
    block = next(pair_blocks(encoder, encoded.subset(rows))["text_to_image"]())
    matrix: Similarities = {
        "keys": [samples[i].key for i in rows],
        "texts": [samples[i].captions[0] for i in rows],
        "cosines": block.cosines[: len(rows)].tolist(),
    }
    shown = {mistake[side] for mistake in mistakes for side in ("right", "predicted")} | set(matrix["keys"])
    return Result(
        kind="diagnosis",
        figures=answers.figures(),
        **describe_run(encoder, data),
        settings={"scale": scale} | dict(settings or {}),
        details=DiagnosisDetails(
            **answers.details(len(samples)),
            mistakes=mistakes,
            matrix=matrix,
            images=small_images(item for item in samples if item.key in shown),
        ),
        skipped=encoded.skipped,
    )


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


def small_images(items: Iterable[Item]) -> dict[str, str]:
    """Small JPEGs by the samples' keys, as base64 text; of a video its middle frame. Unreadable ones are left out."""
    images: dict[str, str] = {}
    for item in items:
        try:
            content = item.content()
            (image,) = sample_frames(content, 1) if item.is_video else [open_image(content, short_side=SIDE)]
        except (SightlineError, OSError):
            continue
        images[item.key] = b64encode(thumbnail(image.convert("RGB"), SIDE, 82)).decode("ascii")
    return images
