"""Segmentation by words against masks: mean intersection over union, as PASCAL VOC counts it.

Everingham et al. (2015), section 4.4; Xu et al. (2022), section 4.1, for the protocol with a background.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.data import LeftOut
from sightline.data.classes import Classes, check_template, read_classes
from sightline.errors import DataError, ImageError, UsageError
from sightline.evaluate.encode import Progress, Report, about, quiet
from sightline.evaluate.result import Result, Skipped
from sightline.metrics import confusion
from sightline.processing.suffixes import is_image
from sightline.segment.segmenter import PROMPT, Mode, Segmenter

Floats = NDArray[np.float64]

BACKGROUND = "background"
VOID = ("unlabeled", "unlabelled", "void", "ignore")
"""Classes that are none: pixels of these names don't count, nor do those of number 255 where no class has it."""
THRESHOLD = 0.95
"""The paper's for photos of things, where most pixels are background."""


@dataclass(frozen=True)
class Masks:
    """Pictures with a mask each, by name: (key, picture, mask). Pixels of a mask are numbers of classes."""

    name: str
    samples: tuple[tuple[str, Path, Path], ...]
    classes: Classes
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the masks, of the pictures' names and sizes, and of the classes."""
        digest = hashlib.blake2b(repr((self.classes.names, self.classes.numbers)).encode(), digest_size=32)
        for key, picture, mask in sorted(self.samples):
            digest.update(repr((key, picture.stat().st_size)).encode() + hashlib.blake2b(mask.read_bytes()).digest())
        return digest.hexdigest()


def masked(
    folder: str | os.PathLike[str],
    *,
    classes: str | os.PathLike[str] | None = None,
    image_root: str | os.PathLike[str] | None = None,
) -> Masks:
    """Opens a data set of masks: PNG pictures in `folder` or, where there is one, in its folder "masks".

    `image_root`: where the picture of a mask's name is, with any suffix; else the folder's "images", else beside the
    masks' folder or in it. `classes`: what `labels.read_classes` takes; else "classes.txt", "classes.csv" or
    "config.yaml" in `folder`. Raises `DataError`, `UsageError`.
    """
    root, left_out = Path(folder).expanduser(), LeftOut()
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; a folder of masks (.png) is wanted")
    listed = [root / name for name in ("classes.txt", "classes.csv", "config.yaml") if (root / name).is_file()]
    if classes is None and not listed:
        raise UsageError(f"{root}: no classes.txt in it: say which file lists the classes (--classes)")
    known = read_classes(listed[0] if classes is None else classes)
    inner = root / "masks"
    place = Path(image_root) if image_root is not None else root / "images" if (root / "images").is_dir() else root
    found = sorted((inner if inner.is_dir() else root).rglob("*.png"))
    masks = [path for path in found if place == root or place not in path.parents]
    if not place.is_dir():
        raise DataError(f"{place}: no such folder of pictures")
    others = sorted(set(place.rglob("*")) - set(masks))
    files = {path.stem: path for path in others if is_image(path)}
    samples = []
    for mask in masks:
        if mask.stem in files:
            samples.append((mask.stem, files[mask.stem], mask))
        else:
            left_out.add(f"masks without a picture in {place}", mask.name)
    if not samples:
        raise DataError(f"{root}: not one mask (.png) with a picture; left out: {left_out}")
    if len({key for key, _, _ in samples}) < len(samples):
        raise DataError(f"{root}: two masks have the same name, and a picture can't tell which is its own")
    return Masks(os.fspath(folder), tuple(samples), known, left_out)


