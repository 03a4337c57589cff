"""How far long work is: what it tells a callback, whether or not a progress bar is drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.errors import UsageError


@dataclass(frozen=True)
class Progress:
    """`done` of `total` files, samples or texts in this stage; `total` is None while it is unknown.

    `added` and `skipped` count files so far. `path` is the file at hand, `second` the time reached in a video.
    """

    stage: str
    done: int = 0
    total: int | None = None
    added: int = 0
    skipped: int = 0
    path: Path | None = None
    second: float | None = None


ProgressCallback = Callable[[Progress], None]


def no_progress(progress: Progress) -> None:
    """A callback that ignores what it is told."""


def check_callback(progress: Any) -> None:
    """Raises `UsageError` for what is no function, such as True."""
    if not callable(progress):
        raise UsageError(
            f"progress is {progress!r}: give a function, which is called with a Progress (stage, done, total, ...)"
        )
