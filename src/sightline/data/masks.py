"""Data sets of images with a mask each, whose pixels are numbers of classes."""

import hashlib
import os
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.data.classes import Classes, read_classes
from sightline.data.left_out import LeftOut
from sightline.errors import DataError, DataMissing, ImageError, UsageError
from sightline.processing.suffixes import is_image

UNLABELLED = 255
"""The number of pixels without a class, unless a class has it: that of PASCAL VOC."""


@dataclass(frozen=True)
class Masks:
    """`samples` are (key, image file, mask file); `name` is for people, `left_out` counts what is not in `samples`."""

    name: str
    samples: tuple[tuple[str, Path, Path], ...]
    classes: Classes
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the masks, of the images' names and sizes in bytes, and of the classes."""
        digest = hashlib.blake2b(repr((self.classes.names, self.classes.numbers)).encode(), digest_size=32)
        for key, image, mask in sorted(self.samples):
            digest.update(repr((key, image.stat().st_size)).encode() + hashlib.blake2b(mask.read_bytes()).digest())
        return digest.hexdigest()


def masked(
    folder: str | os.PathLike[str],
    *,
    classes: str | os.PathLike[str] | None = None,
    image_root: str | os.PathLike[str] | None = None,
) -> Masks:
    """Opens a data set of masks: PNG files in `folder` or, if it has one, in its folder "masks".

    `image_root`: the folder of the images, named as their masks but for the suffix; None: the folder's "images", or
    else `folder` itself. `classes`: what `read_classes` takes; None: "classes.txt", "classes.csv" or "config.yaml" in
    `folder`. Raises `DataError`, `UsageError`.
    """
    root, left_out = Path(folder).expanduser(), LeftOut()
    if not root.is_dir():
        raise DataMissing(f"{root}: no such file or folder; a folder of masks (.png) is wanted")
    known = read_classes(_class_list(root) if classes is None else classes)
    images = (
        Path(image_root).expanduser()
        if image_root is not None
        else root / "images"
        if (root / "images").is_dir()
        else root
    )
    masks = _mask_files(root, images)
    if not images.is_dir():
        raise DataMissing(f"{images}: no such file or folder; the images of the masks are looked for there")
    others = sorted(set(images.rglob("*")) - set(masks))
    by_stem: dict[str, list[Path]] = {}
    for path in filter(is_image, others):
        by_stem.setdefault(_composed(path.stem), []).append(path)
    samples = []
    for mask in masks:
        of_mask = by_stem.get(_composed(mask.stem), [])
        if len(of_mask) == 1:
            samples.append((mask.stem, of_mask[0], mask))
        elif of_mask:
            left_out.add(f"masks with several images of their name in {images}", mask.name)
        else:
            left_out.add(f"masks without an image in {images}", mask.name)
    if not samples:
        raise DataError(f"{root}: not one mask (.png) with an image; left out: {left_out}")
    if len({key for key, _, _ in samples}) < len(samples):
        raise DataError(f"{root}: two masks have the same name, and an image can't tell which is its own")
    return Masks(os.fspath(folder), tuple(samples), known, left_out)


def read_mask(file: Path, classes: Classes) -> NDArray[np.int64]:
    """A mask (H, W) of positions in `classes`, -1 for unlabelled pixels.

    Raises `ImageError` for a mask that cannot be read, `DataError` for one of colors or with a number of no class.
    """
    try:
        with Image.open(file) as mask:
            if mask.mode not in ("L", "P", "1", "I;16", "I"):
                raise DataError(f"{file}: a mask of colors ({mask.mode}); its pixels must be numbers of classes")
            numbers = np.asarray(mask).astype(np.int64)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(str(file), f"its mask {file.name} can't be read ({error})") from error
    position = np.full(max(UNLABELLED, *classes.numbers, int(numbers.max(initial=0))) + 1, -2)
    position[UNLABELLED] = -1
    position[list(classes.numbers)] = np.arange(len(classes.numbers))
    labels: NDArray[np.int64] = position[numbers]
    if (labels == -2).any():
        raise DataError(f"{file}: the number {numbers[labels == -2][0]} is that of no class in the list")
    return labels


def _composed(name: str) -> str:
    """The name in the Unicode form NFC: macOS writes names in another one."""
    return unicodedata.normalize("NFC", name)


def _class_list(root: Path) -> Path:
    for name in ("classes.txt", "classes.csv", "config.yaml"):
        if (root / name).is_file():
            return root / name
    raise UsageError(f"{root}: no classes.txt in it: say which file lists the classes (--classes)")


def _mask_files(root: Path, images: Path) -> list[Path]:
    """The masks, without PNG files in a folder of images inside `root`."""
    inner = root / "masks"
    files = sorted((inner if inner.is_dir() else root).rglob("*.png"))
    return [path for path in files if images == root or images not in path.parents]
