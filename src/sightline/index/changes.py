"""What happens below folders while somebody waits for it: told by the system, or seen by looking again and again."""

import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sightline.distribution import install
from sightline.errors import UsageError
from sightline.index import walk
from sightline.index.exclude import Patterns
from sightline.index.mounts import is_remote, mounts

STEP = 1.0
"""Seconds after which a wait comes back at the latest."""
POLL = 30.0
"""Seconds between two looks at a folder of which the system does not tell."""
IDLE = 900.0
"""Seconds of rest for each second of processor that a look takes: idle folders cost less than a tenth of a second a
minute."""
MANY = 1000
"""Of so many changes at once the system may have dropped some: they count whatever they are."""

_FAILURES = (OSError, RuntimeError, ValueError)
"""What watchfiles raises: limits of the system, names that are not UTF-8."""


def check_installed() -> None:
    """Raises UsageError if watchfiles is not installed."""
    try:
        import watchfiles  # noqa: F401
    except ImportError as error:
        raise UsageError(f"--watch needs watchfiles: pip install watchfiles, or {install('watch')}") from error


class Changes:
    """The paths that change at and below `roots`, from the making of this object on: iterate over it, and each list
    comes after a second or sooner, empty if nothing happened.

    Folders on other computers are looked at every 30 seconds, or more rarely if they are large, and so are all folders
    where $WATCHFILES_FORCE_POLLING is set, or where the system's limit of folders to watch is reached: `why_polled`
    then says so. Hidden names, what `patterns` leave out, files of other kinds and the folder `avoid` do not count.
    """

    def __init__(self, roots: Sequence[str], avoid: Path, patterns: Patterns) -> None:
        """Call `check_installed` before."""
        self._roots, self._avoid, self._patterns = roots, os.path.realpath(avoid), patterns
        mounted, is_forced = mounts(), _is_forced()
        self.polled = [root for root in roots if is_forced or is_remote(root, mounted)]
        self.why_polled = ""
        told = [root for root in roots if root not in self.polled and os.path.lexists(root)]
        self._first: list[str] = []
        self._files: dict[str, tuple[int, int]] = {}
        self._again = 0.0
        self._events: Generator[Any] | None = _events(told) if told else None
        if self._events is not None:
            try:
                self._first = self._counted(next(self._events))  # from here on nothing is missed
            except _FAILURES as error:
                self._events, self.polled, self.why_polled = None, list(roots), _why(error)
        if self.polled:
            self._look()

    def __iter__(self) -> Iterator[list[str]]:
        """Ends when the system can no longer say what happened: then all is to be looked at."""
        while True:
            changed, self._first = self._first, []
            if self._events is None:
                time.sleep(STEP)
            elif not changed:
                try:
                    changed = self._counted(next(self._events))
                except _FAILURES:
                    return
            if self.polled and time.monotonic() >= self._again:
                changed += self._look()
            yield changed

    def close(self) -> None:
        if self._events is not None:
            with suppress(*_FAILURES):
                self._events.close()

    def _look(self) -> list[str]:
        """What changed in the polled folders since the last time. Soon after a change the next one may come."""
        before, began = self._files, time.process_time()
        self._files = walk.list_files(self.polled, Path(self._avoid), self._patterns).files
        changed = list({path for path, _ in before.items() ^ self._files.items()})
        pause = STEP if changed else max(POLL, IDLE * (time.process_time() - began))
        self._again = time.monotonic() + pause
        return changed

    def _counted(self, changes: set[tuple[int, str]]) -> list[str]:
        paths = list({path for _, path in changes})
        return paths if len(changes) >= MANY else list(filter(self._counts, paths))

    def _counts(self, path: str) -> bool:
        root = next((root for root in self._roots if walk.is_below(path, root)), None)
        if path == root or root is None:
            return True
        is_hidden = any(name.startswith(".") for name in Path(path).relative_to(root).parts)
        if is_hidden or walk.is_below(path, self._avoid):
            return False
        name = os.path.basename(path)  # noqa: PTH119
        return not self._patterns.match_above(path) and (walk.is_wanted(name) or not os.path.isfile(path))  # noqa: PTH113


def _events(paths: Sequence[str]) -> Generator[Any]:
    """Sets of (kind, path) as the system tells them."""
    from watchfiles import watch

    yield from watch(
        *paths,
        watch_filter=None,
        step=int(STEP * 250),
        debounce=int(STEP * 1000),
        rust_timeout=int(STEP * 1000),
        yield_on_timeout=True,
        force_polling=False,
        ignore_permission_denied=True,
    )


def _is_forced() -> bool:
    return os.environ.get("WATCHFILES_FORCE_POLLING", "").lower() not in ("", "false", "disable", "disabled")


def _why(error: Exception) -> str:
    text = str(error).lower()
    if "limit" in text or "too many" in text or "no space" in text:
        name = "max_user_instances" if "open files" in text or "instance" in text else "max_user_watches"
        return (
            f"the system's limit of folders to watch is reached: to raise it, "
            f"`sudo sysctl fs.inotify.{name}=1048576`; until then"
        )
    return f"the system cannot tell what changes ({error}):"
