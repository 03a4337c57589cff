"""What changes with the scale of the logits (the loss, and how sure the model is), and what cannot: the ranking.

Radford et al. (2021), section 2.5, learn the scale, CLIP's inverse temperature; Guo et al. (2017), section 4.2, find
the one that fits a trained model best.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sightline.data import Captions
from sightline.encoder.encoder import Encoder
from sightline.evaluate.encode import Report, about, quiet, see
from sightline.evaluate.matching import Questions, learned_scale, pair_questions
from sightline.evaluate.result import Result
from sightline.metrics.calibration import Counts, Floats, answers, moved, reliability

RANGE = 0.5, 1000.0
STEPS = 45


def temperature(
    encoder: Encoder, data: Captions, report: Report = quiet, *, settings: Mapping[str, Any] | None = None
) -> Result:
    """The contrastive loss of all pairs, confidence, entropy and expected calibration error over a range of scales, in
    both directions; the model's own scale beside the one whose loss is least; how many ranks a scale moves.

    Details: for each direction the curves' numbers. Raises `DataError` if nothing can be read.
    """
    seen = see(encoder, data.samples, report)
    asked = pair_questions(encoder, seen, report)
    own, (best, least) = learned_scale(encoder), best_scale(*asked.values())
    scales = np.union1d(scales_around(own), [best])
    curves = {way: curve(questions, scales) for way, questions in asked.items()}
    at, at_best = int(np.searchsorted(scales, own)), int(np.searchsorted(scales, best))
    figures = {
        "scale": own,
        "best_scale": best,
        "loss": float(np.mean([each.loss[at] for each in curves.values()])),
        "best_scale_loss": least,
    }
    for way, each in curves.items():
        figures[f"{way}_accuracy"] = each.accuracy
        for place, name in ((at, way), (at_best, f"best_scale_{way}")):
            figures[f"{name}_confidence"] = float(each.confidence[place])
            figures[f"{name}_calibration_error"] = float(each.error[place])
            figures[f"{name}_entropy"] = float(each.entropy[place])
    figures["ranks_moved"] = float(sum(each.moved.max() for each in curves.values()))
    figures["ranks_moved_float32"] = float(sum(each.merged.max() for each in curves.values()))
    return Result(
        kind="temperature",
        figures=figures,
        **about(encoder, data),
        settings=settings or {},
        details={way: each.to_dict() for way, each in curves.items()},
        skipped=seen.skipped,
    )


@dataclass(frozen=True)
class Curve:
    """At each scale (S,): the mean `loss`, `confidence` and `entropy`, the expected calibration `error`, and of how
    many questions the rank is another one, with logits in float64 (`moved`: none) and in float32 (`merged`). What is
    the same at every scale: the `accuracy` and the `ranks` (Q,), from 0."""

    scales: Floats
    loss: Floats
    confidence: Floats
    entropy: Floats
    error: Floats
    moved: Counts
    merged: Counts
    accuracy: float
    ranks: Counts

    def to_dict(self) -> dict[str, Any]:
        """For JSON, without the ranks."""
        columns = {name: getattr(self, name).tolist() for name in ("scales", "loss", "confidence", "entropy", "error")}
        return columns | {"moved": self.moved.tolist(), "merged": self.merged.tolist(), "accuracy": self.accuracy}


def curve(questions: Questions, scales: ArrayLike) -> Curve:
    """What the softmax of the cosines times each of the scales (S,) says, and where it ranks the right answers."""
    factors = np.asarray(scales, np.float64)
    said, others, merged = [], [], []
    for cosines, right in questions:
        said.append(answers(cosines, right, factors))
        others.append(moved(cosines, right, factors, np.float64))
        merged.append(moved(cosines, right, factors, np.float32))
    loss, confidence, entropy = (
        np.concatenate([getattr(part, name) for part in said], axis=1) for name in ("loss", "confidence", "entropy")
    )
    ranks = np.concatenate([part.ranks for part in said])
    return Curve(
        factors,
        loss.mean(1),
        confidence.mean(1),
        entropy.mean(1),
        np.array([reliability(row, ranks == 0).error for row in confidence]),
        np.sum(others, axis=0),
        np.sum(merged, axis=0),
        float((ranks == 0).mean()),
        ranks,
    )


def scales_around(own: float) -> Floats:
    """Scales in equal ratios over `RANGE`, widened to hold the model's `own`, which is one of them."""
    return np.union1d(np.geomspace(min(RANGE[0], own), max(RANGE[1], own), STEPS), [own])


def best_scale(*questions: Questions) -> tuple[float, float]:
    """The scale within `RANGE`, to 0.1%, at which the mean loss is least, and that loss.

    The loss is convex in the scale, so that the least of some scales has the least of all beside it.
    """
    scales = np.geomspace(*RANGE, 33)
    while True:
        loss = np.mean([_loss(asked, scales) for asked in questions], axis=0)
        at = int(loss.argmin())
        low, high = scales[max(at - 1, 0)], scales[min(at + 1, len(scales) - 1)]
        if high / low < 1.002:
            return float(scales[at]), float(loss[at])
        scales = np.geomspace(low, high, 33)


def _loss(questions: Questions, scales: Floats) -> Floats:
    parts = [answers(cosines, right, scales).loss for cosines, right in questions]
    return np.asarray(np.concatenate(parts, axis=1).mean(1))
