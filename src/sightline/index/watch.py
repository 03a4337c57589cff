"""An index that is kept up to date while files come, change and go."""

import gc
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sightline.errors import IndexLocked, IndexMissing, SightlineError
from sightline.index import lock, walk
from sightline.index.batch import SyncReport
from sightline.index.changes import IDLE, Changes, check_installed
from sightline.index.exclude import Patterns
from sightline.index.folder import exists
from sightline.index.mounts import mounts, mounts_below
from sightline.index.settings import read_settings
from sightline.index.sync import sync
from sightline.progress import ProgressCallback, no_progress

QUIET = 2.0
"""Seconds without a change after which the index is brought up to date."""
PATIENCE = 60.0
"""Seconds of changes without a pause after which it is brought up to date all the same, but for the files that are
still being written."""
FULL = 3600.0
"""Seconds between two full looks for what nobody told."""
RETRY = 5.0
"""Seconds until the next attempt while another process writes to the index."""
FAILED = 600.0
"""Seconds until the next attempt after an error, if nothing happens before."""
DISKS = 5.0
"""Seconds between two looks at which disks are mounted."""

FileState = tuple[int, int, int]


class Watch:
    """Call `look` and `wait` in turn. Between two looks neither the writer's lock nor the model is held.

    What happens only says that it is time to look: a look is a run of `sync` over all folders, and what happens
    meanwhile makes the next one. A look that fails leaves the index as it was, and is tried again.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        paths: Sequence[str | os.PathLike[str]],
        model: Any = None,
        *,
        exclude: Sequence[str] = (),
        include: Sequence[str] = (),
        **options: Any,
    ) -> None:
        """`folder`, `paths`, `model` and what follows are as for `sync`; the patterns are taken in once. Raises
        UsageError if watchfiles is not installed."""
        check_installed()
        self.folder, self.roots = Path(folder).absolute(), walk.roots_of(paths)
        self._options = options
        self._first: dict[str, Any] = {"exclude": exclude, "include": include}
        """What counts until there is an index, which remembers it: of a model its name."""
        (self._first if isinstance(model, str | os.PathLike) else self._options)["model"] = model
        self._again = 0.0
        self._changes: Changes | None = None
        self._busy: dict[str, float] = {}
        """Paths that changed, and when."""
        self._unrest: float | None = None
        """Since when there are changes that were not looked at."""
        self._places: object = None
        self._unreadable: dict[str, FileState] = {}
        self._told: set[str] = set()
        self._looked = self._had_index = False

    @property
    def polled(self) -> list[str]:
        """The folders of which the system does not tell what happens in them."""
        return [] if self._changes is None else self._changes.polled

    def look(self, progress: ProgressCallback = no_progress) -> list[SyncReport | str]:
        """Bring the index up to date: what each run of `sync` did, and in words what it could not do, each once.

        The first look raises what `sync` raises, but for IndexLocked; IndexMissing is raised if the index is gone.
        """
        if lock.is_held(self.folder):
            return self._wait_for_writer(f"{self.folder} is being written by {lock.holder(self.folder)}")
        if self._had_index and not exists(self.folder):
            raise IndexMissing(f"{self.folder} holds no index any more: it was deleted while it was watched")
        told = self._listen()
        leave = [*self._still_written(), *self._still_unreadable()]
        try:
            reports = self._sync(self.roots, leave, progress)
        except IndexLocked as error:
            return self._wait_for_writer(str(error))
        finally:
            _release()
        self._looked, self._had_index = True, exists(self.folder)
        if self._had_index:
            self._first = {}
        return self._new([*told, *reports])

    def wait(self) -> None:
        """Until there is something to look at."""
        assert self._changes is not None, "look first"
        check = time.monotonic() + DISKS
        for changed in self._changes:
            now = time.monotonic()
            if changed:
                self._busy.update(dict.fromkeys(changed, now))
                self._unrest = now if self._unrest is None else self._unrest
                for path in changed:
                    self._unreadable.pop(path, None)
            if self._unrest is not None:
                last = max(self._busy.values(), default=self._unrest)
                if now - last >= QUIET or now - self._unrest >= PATIENCE:
                    break
            if now >= self._again:
                self._unreadable.clear()
                break
            if now >= check:
                if self._find_places() != self._places:
                    break
                check = now + DISKS
        else:
            self._changes = None
            self._unreadable.clear()

    def close(self) -> None:
        if self._changes is not None:
            self._changes.close()

    def _listen(self) -> list[str]:
        """Anew for each look: after an overflow, and for folders that were moved, the system's news are incomplete."""
        self.close()
        settings = read_settings(self.folder).with_folders(self.roots)
        self._places = self._find_places()
        self._changes = Changes(self.roots, self.folder, Patterns(settings.patterns, settings.folders))
        why = self._changes.why_polled
        return [f"{why} the folders are looked at again and again"] if why else []

    def _still_written(self) -> list[str]:
        """The files that changed just now, if it does not become quiet."""
        now = time.monotonic()
        self._busy = {
            path: last
            for path, last in self._busy.items()
            if now - last < QUIET and os.path.isfile(path)  # noqa: PTH113
        }
        self._unrest = now if self._busy else None
        return list(self._busy)

    def _sync(self, roots: Sequence[str], leave: Sequence[str], progress: ProgressCallback) -> list[SyncReport | str]:
        """One run over all roots, so that a file may move from one to another; if that fails one for each, so that a
        disk that is not there does not keep the others waiting."""
        began = time.process_time()
        self._again = time.monotonic() + FAILED
        try:
            report = sync(self.folder, roots, progress=progress, leave=leave, **self._options, **self._first)
        except IndexLocked:
            raise
        except SightlineError as error:
            if not self._looked:
                raise
            if len(roots) > 1:
                return [told for root in roots for told in self._sync([root], leave, progress)]
            return [str(error)]
        self._unreadable |= {str(path): state for path, _ in report.skipped if (state := _state_of(str(path)))}
        idle = 0.0 if report.added or report.changed else IDLE * (time.process_time() - began)
        self._again = time.monotonic() + max(FULL, idle)
        return [report]

    def _wait_for_writer(self, who: str) -> list[SyncReport | str]:
        if self._changes is None:
            self._listen()
        self._unrest, self._again = None, time.monotonic() + RETRY
        return self._new([f"{who}: waiting until that is done"])

    def _new(self, told: list[SyncReport | str]) -> list[SyncReport | str]:
        """Without the words that were said already. After a look all of which went well they may be said again."""
        new = [item for item in told if not isinstance(item, str) or item not in self._told]
        self._told |= {item for item in told if isinstance(item, str)}
        if len(told) == 1 and isinstance(told[0], SyncReport):
            self._told.clear()
        return new

    def _still_unreadable(self) -> list[str]:
        """The files that could not be read and did not change since."""
        self._unreadable = {path: state for path, state in self._unreadable.items() if _state_of(path) == state}
        return list(self._unreadable)

    def _find_places(self) -> object:
        """Which folders and disks are there; the system does not tell when a disk takes the place of a folder."""
        return mounts_below(self.roots, mounts()), [_place_of(root) for root in self.roots]


def _place_of(path: str) -> tuple[int, int] | None:
    try:
        stated = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return stated.st_dev, stated.st_ino


def _state_of(path: str) -> FileState | None:
    """What changes when a file does; None for what is no file."""
    try:
        stated = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    is_file = os.path.isfile(path)  # noqa: PTH113
    return (stated.st_size, stated.st_mtime_ns, stated.st_ctime_ns) if is_file else None


def _release() -> None:
    """Give back what the model took."""
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
