"""How commands show names, results and progress, and what they advise when a model cannot be downloaded."""

import codecs
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.errors import HubError
from sightline.files import json_text
from sightline.format import clock
from sightline.progress import Progress, ProgressCallback

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from sightline.search import Result


LINES_EVERY = 10.0
"""Seconds between lines that say how far long work is, where standard error is not a terminal."""


@contextmanager
def hub_hint(instead: str) -> Iterator[None]:
    """Adds to the message of a `HubError` what needs no download."""
    try:
        yield
    except HubError as error:
        raise HubError(f"{error} (here: {instead})", error.reason) from error


def one_line(text: str) -> str:
    """`text` as a terminal may show it: control characters and invalid bytes of file names become escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def padded(column: Sequence[str], *, right: bool = False) -> list[str]:
    """Texts of one column, filled with blanks to the width of the widest, as a terminal shows them: a Chinese character
    is two wide. `right`: the texts stand on the right."""
    from rich.cells import cell_len

    width = max(map(cell_len, column))
    blanks = [" " * (width - cell_len(text)) for text in column]
    return [blank + text if right else text + blank for text, blank in zip(column, blanks, strict=True)]


def write_json(objects: Iterable[Mapping[str, Any]]) -> None:
    """One object per line, in UTF-8 (see `json_text`); where standard output has another encoding, in ASCII, with
    escapes."""
    encoding = codecs.lookup(getattr(sys.stdout, "encoding", None) or "utf-8").name
    as_text = json_text if encoding == "utf-8" else json.dumps
    for item in objects:
        sys.stdout.write(as_text(item) + "\n")


def terminal() -> "Console | None":
    """The terminal that standard output goes to; None for a file or a pipe."""
    if not sys.stdout.isatty():
        return None
    from rich.console import Console

    return Console(highlight=False)


def write_results(results: "Iterable[Result]", missing: Iterable[bool | None], console: "Console | None") -> None:
    """Ranked results, one per line: rank, score, path, times in a video, and "(missing)" if the file is gone. On a
    terminal the path links to the file."""
    if console is None:
        for result, is_gone in zip(results, missing, strict=True):
            mark = " (missing)" if is_gone else ""
            print(f"{result.rank:>3}  {result.score:.4f}  {one_line(result.uri)}{place(result)}{mark}")
        return
    from rich.text import Text

    for result, is_gone in zip(results, missing, strict=True):
        path = Path(result.uri)
        line = Text.assemble((f"{result.rank:>3}", "dim"), "  ", (f"{result.score:.4f}", "bold cyan"), "  ")
        line.append(one_line(str(path.parent / "_")[:-1]), "dim")
        line.append(one_line(path.name), f"link {path.as_uri()}")
        line.append(place(result), "cyan")
        if is_gone:
            line.append(" (missing)", "red")
        console.print(line, soft_wrap=True)


def place(result: "Result") -> str:
    """Where in its file a result is: times in a video, " 0:12-0:18", or the box of a region, " at 10,20-200,180"."""
    box = "" if result.region is None else " at {},{}-{},{}".format(*result.region.box)
    if result.start is None or result.end is None:
        return box
    return f" {clock(result.start)}-{clock(ceil(result.end))}{box}"


@contextmanager
def progress_bar() -> Iterator[ProgressCallback]:
    """A callback that draws a bar on the terminal; if standard error is none, one that writes a line now and then."""
    if not sys.stderr.isatty():
        yield ProgressLines().show
        return
    from rich import progress as rich
    from rich.console import Console
    from rich.text import Text

    class Rate(rich.ProgressColumn):
        def render(self, task: rich.Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f}/s", "progress.data.speed")

    with rich.Progress(
        rich.TextColumn("{task.description}"),
        rich.BarColumn(bar_width=None),
        rich.MofNCompleteColumn(),
        Rate(),
        rich.TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        yield _Stages(bar).show


class ProgressLines:
    """A line every `LINES_EVERY` seconds: the stage, how much of it is done, its rate and the time left. Work that is
    shorter has none. `before` begins each line."""

    def __init__(self, before: str = "") -> None:
        self._before, self._last = before, time.monotonic()
        self._began, self._first = self._last, Progress("")

    def show(self, progress: Progress) -> None:
        now, first = time.monotonic(), self._first
        if progress.stage != first.stage or progress.done < first.done:
            self._began, self._first = now, progress
        elif progress.done != progress.total and now - self._last >= LINES_EVERY:
            self._last = now
            rate = (progress.done - first.done) / max(now - self._began, 1e-9)
            print(self._before + _line(progress, rate), file=sys.stderr, flush=True)


def _line(progress: Progress, rate: float) -> str:
    of = "" if progress.total is None else f" of {progress.total:,}"
    left = ""
    if progress.total is not None and rate > 0:
        left = f", {clock(ceil((progress.total - progress.done) / rate))} left"
    speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
    return f"{_stage(progress)}: {progress.done:,}{of}, {speed}/s{left}"


class _Stages:
    """One row of the bar for each stage of the work, so that the rate is that of the stage."""

    def __init__(self, bar: "Bar") -> None:
        self._bar = bar
        self._rows: dict[str, Any] = {}

    def show(self, progress: Progress) -> None:
        if progress.stage not in self._rows:
            for row in self._rows.values():
                self._bar.update(row, visible=False)
            self._rows[progress.stage] = self._bar.add_task(progress.stage, total=progress.total)
        row = self._rows[progress.stage]
        self._bar.update(row, description=_describe(progress), completed=progress.done, total=progress.total)


def _describe(progress: Progress) -> str:
    from rich.markup import escape

    return escape(_stage(progress))


def _stage(progress: Progress) -> str:
    """The stage, what was skipped, and the video at hand."""
    skipped = f", {progress.skipped:,} skipped" if progress.skipped else ""
    video = ""
    if progress.path is not None and progress.second is not None:
        video = f", {progress.path.name[:24]} at {clock(progress.second)}"
    return one_line(f"{progress.stage}{skipped}{video}")
