"""What a run of `sync` did."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class SyncReport:
    """Numbers of files; `changed` have new contents, and a changed file that can no longer be read is both skipped and
    removed. `skipped` says why. `indexed`: images and moments that the index holds at the end."""

    added: int = 0
    unchanged: int = 0
    moved: int = 0
    changed: int = 0
    removed: int = 0
    indexed: int = 0
    skipped: list[tuple[Path, str]] = field(default_factory=list)
