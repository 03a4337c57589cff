"""What the scale of the logits changes (the loss, and the model's confidence), and what it cannot: the ranking.

Radford et al. (2021), section 2.5, learn the scale, CLIP's inverse temperature; Guo et al. (2017), section 4.2, find
the scale that fits a trained model best.

Shapes: Q questions, S scales.
"""

from dataclasses import dataclass
from typing import TypedDict, cast

import numpy as np
from numpy.typing import ArrayLike

from sightline.data import Captions
from sightline.encoder.encoder import Encoder
from sightline.evaluate.encode import describe_run, encode
from sightline.evaluate.kept import KeptVectors
from sightline.evaluate.matching import Blocks, learned_scale, pair_blocks
from sightline.evaluate.result import Result, Settings
from sightline.metrics.calibration import Counts, Floats, rank_changes, reliability, softmax_stats
from sightline.progress import ProgressCallback, no_progress

RANGE = 0.5, 1000.0
STEPS = 45


class CurveDetails(TypedDict):
    """A `Curve` for JSON, without its ranks."""

    scales: list[float]
    loss: list[float]
    confidence: list[float]
    entropy: list[float]
    error: list[float]
    rank_changes: list[int]
    rank_changes_float32: list[int]
    accuracy: float


class TemperatureDetails(TypedDict):
    """A curve for each direction."""

    text_to_image: CurveDetails
    image_to_text: CurveDetails


@dataclass(frozen=True)
class Curve:
    """At each of the `scales` (S,): the mean `loss`, `confidence` and `entropy`, the expected calibration `error`, and
    the number of questions whose rank changes, with logits in float64 (always 0) and in float32. The same at every
    scale: the `accuracy` and the `ranks` (Q,), from 0."""

    scales: Floats
    loss: Floats
    confidence: Floats
    entropy: Floats
    error: Floats
    rank_changes: Counts
    rank_changes_float32: Counts
    accuracy: float
    ranks: Counts

    def details(self) -> CurveDetails:
        """For JSON."""
        values = {name: np.asarray(value).tolist() for name, value in vars(self).items() if name != "ranks"}
        return cast(CurveDetails, values)


def temperature(
    encoder: Encoder,
    data: Captions,
    progress: ProgressCallback = no_progress,
    *,
    settings: Settings | None = None,
    kept: KeptVectors | None = None,
) -> Result:
    """The contrastive loss of all pairs, confidence, entropy and expected calibration error over a range of scales, in
    both directions; the model's own scale beside the scale of the least loss; how many ranks a scale changes.

    Details: `TemperatureDetails`. Raises `DataError` if nothing can be read.
    """
    learned = learned_scale(encoder)
    encoded = encode(encoder, data.samples, progress, kept=kept)
    blocks = pair_blocks(encoder, encoded, progress)
    best, least_loss = best_scale(*blocks.values())
    scales = np.union1d(scales_around(learned), [best])
    curves = {direction: curve(of_direction, scales) for direction, of_direction in blocks.items()}
    at, at_best = int(np.searchsorted(scales, learned)), int(np.searchsorted(scales, best))
    figures = {
        "scale": learned,
        "best_scale": best,
        "loss": float(np.mean([each.loss[at] for each in curves.values()])),
        "best_scale_loss": least_loss,
    }
    for direction, each in curves.items():
        figures[f"{direction}_accuracy"] = each.accuracy
        for position, name in ((at, direction), (at_best, f"best_scale_{direction}")):
            figures[f"{name}_confidence"] = float(each.confidence[position])
            figures[f"{name}_calibration_error"] = float(each.error[position])
            figures[f"{name}_entropy"] = float(each.entropy[position])
    figures["rank_changes"] = float(sum(each.rank_changes.max() for each in curves.values()))
    figures["rank_changes_float32"] = float(sum(each.rank_changes_float32.max() for each in curves.values()))
    return Result(
        kind="temperature",
        figures=figures,
        **describe_run(encoder, data),
        settings=settings or {},
        details={direction: each.details() for direction, each in curves.items()},
        skipped=encoded.skipped,
    )


def curve(blocks: Blocks, scales: ArrayLike) -> Curve:
    """The softmax of the cosines times each of the scales (S,), and the ranks of the right answers. The loss is that of
    the pairs, as in training, equal texts or not."""
    factors = np.asarray(scales, np.float64)
    stats, losses, changes, changes_float32 = [], [], [], []
    for cosines, right, best in blocks():
        stats.append(softmax_stats(cosines, best, factors))
        of_pairs = stats[-1] if (right == best).all() else softmax_stats(cosines, right, factors)
        losses.append(of_pairs.loss)
        changes.append(rank_changes(cosines, best, factors, np.float64))
        changes_float32.append(rank_changes(cosines, best, factors, np.float32))
    confidence = np.concatenate([part.confidence for part in stats], axis=1)
    ranks = np.concatenate([part.ranks for part in stats])
    return Curve(
        scales=factors,
        loss=np.concatenate(losses, axis=1).mean(1),
        confidence=confidence.mean(1),
        entropy=np.concatenate([part.entropy for part in stats], axis=1).mean(1),
        error=np.array([reliability(row, ranks == 0).error for row in confidence]),
        rank_changes=np.sum(changes, axis=0),
        rank_changes_float32=np.sum(changes_float32, axis=0),
        accuracy=float((ranks == 0).mean()),
        ranks=ranks,
    )


def scales_around(learned: float) -> Floats:
    """Scales in equal ratios over `RANGE`, widened to hold the model's `learned` scale, which is among them."""
    return np.union1d(np.geomspace(min(RANGE[0], learned), max(RANGE[1], learned), STEPS), [learned])


def best_scale(*blocks: Blocks) -> tuple[float, float]:
    """The scale within `RANGE`, to 0.1%, at which the mean loss is least, and that loss.

    The loss is convex in the scale: the least loss lies between the neighbours of the best of a few scales.
    """
    scales = np.geomspace(*RANGE, 33)
    while True:
        loss = np.mean([_loss(of_direction, scales) for of_direction in blocks], axis=0)
        at = int(loss.argmin())
        low, high = scales[max(at - 1, 0)], scales[min(at + 1, len(scales) - 1)]
        if high / low < 1.002:
            return float(scales[at]), float(loss[at])
        scales = np.geomspace(low, high, 33)


def _loss(blocks: Blocks, scales: Floats) -> Floats:
    parts = [softmax_stats(cosines, right, scales).loss for cosines, right, _ in blocks()]
    return np.asarray(np.concatenate(parts, axis=1).mean(1))
