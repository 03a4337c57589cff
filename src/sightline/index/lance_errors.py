"""Lance's failures as the errors that users meet."""

import os
import re
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sightline.errors import IndexDamaged, IndexFault, SightlineError

FAILURES = (OSError, ValueError, RuntimeError, NotImplementedError)
"""What Lance raises when a file is missing or broken (pyarrow's errors are ValueErrors and OSErrors)."""

_stderr = threading.Lock()
_used_by: int | None = None
"""The process that has used Lance first. Lance's threads are not in a process that is forked from it."""


def is_failure(error: BaseException) -> bool:
    """Whether Lance failed. A panic in its Rust code derives from BaseException and cannot be imported."""
    if isinstance(error, SightlineError):  # some are OSErrors and ValueErrors
        return False
    return isinstance(error, FAILURES) or type(error).__name__ == "PanicException"


def reason(error: BaseException) -> str:
    """What the system says of the failure; else the error's first line, without places in Lance's sources."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if system := re.search(r"([^:]+) \(os error \d+\)", str(error)):
        return system[1].strip()
    return re.sub(r",? \S+\.rs:\d+:\d+", "", (str(error).splitlines() or [type(error).__name__])[0])


def repair(folder: Path) -> str:
    """How to go on with a damaged index."""
    return f"`sightline fsck --repair --index {shlex.quote(str(folder))}` keeps what is whole"


def _check_process(folder: Path) -> None:
    """Raises IndexFault in a process that was forked from one that had used Lance: calls would hang or crash there."""
    global _used_by
    _used_by = _used_by or os.getpid()
    if _used_by != os.getpid():
        raise IndexFault(
            f"{folder} cannot be used in this process: it was forked from one that had used an index, whose threads "
            "stayed behind. Start workers with multiprocessing.get_context('spawn'), or open indexes only in them"
        )


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """What fails in here is damage, unless the system does not let us read."""
    _check_process(folder)
    try:
        yield
    except BaseException as error:
        if not is_failure(error):
            raise
        if "permission denied" in str(error).lower():
            raise IndexFault(f"{folder} cannot be read: permission denied") from error
        raise IndexDamaged(f"{folder} is damaged ({reason(error)}); {repair(folder)}") from error


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What fails in here left the table as it was."""
    _check_process(folder)
    try:
        yield
    except BaseException as error:
        if not is_failure(error):
            raise
        raise IndexFault(
            f"{folder} could not be written ({reason(error)}); what it held before is intact, and the next run goes on "
            f"from there. If there is space and permission, see `sightline fsck --index {shlex.quote(str(folder))}`"
        ) from error


@contextmanager
def hushed() -> Iterator[None]:
    """Keep what native code prints off the terminal: Rust reports a panic to stderr before it becomes an exception."""
    with _stderr:  # two at once would each restore what the other put there
        sink = os.open(os.devnull, os.O_WRONLY)
        try:
            kept = os.dup(2)
        except OSError:  # a service may have closed it
            kept = os.dup(sink)
        os.dup2(sink, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(sink)
