"""`sightline index --watch`: look, say what was done, wait; until Ctrl-C or SIGTERM."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from sightline.cli.output import hub_hint, one_line, progress_bar
from sightline.errors import Stopped

if TYPE_CHECKING:
    from sightline.index.batch import SyncReport
    from sightline.index.watch import Watch

LISTED = 5
"""Files named that could not be read, in one look."""


def reports(watch: "Watch", instead: str) -> Iterator["SyncReport"]:
    """What each look did; what it could not do is said. Never ends by itself. `instead`: what needs no download."""
    while True:
        with hub_hint(instead), progress_bar() as progress:
            told = watch.look(progress)
        for item in told:
            if isinstance(item, str):
                typer.echo(one_line(item), err=True)
            else:
                yield item
        watch.wait()


def say_watched(watch: "Watch") -> None:
    """Which folders are watched, and how."""
    typer.echo(f"watching {one_line(', '.join(watch.roots))}; Ctrl-C ends it")
    if watch.polled:
        typer.echo(f"looked at every 30 seconds, or more rarely if large: {one_line(', '.join(watch.polled))}")


class Lines:
    """A line for each look that did something; files that could not be read are named once."""

    def __init__(self, first: "SyncReport") -> None:
        self._named = {path for path, _ in first.skipped}
        self._unmounted = first.unmounted

    def say(self, report: "SyncReport") -> None:
        counts = {name: getattr(report, name) for name in ("added", "changed", "moved", "removed")}
        new = [(path, reason) for path, reason in report.skipped if path not in self._named]
        counts["skipped"] = len(new)
        for disk in report.unmounted:
            if disk not in self._unmounted:
                typer.echo(f"{one_line(disk)} is not mounted any more: what the index holds of it stays")
        self._unmounted = report.unmounted
        if not any(counts.values()):
            return
        done = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
        typer.echo(f"{done}; {report.indexed:,} images and moments in the index")
        for path, reason in new[:LISTED]:
            typer.echo(f"  skipped: {one_line(str(path))} ({one_line(reason)})")
        if len(new) > LISTED:
            typer.echo(f"  and {len(new) - LISTED:,} more")
        self._named |= {path for path, _ in new}


@contextmanager
def stopping() -> Iterator[None]:
    """Ctrl-C and SIGTERM let what is encoded be committed; then Ctrl-C raises Stopped. After SIGTERM the process ends
    by that signal, as is expected of a service."""
    was_terminated = False

    def terminate(number: int, frame: FrameType | None) -> None:
        nonlocal was_terminated
        was_terminated = True
        raise KeyboardInterrupt

    before: Any = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt:
        if was_terminated:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGTERM)
        raise Stopped("stopped; what was done is kept, and the same command goes on from there") from None
    finally:
        signal.signal(signal.SIGTERM, before)
