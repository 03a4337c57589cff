"""The evaluation that `sightline train --evaluate` gives to a run: a checkpoint's recall on captions."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.cli.output import ProgressLines

if TYPE_CHECKING:
    from sightline.data import Captions


@dataclass(frozen=True)
class Recall:
    """The figures of `sightline eval retrieval` for a checkpoint, in the same precision, float32.

    Every ten seconds a line says how far it is, above the bar of the training where there is one. Raises `DataError`
    for unreadable captions.
    """

    source: list[str]
    split: str | None = None
    image_root: Path | None = None
    device: str = "auto"

    def __call__(self, folder: Path) -> Mapping[str, float]:
        from sightline.encoder import load
        from sightline.evaluate import retrieval

        return retrieval(
            load(folder, device=self.device, precision="float32"), self._captions, ProgressLines("evaluating: ").show
        ).figures

    @property
    def data(self) -> str:
        """The data's name."""
        return self._captions.name

    @property
    def data_fingerprint(self) -> str:
        """The data's fingerprint, as a result of an evaluation has it."""
        return self._captions.fingerprint

    @cached_property
    def _captions(self) -> "Captions":
        from sightline.data import captions

        return captions(self.source, split=self.split, image_root=self.image_root)
