"""One writer per index, by a lock of the operating system: it ends with its process, however that ends."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sightline.errors import IndexFault, IndexLocked
from sightline.files import take_lock

NAME = "writer.lock"

_INSTANT = 0.1
"""Seconds that a lock may be held by somebody who only looks whether it is."""


@contextmanager
def writer(folder: Path, wait: float = 0.0) -> Iterator[bool]:
    """Hold the right to write to the index in `folder` (which must exist).

    Gives whether the writer before finished: if it was killed or failed, it may have left files behind. Waits at most
    `wait` seconds for another writer to finish, then raises IndexLocked with its process id and start; IndexFault
    where the folder cannot be written or cannot be locked.
    """
    until = time.monotonic() + max(wait, _INSTANT)
    try:
        handle = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise IndexFault(f"{folder} cannot be written: {error.strerror}") from error
    try:
        while not _take(handle, folder):
            if time.monotonic() >= until:
                raise IndexLocked(f"{folder} is being written by {holder(folder)}: wait until it is done, or stop it")
            time.sleep(min(0.02, max(0.0, until - time.monotonic())))
        if not os.fstat(handle).st_nlink:
            raise IndexLocked(f"{folder} was left by another writer just now: start again")
        finished = os.fstat(handle).st_size == 0
        _note(handle, json.dumps({"pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}))
        yield finished
        _note(handle, "")
    finally:
        os.close(handle)  # which gives the lock back


def leave_nothing(folder: Path, with_folder: bool) -> None:
    """Take the lock's file away again, and `with_folder` the empty folder: for its holder, where no index came to
    be."""
    with suppress(OSError):  # Windows removes no open file
        (folder / NAME).unlink()
        if with_folder:
            folder.rmdir()


def is_held(folder: Path) -> bool:
    """Whether a writer is at work."""
    try:
        handle = os.open(folder / NAME, os.O_RDWR)
    except OSError:
        return False  # never locked, or not ours to write
    try:
        return not _take(handle, folder)
    finally:
        os.close(handle)


def holder(folder: Path) -> str:
    """Who holds the lock, as far as its note tells."""
    try:
        who = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return f"process {who['pid']} since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _note(handle: int, text: str) -> None:
    with suppress(OSError):  # on a full disk the lock holds without its note
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, text.encode())


def _take(handle: int, folder: Path) -> bool:
    try:
        return take_lock(handle)
    except OSError as error:
        raise IndexFault(f"{folder}: its file system has no locks ({error.strerror}); use another disk") from error
