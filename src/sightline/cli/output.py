"""What commands share: options, the progress bar, and how names and results are shown."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.errors import UsageError
from sightline.format import clock
from sightline.progress import Progress, ProgressCallback, no_progress

if TYPE_CHECKING:
    from rich.console import Console


IndexOption = Annotated[
    Path | None,
    typer.Option(
        "--index",
        metavar="DIR",
        help="Folder of the index; else $SIGHTLINE_INDEX, else a folder among your user data.",
        show_default=False,
    ),
]


JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Also write a contact sheet, pictures inside.")
]


def index_folder(given: Path | None) -> Path:
    """The folder of the index that a command works on. Raises UsageError for a file in its place."""
    from sightline.search import default_folder

    folder = default_folder() if given is None else Path(os.path.expanduser(given))  # noqa: PTH111
    if os.path.exists(folder) and not folder.is_dir():  # noqa: PTH110 (which takes any name)
        raise UsageError(f"{folder} is a file: --index names the folder of an index")
    return folder


def check_picture(file: Path) -> None:
    """Raises UsageError if there is no such file."""
    if not os.path.isfile(file):  # noqa: PTH113 (which takes any name)
        there = os.path.isdir(file)  # noqa: PTH112
        raise UsageError(f"{file}: " + ("that is a folder, not a picture" if there else "there is no such file"))


def one_line(text: str) -> str:
    """For a terminal: control characters and stray bytes of file names shown as escapes, never obeyed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def write_json(lines: Iterable[Mapping[str, Any]]) -> None:
    """One object a line. ASCII, so that bytes of names that are no text survive as lone surrogates."""
    for line in lines:
        sys.stdout.write(json.dumps(line, ensure_ascii=True) + "\n")


def terminal() -> "Console | None":
    """The terminal that standard output is, or None where it goes to a file or a pipe."""
    if not sys.stdout.isatty():
        return None
    from rich.console import Console

    return Console(highlight=False)


def write_found(found: Iterable[Any], console: "Console | None") -> None:
    """Ranked results, one a line: rank, score, path, times in a film. On a terminal the path is a link to the file."""
    if console is None:
        for item in found:
            print(f"{item.rank:>3}  {item.score:.4f}  {one_line(item.uri)}{times(item)}")
        return
    from rich.text import Text

    for item in found:
        path = Path(item.uri)
        line = Text.assemble((f"{item.rank:>3}", "dim"), "  ", (f"{item.score:.4f}", "bold cyan"), "  ")
        line.append(one_line(str(path.parent / "_")[:-1]), "dim")
        line.append(one_line(path.name), f"link {path.as_uri()}")
        line.append(times(item), "cyan")
        console.print(line, soft_wrap=True)


def times(item: Any) -> str:
    """Where in a film a result is, such as " 0:12-0:18", and where in the picture, if regions were searched."""
    region = getattr(item, "region", None)
    box = "" if region is None else " at {},{}-{},{}".format(*region.box)
    if item.start is None:
        return box
    return f" {clock(item.start)}-{clock(ceil(item.end))}{box}"


@contextmanager
def bar() -> Iterator[ProgressCallback]:
    """A progress callback that draws on the terminal, if standard error is one."""
    if not sys.stderr.isatty():
        yield no_progress
        return
    from rich import progress as rich
    from rich.console import Console
    from rich.markup import escape
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
        tasks: dict[str, rich.TaskID] = {}  # one for each stage, so that the rate is that of the stage

        def report(at: Progress) -> None:
            skipped = f", {at.skipped:,} skipped" if at.skipped else ""
            if at.stage not in tasks:
                for task in tasks.values():
                    bar.update(task, visible=False)
                tasks[at.stage] = bar.add_task(at.stage, total=at.total)
            film = f", {at.path.name[:24]} at {clock(at.second)}" if at.path and at.second is not None else ""
            said = escape(one_line(f"{at.stage}{skipped}{film}"))
            bar.update(tasks[at.stage], description=said, completed=at.done, total=at.total)

        yield report
