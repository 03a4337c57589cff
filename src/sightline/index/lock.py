"""One writer per index, by a lock of the operating system: it ends with its process, however that ends."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sightline.errors import IndexLocked

NAME = "writer.lock"


@contextmanager
def writer(folder: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the right to write to the index in `folder` (which must exist).

    Waits at most `wait` seconds for another writer to finish, then raises IndexLocked with its process id and start.
    """
    until = time.monotonic() + wait
    with os.fdopen(os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o644), "r+", encoding="utf-8") as file:
        while not _take(file.fileno()):
            if time.monotonic() >= until:
                raise IndexLocked(f"{folder} is being written by {_holder(folder)}: wait until it is done, or stop it")
            time.sleep(min(0.1, max(0.0, until - time.monotonic())))
        _note(file.fileno(), {"pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")})
        try:
            yield
        finally:
            _note(file.fileno(), None)
            _release(file.fileno())


def _note(handle: int, who: dict[str, object] | None) -> None:
    with suppress(OSError):  # on a full disk the lock holds without its note
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, json.dumps(who).encode() if who else b"")


def _holder(folder: Path) -> str:
    try:
        who = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return f"process {who['pid']} since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # the locked byte lies beyond the note, which others must be able to read

    def _take(handle: int) -> bool:
        os.lseek(handle, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _release(handle: int) -> None:
        os.lseek(handle, _FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _take(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _release(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
