"""Images and texts as a model gets them: what an export is checked by, and what int8's scales are measured on."""

import os
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightline.encoder.source import EncoderSource
from sightline.errors import ImageError, UsageError
from sightline.files import open_file
from sightline.logger import LOGGER
from sightline.models.tower import Tower
from sightline.processing.image.reading import open_image
from sightline.processing.suffixes import is_image
from sightline.scenes import distinct

COUNT = 144
"""Images, and texts, that int8's scales are measured on; 16 of them are kept for the comparison."""
_SEED = 39

Inputs = dict[str, NDArray[np.generic]]


def drawn_images(source: EncoderSource, tower: Tower, count: int) -> Inputs:
    """`count` drawn scenes, each a still video where the model takes several frames."""
    side = max(source.profile.output_size or (64, 64))
    pixels = [source.profile.resize_and_crop(scene.draw(side)) for scene in distinct(count, _SEED)]
    return _pixel_values(source, tower, pixels)


def drawn_texts(source: EncoderSource, count: int) -> Inputs:
    """Captions of drawn scenes, long ones and short ones."""
    return _tokens(source, [scene.captions[number % 13] for number, scene in enumerate(distinct(count, _SEED))])


def images_in(folder: str | os.PathLike[str], source: EncoderSource, tower: Tower) -> Inputs:
    """Up to `COUNT` images of a folder, in the order of their names, evenly out of all. Raises `UsageError` if it holds
    none; a file that can't be read is told to the logger."""
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f"{folder}: no such folder of images to calibrate by")
    paths = sorted(path for path in root.rglob("*") if is_image(path))
    paths = paths[:: max(1, len(paths) // COUNT)][:COUNT]
    pixels = []
    for path in paths:
        try:
            pixels.append(source.profile.resize_and_crop(open_image(path, short_side=source.size_hint)))
        except ImageError as error:
            LOGGER.warning(f"left out of the calibration: {error}")
    if not pixels:
        raise UsageError(f"{folder}: no image in it that can be read, to calibrate by")
    return _pixel_values(source, tower, pixels)


def texts_of(file: str | os.PathLike[str], source: EncoderSource) -> Inputs:
    """Up to `COUNT` lines of a file in UTF-8. Raises `UsageError` if it holds none."""
    try:
        with open_file(Path(file)) as opened:
            lines = list(
                islice((line for line in opened.read().decode("utf-8-sig").splitlines() if line.strip()), 4096)
            )
    except (OSError, ImageError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read as a text in UTF-8, to calibrate by ({error})") from error
    if not lines:
        raise UsageError(f"{file}: no line in it to calibrate by")
    return _tokens(source, lines[:: max(1, len(lines) // COUNT)][:COUNT])


def _pixel_values(source: EncoderSource, tower: Tower, pixels: list[NDArray[np.uint8]]) -> Inputs:
    values = source.profile.normalize(np.stack(pixels))
    if source.config.takes_videos:
        values = np.repeat(values[:, None], source.config.frames, axis=1)
    return {"pixel_values": values}


def _tokens(source: EncoderSource, texts: list[str]) -> Inputs:
    ids, mask = source.tokenizer.pad(source.tokens(texts), None)
    return {"input_ids": ids, "attention_mask": mask}
