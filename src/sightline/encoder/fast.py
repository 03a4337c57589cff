"""Precision "fast": for each tower of a model the quickest precision of this machine that keeps near float32.

Rules propose precisions, the quickest first. Each is checked once: the vectors of drawn images, or texts, must have a
mean cosine of at least LEAST to those in float32. The cosines are noted in the user's cache, by model, machine and
version. An index's first files are such a check too (see `confirmed`): images as they are. Time is not measured, so
that the same machine chooses the same precision however busy it is (docs/decisions/0042-fast.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from sightline import scenes
from sightline.distribution import VERSION
from sightline.encoder.cache import cache_file
from sightline.encoder.hardware import has_amx, has_bfloat16, is_int8_quick, machine
from sightline.encoder.source import Noun
from sightline.errors import JsonError, SightlineError, UsageError
from sightline.files import read_json, write_json
from sightline.logger import LOGGER

if TYPE_CHECKING:
    from sightline.encoder.encoder import Encoder
    from sightline.encoder.source import Vectors

T = TypeVar("T")

LEAST = 0.999
"""The mean cosine to float32's vectors that a precision must reach."""
COUNT = 16
"""Images, or texts, of a check."""
SIDE, SEED = 320, 1
"""Pixels of a drawn image's side; the seed of the scenes, which are others than those by which int8 is calibrated."""


def candidates(device: torch.device) -> list[str]:
    """The precisions for a device, the quickest first; the last is float32, which needs no check."""
    if device.type == "cuda":
        return [*(["bfloat16"] if has_bfloat16(device) else []), "float16", "float32"]
    if device.type in ("mps", "xpu"):
        return ["float16", "float32"]
    quick = ["bfloat16"] if has_bfloat16(device) else []
    if is_int8_quick(device) and not has_amx(device):
        quick.insert(0, "int8")
    return [*quick, "float32"]


class Fast:
    """The choice for one tower of an encoder. `cosines`: of each precision that was checked, that to float32."""

    def __init__(self, encoder: Encoder, noun: Noun) -> None:
        self._encoder, self._noun = encoder, noun
        self._candidates = candidates(encoder.device)
        self._note = _note(encoder, noun)
        self.cosines = _read(self._note)
        self._exact: Vectors | None = None

    @property
    def precision(self) -> str:
        """The first of the candidates that keeps near float32; one that was not checked yet is checked now."""
        for precision in self._candidates[:-1]:
            if precision not in self.cosines and not self._check(precision):
                self._candidates.remove(precision)
            elif self.cosines[precision] >= LEAST:
                return precision
        return self._candidates[-1]

    def add(self, precision: str, cosine: float) -> None:
        """Note a cosine that was found; of several the least counts."""
        self.cosines[precision] = min(cosine, self.cosines.get(precision, 1.0))
        if self._note is None:
            return
        encoder = self._encoder
        facts = {"model": encoder.name, "tower": self._noun, "machine": machine(encoder.device), "version": VERSION}
        with suppress(OSError):
            self._note.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._note, facts | {"cosines": self.cosines})

    def _check(self, precision: str) -> bool:
        """Find a precision's cosine; False if the tower cannot be computed in it."""
        try:
            encoder = self._encoder.in_precision(precision, self._noun)
        except UsageError as error:
            LOGGER.info(f"{self._encoder.name}: its tower for {self._noun} is not computed in {precision}: {error}")
            return False
        if self._exact is None:
            self._exact = self._drawn(self._encoder.in_precision("float32", self._noun))
        cosine = _cosine(self._drawn, encoder, self._exact)
        self.add(precision, cosine)
        LOGGER.info(f"{self._encoder.name}: {self._noun} in {precision}: mean cosine to float32 {cosine:.5f}")
        return True

    def _drawn(self, encoder: Encoder) -> Vectors:
        """An encoder's vectors of drawn scenes, or of their captions."""
        drawn = scenes.distinct(COUNT, SEED)
        if self._noun == "images":
            return encoder.encode_images([scene.draw(SIDE) for scene in drawn])
        return encoder.encode_text([scene.caption for scene in drawn])


def confirmed(
    encoder: Encoder, items: Iterator[T], read: Callable[[T], Any], is_video: Callable[[T], bool]
) -> Iterator[T]:
    """The items of a stream, all of them. The first are encoded in float32 too, before the first is given: where the
    chosen precision does not keep near it, the next takes its place, and the logger is told."""
    first = list(islice(items, COUNT))
    images, videos = (_contents([item for item in first if is_video(item) == kind], read) for kind in (False, True))

    def vectors(encoder: Encoder) -> Vectors:
        return np.concatenate([encoder.encode_images(images), encoder.encode_videos(videos)])

    exact = None
    while (images or videos) and encoder.precision != "float32":
        if exact is None:
            exact = vectors(encoder.in_precision("float32", "images"))
        precision, cosine = encoder.precision, _cosine(vectors, encoder, exact)
        encoder.note_cosine(cosine)
        if cosine >= LEAST:
            LOGGER.info(f"{encoder.name}: the first files in {precision}: mean cosine to float32 {cosine:.5f}")
            break
        LOGGER.warning(
            f"{encoder.name}: on these files {precision} does not keep near float32 (mean cosine {cosine:.4f}, "
            f"at least {LEAST} is wanted): they are encoded in {encoder.precision}"
        )
    return chain(first, items)


def _contents(items: list[T], read: Callable[[T], Any]) -> list[Any]:
    """The images, or the frames of videos, that can be read."""
    contents = []
    for item in items:
        with suppress(SightlineError, OSError, MemoryError):  # encoding them will say why
            contents.append(read(item)[0])
    return contents


def _cosine(vectors: Callable[[Encoder], Vectors], encoder: Encoder, exact: Vectors) -> float:
    """The mean cosine of an encoder's vectors to those in float32; 0 if some are no numbers."""
    try:
        return mean_cosine(vectors(encoder), exact)
    except SightlineError:
        return 0.0


def mean_cosine(rows: Vectors, others: Vectors) -> float:
    """Of unit rows (n, dim) and the others in their places."""
    return float((rows.astype(np.float64) * others).sum(axis=1).mean())


def _note(encoder: Encoder, noun: Noun) -> Path | None:
    """The file of a tower's cosines; None where the user has no folder for it."""
    return cache_file("precision", [encoder.fingerprint, noun, VERSION, machine(encoder.device)], ".json")


def _read(note: Path | None) -> dict[str, float]:
    """The noted cosines; none where there is no note, or a damaged one."""
    if note is None:
        return {}
    try:
        cosines = read_json(note).get("cosines")
    except (OSError, JsonError):
        return {}
    entries = cosines.items() if isinstance(cosines, dict) else ()
    return {name: cosine for name, cosine in entries if isinstance(cosine, float) and -1 <= cosine <= 1.001}
