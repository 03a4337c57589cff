"""How the numbers in a tower become bytes for precision "int8": measured once on drawn images, or captions."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sightline import scenes
from sightline.checkpoint.weights import Weights, write_weights
from sightline.distribution import VERSION
from sightline.encoder.cache import cache_file
from sightline.encoder.source import EncoderSource, Noun
from sightline.errors import CheckpointError, UsageError
from sightline.models.tower import Tower
from sightline.nn.int8 import Grid
from sightline.nn.int8_blocks import Grids
from sightline.nn.ranges import watched

COUNT = 24
"""Drawn images or videos, or captions."""
SIDE = 320
"""Pixels of a drawn image's side."""
MARGIN = 1.1
"""Other images and texts have somewhat larger numbers than those that are measured."""
_RULES = 1
"""Counts up when grids are made by other rules."""


def calibrated(source: EncoderSource, noun: Noun, tower: Tower) -> Grids:
    """The grids of a checkpoint's tower, which is in float32: those that the checkpoint has, or that are kept in the
    user's cache; where there are none they are measured now, and kept. Raises `CheckpointError` for damaged ones of the
    checkpoint's."""
    if noun in source.grids:
        if grids := read_grids(source.grids[noun]):
            return grids
        raise CheckpointError(
            f"{source.grids[noun]}: damaged: make the checkpoint anew by sightline optimize --to int8"
        )
    note = _note(source, noun)
    if kept := read_grids(note):
        return kept
    if noun == "texts":
        grids = measured(tower, texts(source, [scene.caption for scene in scenes.distinct(COUNT, seed=0)]))
    else:
        grids = measured(tower, images(source, _drawn(source.config.frames)))
    if note is not None:
        with suppress(OSError, CheckpointError):
            note.parent.mkdir(parents=True, exist_ok=True)
            write_grids(note, grids)
    return grids


def measured(tower: Tower, inputs: Iterable[Tensor]) -> Grids:
    """The grids for what goes into the linear maps of a tower, in float32, while it embeds the inputs. Raises
    `UsageError` where there are none."""
    with watched(tower) as ranges, torch.inference_mode():
        for batch in inputs:
            tower.embed(batch)
    if not ranges:
        raise UsageError("there is nothing to measure int8 on: no image, or no text, that can be read")
    return tower.int8_grids({name: MARGIN * ends for name, ends in ranges.items()})


def texts(source: EncoderSource, strings: Sequence[str]) -> Iterator[Tensor]:
    """Each text by itself: padding, which nothing looks at, is not measured."""
    for ids in source.tokenizer.encode(strings):
        yield torch.from_numpy(np.asarray(ids))[None]


def images(source: EncoderSource, pictures: Iterable[Image.Image]) -> Iterator[Tensor]:
    """Images one by one or, for a model of videos, as their frames."""
    pixels: list[NDArray[np.uint8]] = []
    for picture in pictures:
        pixels.append(source.profile.resize_and_crop(picture))
        if len(pixels) == source.config.frames:
            values = torch.from_numpy(source.profile.normalize(np.stack(pixels)))
            yield values[None] if source.config.takes_videos else values
            pixels = []


def _drawn(frames: int) -> Iterator[Image.Image]:
    """Drawn images or, for a tower of several frames, the frames of drawn videos, one after another."""
    if frames == 1:
        yield from (scene.draw(SIDE) for scene in scenes.distinct(COUNT, seed=0))
    else:
        for video in scenes.distinct_videos(COUNT // 3, seed=0):
            yield from video.draw(frames, SIDE)


def read_grids(file: Path | None) -> Grids:
    """The grids in a file; none where there is no such file, or a damaged one."""
    if file is None or not file.is_file():
        return {}
    try:
        weights = Weights([file])
        names = [name.removesuffix(".steps") for name in weights.shapes if name.endswith(".steps")]
        # Copies: the file is mapped into memory, and may be written anew.
        return {name: Grid(weights.get(f"{name}.steps").clone(), int(weights.get(f"{name}.zero"))) for name in names}
    except (CheckpointError, KeyError, RuntimeError, OSError):
        return {}


def write_grids(file: Path, grids: Grids) -> None:
    """Grids to a file, whole or not at all. Raises `OSError`, `CheckpointError`."""
    steps = {f"{name}.steps": grid.steps.contiguous() for name, grid in grids.items()}
    write_weights(file, steps | {f"{name}.zero": torch.tensor(grid.zero) for name, grid in grids.items()})


def _note(source: EncoderSource, noun: Noun) -> Path | None:
    """The file of a tower's grids; None where the user has no folder for it."""
    return cache_file("int8", [source.fingerprint, noun, VERSION, COUNT, SIDE, _RULES], ".safetensors")
