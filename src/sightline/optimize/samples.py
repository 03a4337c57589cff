"""Images and texts as a model gets them: what an export is checked by, and what int8's scales are measured on."""

import os
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sightline.encoder.source import EncoderSource
from sightline.errors import ImageError, UsageError
from sightline.files import open_file
from sightline.logger import LOGGER
from sightline.processing.image.reading import open_image
from sightline.processing.suffixes import is_image
from sightline.scenes import distinct

COUNT = 144
"""Images, and texts, that int8's scales are measured on, and the exports compared by."""
_SEED = 39

T = TypeVar("T")
Inputs = dict[str, NDArray[np.generic]]


def drawn_images(source: EncoderSource, count: int) -> Inputs:
    """`count` drawn scenes, each a still video where the model takes several frames."""
    side = max(source.profile.output_size or (64, 64))
    pixels = [source.profile.resize_and_crop(scene.draw(side)) for scene in distinct(count, _SEED)]
    return _pixel_values(source, pixels)


def drawn_texts(source: EncoderSource, count: int) -> Inputs:
    """Captions of drawn scenes, long ones and short ones."""
    return _tokens(source, [scene.captions[number % 13] for number, scene in enumerate(distinct(count, _SEED))])


def images_in(folder: str | os.PathLike[str], source: EncoderSource) -> Inputs:
    """Up to `COUNT` images of a folder, evenly spread over their names. Raises `UsageError` if it holds none; what is
    left out, and why, is told to the logger."""
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f"{folder}: no such folder of images to calibrate by")
    paths = _spread(sorted(path for path in root.rglob("*") if is_image(path)), "images")
    pixels = []
    for path in paths:
        try:
            pixels.append(source.profile.resize_and_crop(open_image(path, short_side=source.size_hint)))
        except ImageError as error:
            LOGGER.warning(f"left out of the calibration: {error}")
    if not pixels:
        raise UsageError(f"{folder}: no image in it that can be read, to calibrate by")
    return _pixel_values(source, pixels)


def texts_of(file: str | os.PathLike[str], source: EncoderSource) -> Inputs:
    """Up to `COUNT` lines of a file in UTF-8, evenly spread. Raises `UsageError` if it holds none; of how many they are
    taken is told to the logger."""
    try:
        with open_file(Path(file)) as opened:
            lines = [line for line in opened.read().decode("utf-8-sig").splitlines() if line.strip()]
    except (OSError, ImageError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read as a text in UTF-8, to calibrate by ({error})") from error
    if not lines:
        raise UsageError(f"{file}: no line in it to calibrate by")
    return _tokens(source, _spread(lines, "lines"))


def _spread(items: list[T], noun: str) -> list[T]:
    """All, or of more than `COUNT` as many, evenly spread."""
    if len(items) <= COUNT:
        return items
    LOGGER.warning(f"of {len(items)} {noun} to calibrate by {COUNT} are taken, evenly spread")
    return [items[i * len(items) // COUNT] for i in range(COUNT)]


def _pixel_values(source: EncoderSource, pixels: list[NDArray[np.uint8]]) -> Inputs:
    values = source.profile.normalize(np.stack(pixels))
    if source.config.takes_videos:
        values = np.repeat(values[:, None], source.config.frames, axis=1)
    return {"pixel_values": values}


def _tokens(source: EncoderSource, texts: list[str]) -> Inputs:
    ids, mask = source.tokenizer.pad(source.tokens(texts), None)
    return {"input_ids": ids, "attention_mask": mask}
