"""The evaluation that `sightline train --evaluate` gives to a run: a checkpoint's recall on captions."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.cli.output import one_line
from sightline.progress import Progress

if TYPE_CHECKING:
    from sightline.data import Captions, Sample

_INTERVAL = 30.0  # seconds between lines


@dataclass(frozen=True)
class Recall:
    """The figures of `sightline eval retrieval` for a checkpoint, in the same precision, float32.

    Every 30 seconds a line says how far it is. Raises `DataError` for unreadable captions.
    """

    source: list[str]
    split: str | None = None
    image_root: Path | None = None

    def __call__(self, folder: Path) -> Mapping[str, float]:
        from sightline.encoder import load
        from sightline.evaluate import retrieval

        return retrieval(load(folder, precision="float32"), self._captions, _Lines()).figures

    @property
    def data(self) -> str:
        """The data's name."""
        return self._captions.name

    @property
    def data_fingerprint(self) -> str:
        """The data's fingerprint, as a result of an evaluation has it."""
        return self._captions.fingerprint

    @property
    def samples(self) -> "Sequence[Sample]":
        """The images or videos with their captions, which training must not see."""
        return self._captions.samples

    @cached_property
    def _captions(self) -> "Captions":
        from sightline.data import captions

        are_shards = all(str(source).endswith(".tar") for source in self.source)
        return captions(self.source, split=self.split, image_root=None if are_shards else self.image_root)


class _Lines:
    """A line now and then; above the bar of the training, where there is one."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if time.monotonic() - self._last < _INTERVAL:
            return
        self._last = time.monotonic()
        of = "" if progress.total is None else f" of {progress.total:,}"
        print(one_line(f"evaluating: {progress.stage} {progress.done:,}{of}"), file=sys.stderr, flush=True)
