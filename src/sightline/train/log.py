"""The log of a run: a bar or lines on the screen, a CSV file, TensorBoard's events.

Each step has figures by name; "loss" (as a mean of the last steps), "logit_scale", "lr" and "skipped" (samples that
could not be read) are also shown on the screen. A figure has one name everywhere: a column of the CSV, "train/NAME" in
TensorBoard; of an evaluation it is the name in its result, "evaluation/NAME" in TensorBoard. Times are shown and change
nothing in training.
"""

import csv
import io
import re
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sightline.distribution import install
from sightline.errors import UsageError
from sightline.files import write_text
from sightline.format import label, shown

if TYPE_CHECKING:
    from rich.progress import Progress

_INTERVAL = 30.0  # seconds between lines where the output is not a terminal
_KNOWN = re.compile(r"(R@\d+|top-\d+|recall|accuracy|mIoU|rank)$")  # figures of our evaluations
_SMOOTHING = 0.98  # of the loss on the screen: mostly the mean of the last 50 steps


class Log(AbstractContextManager["Log"]):
    """The log of the run in `folder`, of `steps` steps with `batch_size` images each, that goes on after step
    `resumed_at` (0: from the beginning). Of several processes only the main process has a log.

    Writes `log.csv`, a row for each step, and `events/` if TensorBoard is installed. Rows of steps after `resumed_at`,
    which a killed run has left, are deleted, as these steps are done again. Raises `UsageError` if `log.csv` is not the
    log of a run.
    """

    def __init__(self, folder: Path, steps: int, batch_size: int, resumed_at: int = 0) -> None:
        self.steps, self.batch_size, self.resumed_at = steps, batch_size, resumed_at
        self._rows = Rows(folder / "log.csv", resumed_at)
        self._skipped = sum(int(float(row["skipped"])) for row in self._rows.kept if row.get("skipped"))
        self._screen = _Bar(steps, resumed_at) if sys.stderr.isatty() else _Lines(steps)
        self._events = self._open_events(folder / "events")
        self._loss, self._weight = 0.0, 0.0
        self._begun = self._last = time.monotonic()

    def _open_events(self, folder: Path) -> Any:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._screen.say(f"no events for TensorBoard, which is not installed: {install('train')}")
            return None
        try:
            return SummaryWriter(str(folder), purge_step=self.resumed_at + 1)
        except UnicodeEncodeError:
            self._screen.say("no events for TensorBoard, which cannot write into a folder whose name is not in UTF-8")
            return None

    def step(self, step: int, figures: Mapping[str, float]) -> None:
        """Adds the figures of step `step`, numbered from 1. Counts are ints."""
        self._rows.add(step, figures)
        now = time.monotonic()
        took, self._last = max(now - self._last, 1e-9), now
        if self._events is not None:
            for name, value in figures.items():
                self._events.add_scalar(f"train/{name}", value, step)
            self._events.add_scalar("train/pairs_per_second", self.batch_size / took, step)
            self._events.flush()  # so that nothing before a checkpoint is lost, however the run ends
        self._screen.step(step, self._line(step, figures, max(now - self._begun, 1e-9)))

    def _line(self, step: int, figures: Mapping[str, float], spent: float) -> str:
        parts, done = [], step - self.resumed_at
        if "loss" in figures:
            self._loss = _SMOOTHING * self._loss + (1 - _SMOOTHING) * figures["loss"]
            self._weight = _SMOOTHING * self._weight + (1 - _SMOOTHING)
            parts.append(f"mean loss {self._loss / self._weight:.4f}")
        if "logit_scale" in figures:
            parts.append(f"logit_scale {figures['logit_scale']:.2f}")
        if "lr" in figures:
            parts.append(f"lr {figures['lr']:.2e}")
        parts += [f"{done * self.batch_size / spent:,.0f} pairs/s", f"{_span(spent / done * (self.steps - step))} left"]
        self._skipped += int(figures.get("skipped", 0))
        if self._skipped:
            parts.append(f"{self._skipped:,} skipped")
        return ", ".join(parts)

    def evaluated(self, step: int, figures: Mapping[str, float]) -> None:
        """Adds the figures of an evaluation after step `step`. Its time does not count as training time."""
        if self._events is not None:
            for name, value in figures.items():
                self._events.add_scalar(f"evaluation/{name}", value, step)
            self._events.flush()
        self._screen.say(
            f"step {step:,}: "
            + ", ".join(f"{label(name)} {figure_shown(name, value)}" for name, value in figures.items())
        )
        now = time.monotonic()
        self._begun, self._last = self._begun + (now - self._last), now

    def say(self, text: str) -> None:
        """Shows a line on the screen."""
        self._screen.say(text)

    def close(self) -> None:
        """Closes the files and ends the bar."""
        self._screen.close()
        self._rows.close()
        if self._events is not None:
            self._events.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Rows:
    """A CSV file with a row for each step, numbers as Python writes them.

    A row is written at once, so that a killed process leaves whole lines. Lines that are cut nevertheless, and rows
    of steps after `resumed_at`, are deleted. `kept`: the rows that stay. Raises `UsageError` if the file is not the log
    of a run.
    """

    def __init__(self, path: Path, resumed_at: int) -> None:
        self.path = path
        self.columns, self.kept = self._read()
        self.kept = [row for row in self.kept if int(row["step"]) <= resumed_at]
        self._file = self._begin(self.kept)

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Adds a row for `step`. A new figure makes a column that is empty in the rows before."""
        if new := [name for name in figures if name not in self.columns]:
            self.close()
            _, rows = self._read()
            self.columns += new
            self._file = self._begin(rows)
        self._file.write(self._lines([{"step": step, **figures}]).encode())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        lines = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))
        if not lines:
            return ["step"], []
        columns = lines[0]
        if columns[:1] != ["step"]:
            raise UsageError(f"{self.path} is not the log of a run; move it away")
        whole = [line for line in lines[1:] if len(line) == len(columns) and line[0].isdecimal()]
        return columns, [dict(zip(columns, line, strict=True)) for line in whole]

    def _begin(self, rows: list[dict[str, str]]) -> io.FileIO:
        header = dict(zip(self.columns, self.columns, strict=True))
        write_text(self.path, self._lines([header, *rows]))
        return self.path.open("ab", buffering=0)

    def _lines(self, rows: "list[dict[str, Any]] | list[dict[str, str]]") -> str:
        out = io.StringIO()
        csv.DictWriter(out, self.columns, restval="", lineterminator="\n").writerows(rows)
        return out.getvalue()


class _Lines:
    """Plain lines: of the first step, of the last, and every 30 seconds."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._last = float("-inf")

    def step(self, step: int, figures: str) -> None:
        now = time.monotonic()
        if step == self._steps or now - self._last >= _INTERVAL:
            self._last = now
            self.say(f"step {step:,} of {self._steps:,}: {figures}")

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class _Bar:
    """A bar on the terminal with the latest figures, and lines above it."""

    def __init__(self, steps: int, done: int) -> None:
        from rich import progress
        from rich.console import Console

        self._bar: Progress = progress.Progress(
            progress.TextColumn("{task.completed:,}/{task.total:,}  {task.description}"),
            progress.BarColumn(bar_width=None),  # the space that is left: at 80 columns the figures take all
            console=Console(stderr=True, highlight=False),
        )
        self._task = self._bar.add_task("", total=steps, completed=done)
        self._bar.start()

    def step(self, step: int, figures: str) -> None:
        self._bar.update(self._task, completed=step, description=figures)

    def say(self, line: str) -> None:
        self._bar.console.print(line, markup=False)

    def close(self) -> None:
        self._bar.stop()


def figure_shown(name: str, value: float) -> str:
    """A figure of an evaluation as text: as `sightline eval` shows it, where it has such a figure."""
    return shown(name, value) if _KNOWN.search(name) else f"{value:.4g}"


def _span(seconds: float) -> str:
    """A duration such as 45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
