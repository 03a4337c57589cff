"""Drawing on images: a segmentation painted over the photo with a legend, its map of labels, and a marked region."""

import colorsys
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from sightline.errors import UsageError
from sightline.files import check_writable, replacing

RGB = tuple[int, int, int]

SIDES = (640, 1600)
"""Pixels of an overlay's long side, at least and at most: a small image is enlarged, so that its legend fits."""
PAINT = 0.55
LISTED = 24
DIMMED, OUTLINE = 0.4, (255, 176, 32)
_MARK = "sightline segment"
_PAPER, _INK, _SOFT = (250, 249, 246), (29, 28, 26), (109, 106, 100)


def color(number: int) -> RGB:
    """The color of a class, neighbours far apart: hues by the golden angle, in three depths."""
    value, saturation = ((0.95, 0.75), (0.70, 0.85), (0.98, 0.45))[number % 3]
    red, green, blue = colorsys.hsv_to_rgb(number * 0.381966 % 1, saturation, value)
    return int(red * 255), int(green * 255), int(blue * 255)


def overlay(
    image: Image.Image, labels: NDArray[np.int32], classes: Sequence[str], shares: NDArray[np.float64]
) -> Image.Image:
    """The "RGB" image, painted, with a legend of the classes in it below, the largest first.

    `labels` (H, W) of the image's size: a number into `classes`, or -1, which stays unpainted.
    """
    factor = max(min(1, SIDES[1] / max(image.size)), SIDES[0] / max(image.size))
    width, height = (max(1, round(side * factor)) for side in image.size)
    photo = np.asarray(image.resize((width, height)), np.float32)
    rows, columns = (np.arange(n) * side // n for n, side in ((height, image.height), (width, image.width)))
    shown = labels[rows[:, None], columns]
    paint = np.array([color(i) for i in range(len(classes))], np.float32)[np.maximum(shown, 0)]
    painted = np.where(shown[..., None] < 0, photo, photo * (1 - PAINT) + paint * PAINT)
    edge = np.zeros(shown.shape, bool)
    edge[:, 1:] |= shown[:, 1:] != shown[:, :-1]
    edge[1:] |= shown[1:] != shown[:-1]
    painted[edge] = 255
    legend = _legend(width, classes, shares)
    page = Image.new("RGB", (width, height + legend.height), _PAPER)
    page.paste(Image.fromarray(painted.astype(np.uint8)), (0, 0))
    page.paste(legend, (0, height))
    return page


def _legend(width: int, classes: Sequence[str], shares: NDArray[np.float64]) -> Image.Image:
    """A line of swatches, names and shares, broken at the image's width."""
    size = max(14, min(28, width // 40))
    font = ImageFont.load_default(size)
    order = [int(i) for i in np.argsort(-shares, kind="stable") if shares[i] > 0]
    entries: list[tuple[RGB | None, str]] = []
    for i in order[:LISTED]:
        name = "".join(c if c.isprintable() else " " for c in classes[i])
        entries.append((color(i), f"{name if len(name) <= 40 else name[:39] + '…'}  {shares[i]:.1%}"))
    if len(order) > LISTED:
        entries.append((None, f"and {len(order) - LISTED} more"))
    if (rest := 1 - float(shares.sum())) > 1e-9:
        entries.append((_SOFT, f"background  {rest:.1%}"))
    line, gap, x, y = 2 * size, size, size, size // 2
    places = []
    for _, text in entries:
        wide = 2 * size + int(font.getlength(text))
        if x > size and x + wide > width - size:
            x, y = size, y + line
        places.append((x, y))
        x += wide + gap
    legend = Image.new("RGB", (width, y + line + size // 2), _PAPER)
    draw = ImageDraw.Draw(legend)
    for (paint, text), (x, y) in zip(entries, places, strict=True):
        box = (x, y + size // 2, x + size, y + size // 2 + size)
        if paint is not None:
            draw.rectangle(box, outline=paint, width=2, fill=None if paint is _SOFT else paint)
        draw.text((x + size + size // 2, y + size), text, _INK, font, anchor="lm")
    return legend


def mark(image: Image.Image, mask: NDArray[np.bool_]) -> Image.Image:
    """The "RGB" image, dimmed outside of `mask` (height, width), which gets an outline."""
    pixels = np.asarray(image, np.float32)
    around = np.pad(mask, 2, mode="edge")
    inner = around[:-4, 2:-2] & around[4:, 2:-2] & around[2:-2, :-4] & around[2:-2, 4:]
    marked = np.where(mask[..., None], pixels, pixels * DIMMED)
    marked[mask & ~inner] = OUTLINE
    return Image.fromarray(marked.astype(np.uint8))


def label_map(labels: NDArray[np.int32], classes: Sequence[str]) -> Image.Image:
    """Labels as an image: 0 is background, i + 1 the class i; with a palette, or in 16 bits for many classes."""
    numbers = labels.astype(np.uint16) + np.uint16(1)
    if len(classes) > 255:
        return Image.fromarray(numbers)
    image = Image.fromarray(numbers.astype(np.uint8), "P")
    image.putpalette([0, 0, 0, *(part for i in range(len(classes)) for part in color(i))])
    return image


def label_file(file: str | os.PathLike[str]) -> Path:
    """The file of the labels that belong to the overlay `file`."""
    return Path(file).with_suffix(".labels.png")


def check_overlay(file: str | os.PathLike[str]) -> None:
    """Raises `UsageError` if an overlay and its labels cannot be written to `file`, or would take the place of other
    files."""
    if Path(file).suffix.lower() != ".png":
        raise UsageError(f"{file}: the image is written as PNG, so name it {Path(file).with_suffix('.png').name}")
    for path in (Path(file), label_file(file)):
        check_writable(path, "image", b"\x89PNG")
        if path.exists():
            try:
                with Image.open(path, formats=["PNG"]) as old:
                    is_ours = old.info.get("Software") == _MARK
            except (OSError, SyntaxError, ValueError) as error:
                raise UsageError(f"{path}: the image cannot be written there ({error})") from error
            if not is_ours:
                raise UsageError(f"{path} is no image of ours and would be lost: choose another name")


def save_png(image: Image.Image, file: str | os.PathLike[str], classes: Sequence[str]) -> None:
    """Writes a PNG, whole or not at all, that names its classes. Raises `UsageError`."""
    info = PngInfo()
    info.add_text("Software", _MARK)
    for number, name in enumerate(classes, 1):
        info.add_itxt("Comment", f"{number} {name}")
    try:
        with replacing(Path(file)) as temporary:
            image.save(temporary, "PNG", pnginfo=info)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written there ({error.strerror or error})") from error
