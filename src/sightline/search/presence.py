"""Whether files that an index holds are still there: some are deleted after they were indexed."""

import os
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread

PATIENCE = 2.0
"""Seconds without any answer after which a disk is taken for one that gives none, such as a share of a computer that
is switched off."""
_THREADS = 8
_SOON = 0.05
"""Seconds in which a local disk answers: one thread is enough for it, and starting more takes longer than looking."""


def is_missing(path: str) -> bool:
    """Whether there is certainly no such file. Where the system does not let us look, it may be there."""
    try:
        os.stat(path)  # noqa: PTH116 (pathlib raises for some names)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        pass
    return False


def missing_files(paths: Sequence[str], patience: float = PATIENCE) -> list[bool | None]:
    """For each path whether there is certainly no such file; None where nothing answered for `patience` seconds.

    Looks at several at a time, in threads of which none is waited for longer: a call of the system that hangs can't be
    ended.
    """
    once = list(dict.fromkeys(paths))
    todo: SimpleQueue[str] = SimpleQueue()
    answers: SimpleQueue[tuple[str, bool]] = SimpleQueue()
    for path in once:
        todo.put(path)
    missing: dict[str, bool] = {}
    for threads, seconds in (1, _SOON), (_THREADS - 1, patience):
        for _ in range(min(threads, todo.qsize())):
            Thread(target=_look, args=(todo, answers), daemon=True).start()
        with suppress(Empty):
            while len(missing) < len(once):
                path, answer = answers.get(timeout=seconds)
                missing[path] = answer
    return [missing.get(path) for path in paths]


def _look(todo: "SimpleQueue[str]", answers: "SimpleQueue[tuple[str, bool]]") -> None:
    with suppress(Empty):
        while True:
            path = todo.get_nowait()
            answers.put((path, is_missing(path)))


def notes(missing: Sequence[bool | None]) -> list[str]:
    """What is to be said of results, of which these are missing."""
    gone, unknown = sum(answer is True for answer in missing), sum(answer is None for answer in missing)
    said = []
    if gone:
        files = "1 file is" if gone == 1 else f"{gone:,} files are"
        said.append(
            f"{files} missing: deleted or moved since, or on a disk that is not mounted. Run `sightline index` on the "
            "folders to bring the index up to date"
        )
    if unknown:
        said.append(f"not looked whether {unknown:,} of the files are still there: the disk gives no answer")
    return said