def segmentation(
    segmenter: Segmenter,
    data: Masks,
    report: Report = quiet,
    *,
    mode: str = "paper",
    background: float | None = None,
    prompt: str = PROMPT,
) -> Result:
    """Mean IoU over all pixels of all pictures, class by class, and the share of pixels that are right.

    Where the classes have a "background", it counts as one of them, and is found where no other reaches the probability
    `background` (None: 0.95); 0 leaves its pixels out, so that only what is a thing is judged. Without such a class
    each pixel gets one of them. `mode` and `prompt` as `Segmenter` has them. Pictures that cannot be read, or are not
    of their mask's size, are left out, and named. Raises `DataError` for masks with numbers that are no class.
    """
    check_template(prompt)
    if mode not in get_args(Mode):
        raise UsageError(f"mode {mode!r} is not known; there is {' and '.join(get_args(Mode))}")
    names = [name.casefold() for name in data.classes.names]
    ground = names.index(BACKGROUND) if BACKGROUND in names else None
    if ground is None and background:
        raise UsageError(f"a background of {background:g}, but the data has no class named {BACKGROUND!r}")
    threshold = None if ground is None or background == 0 else (THRESHOLD if background is None else background)
    void = [i for i, name in enumerate(names) if name in VOID or (i == ground and threshold is None)]
    things = [i for i in range(len(names)) if i != ground and i not in void]
    words, places = [data.classes.names[i] for i in things], np.array([*things, -1 if ground is None else ground])
    keys, counts, skipped = [], [], []
    for done, (key, picture, mask) in enumerate(data.samples, 1):
        try:
            truth = _truth(mask, data.classes, void)
            found = segmenter(picture, words, mode=cast(Mode, mode), background=threshold, prompt=prompt)
            labels = found.labels
            if labels.shape != truth.shape:
                sides = "its mask is {1} x {0} pixels, the picture {3} x {2}".format(*truth.shape, *labels.shape)
                raise ImageError(str(picture), sides)
            matrix = confusion(truth, places[labels], len(names), -1)
            keys.append(key)
            counts.append(_sparse(matrix))
        except ImageError as error:
            skipped.append(Skipped(str(picture), error.reason))
        report(Progress("segmenting", done, len(data.samples), len(skipped)))
    if not keys:
        raise DataError(f"none of {len(data.samples)} pictures can be used; the first: {skipped[0].reason}")
    samples: dict[str, list[Any]] = {"key": keys, "counts": counts}
    each = _ious(_totals(samples, np.ones((1, len(keys)))))[0]
    return Result(
        kind="segmentation",
        figures={name: float(value[0]) for name, value in measure(samples, np.ones((1, len(keys)))).items()},
        **about(segmenter.encoder, data),
        settings={"classes": list(data.classes.names), "mode": mode, "background": threshold, "prompt": prompt},
        samples=samples,
        details={
            "pictures": len(keys),
            "left_out": dict(data.left_out.counts),
            "classes": {data.classes.names[i]: float(iou) for i, iou in enumerate(each) if not np.isnan(iou)},
        },
        skipped=skipped,
    )


def measure(samples: Mapping[str, Sequence[Any]], weights: Floats) -> dict[str, Floats]:
    """The figures of a data set in which each picture counts as often as `weights` (W, N) say: (W,) each. The mean is
    over the classes that occur in the truth or in what was found."""
    totals = _totals(samples, weights)
    both, truth = totals[..., 0].sum(1), totals[..., 1].sum(1)
    shares = np.divide(both, truth, out=np.zeros_like(both), where=truth > 0)
    ious = _ious(totals)
    there = ~np.isnan(ious)
    means = np.nansum(ious, 1) / np.maximum(there.sum(1), 1)
    return {"mIoU": means, "pixel_accuracy": shares}


def _totals(samples: Mapping[str, Sequence[Any]], weights: Floats) -> Floats:
    """(W, C, 3): pixels that are right, of the truth, and found, of each class."""
    size = 1 + max((row[0] for picture in samples["counts"] for row in picture), default=0)
    counts = np.zeros((len(samples["counts"]), size, 3))
    for picture, rows in zip(counts, samples["counts"], strict=True):
        for place, *numbers in rows:
            picture[place] = numbers
    totals: Floats = (weights @ counts.reshape(len(counts), -1)).reshape(len(weights), size, 3)
    return totals


def _ious(totals: Floats) -> Floats:
    """(W, C, 3) -> (W, C); NaN for a class that is nowhere."""
    either = totals[..., 1] + totals[..., 2] - totals[..., 0]
    shares: Floats = np.divide(totals[..., 0], either, out=np.full(either.shape, np.nan), where=either > 0)
    return shares


def _sparse(matrix: NDArray[np.int64]) -> list[list[int]]:
    """Of a confusion matrix for each class that occurs: its place, pixels right, of the truth, and found."""
    rows = np.stack([np.arange(len(matrix)), np.diag(matrix), matrix.sum(1), matrix.sum(0)], axis=1)
    found: list[list[int]] = rows[rows[:, 2:].any(1)].tolist()
    return found


def _truth(file: Path, classes: Classes, void: Sequence[int]) -> NDArray[np.int64]:
    """(H, W): each pixel's place among the classes, -1 where it doesn't count."""
    try:
        with Image.open(file) as mask:
            if mask.mode not in ("L", "P", "1", "I;16", "I"):
                raise DataError(f"{file}: a mask of colors ({mask.mode}); its pixels must be numbers of classes")
            numbers = np.asarray(mask).astype(np.int64)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(str(file), f"its mask {file.name} can't be read ({error})") from error
    table = np.full(max(256, *classes.numbers, int(numbers.max(initial=0))) + 1, -2)
    table[255] = -1
    table[list(classes.numbers)] = np.arange(len(classes.numbers))
    truth: NDArray[np.int64] = table[numbers]
    if (truth == -2).any():
        raise DataError(f"{file}: the number {numbers[truth == -2][0]} is that of no class in the list")
    truth[np.isin(truth, void)] = -1
    return truth
