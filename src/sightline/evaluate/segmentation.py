"""Segmentation by words against masks: mean intersection over union, as PASCAL VOC counts it.

Everingham et al. (2015), section 4.4; Xu et al. (2022), section 4.1, for the protocol with a background.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypedDict, get_args

import numpy as np
from numpy.typing import NDArray

from sightline.data.classes import Classes
from sightline.data.masks import Masks, read_mask
from sightline.errors import DataError, ImageError, UsageError
from sightline.evaluate.encode import describe_run
from sightline.evaluate.intervals import SEED, intervals
from sightline.evaluate.result import Result, Skipped
from sightline.metrics import confusion
from sightline.progress import Progress, ProgressCallback, no_progress
from sightline.segment.defaults import Mode
from sightline.templates import IMAGE_TEMPLATE, check_template

if TYPE_CHECKING:
    from sightline.segment.segmenter import Segmenter

Floats = NDArray[np.float64]

BACKGROUND = "background"
VOID = ("unlabeled", "unlabelled", "void", "ignore")
"""Names of classes whose pixels don't count."""
THRESHOLD = 0.95
"""The paper's for photos of things, where most pixels are background."""


class SegmentationDetails(TypedDict):
    """How many images were segmented; what the data set lacks, counted by reason; each class's IoU, of the classes that
    occur in the truth or in the prediction."""

    images: int
    left_out: dict[str, int]
    classes: dict[str, float]


@dataclass(frozen=True)
class SegmentationTask:
    """The classes to find, by their position in `names`: `things`, the `void` ones whose pixels don't count, and the
    `background` (None without such a class). Pixels under the probability `threshold` are background; None: none are.
    """

    names: Sequence[str]
    things: Sequence[int]
    void: Sequence[int]
    background: int | None
    threshold: float | None

    @classmethod
    def of(cls, classes: Classes, background: float | None) -> Self:
        """From the arguments of `segmentation`. Raises `UsageError`."""
        names = [name.casefold() for name in classes.names]
        position = names.index(BACKGROUND) if BACKGROUND in names else None
        if position is None and background:
            raise UsageError(f"a background of {background:g}, but the data has no class named {BACKGROUND!r}")
        threshold = THRESHOLD if background is None else background or None
        if position is None:
            threshold = None
        void = [i for i, name in enumerate(names) if name in VOID or (i == position and threshold is None)]
        things = [i for i in range(len(names)) if i != position and i not in void]
        return cls(classes.names, things, void, position, threshold)

    def positions(self, labels: NDArray[np.int32]) -> NDArray[np.int64]:
        """Labels of a `Segmenter` for the `things`, -1 for the background -> positions in `names`."""
        return np.array([*self.things, -1 if self.background is None else self.background])[labels]


def segmentation(
    segmenter: "Segmenter",
    data: Masks,
    progress: ProgressCallback = no_progress,
    *,
    mode: Mode = "paper",
    background: float | None = None,
    prompt: str = IMAGE_TEMPLATE,
) -> Result:
    """Mean IoU over all pixels of all images, class by class, and the share of pixels that are right.

    A class named "background" counts like the others, and is predicted where no other class reaches the probability
    `background` (None: 0.95); 0 leaves its pixels out, so that things alone are judged. Without such a class each pixel
    gets a class. `mode` and `prompt` as `Segmenter` has them. Images that cannot be read, or are not of their mask's
    size, are left out, and named. Samples: for each image and each class in it [position, pixels right, of the truth,
    predicted]. Details: `SegmentationDetails`. Intervals: of both
    figures. Raises `UsageError` for arguments that don't fit, `DataError` for masks
    with a number of no class.
    """
    check_template(prompt)
    if mode not in get_args(Mode):
        raise UsageError(f"mode {mode!r} is not known; there is {' and '.join(get_args(Mode))}")
    task = SegmentationTask.of(data.classes, background)
    words = [task.names[i] for i in task.things]
    keys, counts, skipped = [], [], []
    for done, (key, image, mask) in enumerate(data.samples, 1):
        try:
            truth = read_mask(mask, data.classes)
            truth[np.isin(truth, task.void)] = -1
            segmented = segmenter(image, words, mode=mode, background=task.threshold, prompt=prompt)
            counts.append(_counts(image, truth, task.positions(segmented.labels), len(task.names)))
            keys.append(key)
        except ImageError as error:
            skipped.append(Skipped(str(image), error.reason))
        progress(Progress("segmenting", done, len(data.samples), skipped=len(skipped)))
    if not keys:
        raise DataError(f"none of {len(data.samples)} images can be used; the first: {skipped[0].reason}")
    samples: dict[str, list[Any]] = {"key": keys, "counts": counts}
    once = np.ones((1, len(keys)))
    ious = _ious(_totals(samples, once))[0]
    figures = {name: float(value[0]) for name, value in measure(samples, once).items()}
    return Result(
        kind="segmentation",
        figures=figures,
        intervals=intervals(measure, samples, figures),
        **describe_run(segmenter.encoder, data),
        seed=SEED,
        settings={"classes": list(task.names), "mode": mode, "background": task.threshold, "prompt": prompt},
        samples=samples,
        details=SegmentationDetails(
            images=len(keys),
            left_out=dict(data.left_out.counts),
            classes={task.names[i]: float(iou) for i, iou in enumerate(ious) if not np.isnan(iou)},
        ),
        skipped=skipped,
    )


def measure(samples: Mapping[str, Sequence[Any]], weights: Floats) -> dict[str, Floats]:
    """The figures, (W,) each, of data sets in which each image counts `weights` (W, N) times. The mean is over the
    classes that occur in the truth or in the prediction."""
    totals = _totals(samples, weights)
    right, truth = totals[..., 0].sum(1), totals[..., 1].sum(1)
    accuracy = np.divide(right, truth, out=np.zeros_like(right), where=truth > 0)
    ious = _ious(totals)
    occurs = ~np.isnan(ious)
    return {"mIoU": np.nansum(ious, 1) / np.maximum(occurs.sum(1), 1), "pixel_accuracy": accuracy}


def _counts(image: Path, truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> list[list[int]]:
    """Each class that occurs: its position, pixels right, of the truth, and predicted. Raises `ImageError`."""
    if predicted.shape != truth.shape:
        sides = "its mask is {1} x {0} pixels, the image {3} x {2}".format(*truth.shape, *predicted.shape)
        raise ImageError(str(image), sides)
    matrix = confusion(truth, predicted, classes, -1)
    rows = np.stack([np.arange(len(matrix)), np.diag(matrix), matrix.sum(1), matrix.sum(0)], axis=1)
    counts: list[list[int]] = rows[rows[:, 2:].any(1)].tolist()
    return counts


def _totals(samples: Mapping[str, Sequence[Any]], weights: Floats) -> Floats:
    """(W, C, 3): pixels that are right, of the truth, and predicted, of each class."""
    size = 1 + max((row[0] for rows in samples["counts"] for row in rows), default=0)
    counts = np.zeros((len(samples["counts"]), size, 3))
    for image, rows in zip(counts, samples["counts"], strict=True):
        for position, *pixels in rows:
            image[position] = pixels
    totals: Floats = (weights @ counts.reshape(len(counts), -1)).reshape(len(weights), size, 3)
    return totals


def _ious(totals: Floats) -> Floats:
    """(W, C, 3) -> (W, C); NaN for a class that does not occur."""
    union = totals[..., 1] + totals[..., 2] - totals[..., 0]
    ious: Floats = np.divide(totals[..., 0], union, out=np.full(union.shape, np.nan), where=union > 0)
    return ious
