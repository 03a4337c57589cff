"""How much at a time, and how long: what a run weighs against memory, the cost of commits, and work lost by a kill."""

from dataclasses import dataclass
from datetime import timedelta

from sightline.index.schema import ModelRecord


@dataclass(frozen=True)
class Limits:
    """The defaults are for use; tests take smaller ones."""

    batch_rows: int = 256
    batch_seconds: float = 5.0
    """A batch of new rows is committed when it is full or this old: a kill loses no more."""
    copied_rows: int = 2048
    copied_bytes: int = 64 << 20
    """Rows at a time, and bytes of their vectors, that are written anew with all they hold."""
    upgraded_rows: int = 512
    """Rows at a time that are brought up to today's format: a kill loses no more."""
    fragment_rows: int = 16_384
    """Rows of a merged fragment: few enough that a broken file costs little, enough for a million rows in 64 files."""
    small_fragments: int = 16
    """So many fragments below half of that are merged. Large ones stay: adding rows never costs rewriting all."""
    keep: timedelta = timedelta(hours=1)
    """A version or table that was replaced stays readable this long: a reader has that long to finish or refresh."""
    keep_last: int = 2
    """So many versions stay however old they are: `fsck` falls back on one of them if the newest manifest breaks."""

    def copied(self, model: ModelRecord) -> int:
        """Rows of this model's that are copied at a time."""
        return max(1, min(self.copied_rows, self.copied_bytes // (2 * model.dim * (1 + model.extra_rows))))


DEFAULT = Limits()
