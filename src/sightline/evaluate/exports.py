"""Results as files for papers and programs: CSV, Markdown, LaTeX."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sightline.errors import UsageError
from sightline.evaluate.notes import notes
from sightline.evaluate.result import Result
from sightline.evaluate.text_tables import TextTable, text_tables
from sightline.files import check_writable, write_text

COLUMNS = "evaluation", "model", "data", "precision", "figure", "value", "low", "high"
STARTS = {"csv": b"evaluation,", "markdown": b"**", "latex": b"% sightline"}
"""How a file of ours begins, by format."""

_LATEX = {
    **{character: f"\\{character}" for character in "{}$&#_%"},
    **{character: f"{{{character}}}" for character in "[*"},  # after a row's end these are commands
    "\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip


def check_export(file: Path, format: str) -> None:
    """Raises `UsageError` if a table cannot be written to `file`, or would take the place of another kind of file."""
    check_writable(file, f"{format} table", STARTS[format])


def write_export(file: Path, format: str, results: Sequence[Result]) -> None:
    """Writes the results, whole or not at all. Raises `UsageError` if the file cannot be written."""
    check_export(file, format)
    try:
        write_text(file, _FORMATS[format](results))
    except OSError as error:
        raise UsageError(f"{file}: cannot be written there ({error.strerror or error})") from error


def to_csv(results: Sequence[Result]) -> str:
    """A row for each figure: its value (shares from 0 to 1), and the ends of its 95% interval where it has one."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        for model, data, figure, value, ends in _figures(result):
            writer.writerow(
                [
                    result.kind,
                    model,
                    data,
                    result.precision,
                    figure,
                    repr(value),
                    *(map(repr, ends) if ends else ("", "")),
                ]
            )
    return out.getvalue()


def to_markdown(results: Sequence[Result]) -> str:
    """The tables that the terminal shows, as GitHub's Markdown, each with its title, and the notes under them."""

    def table(of: TextTable) -> str:
        head, *lines = ([_markdown(cell) for cell in line] for line in (of.head, *of.lines))
        rule = ["---", *["---:"] * (len(head) - 1)]
        return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))

    parts: list[str] = []
    for result in results:
        for of in text_tables(result):
            parts += [f"**{_markdown(of.title or result.kind)}**", table(of)]
        parts += map(_markdown, notes(result))
    return "\n\n".join(parts) + "\n"


def to_latex(results: Sequence[Result]) -> str:
    r"""The tables that the terminal shows, as `tabular` with the rules of booktabs, title and notes as comments."""

    def row(line: Sequence[str]) -> str:
        return " & ".join(map(_latex, line)) + r" \\"

    parts = [r"% Sightline; in the preamble: \usepackage{booktabs}"]
    for result in results:
        for of in text_tables(result):
            parts.append(f"% {_printable(of.title or result.kind)}")
            parts.append(rf"\begin{{tabular}}{{l{'r' * (len(of.head) - 1)}}}")
            parts += [r"\toprule", row(of.head), r"\midrule", *map(row, of.lines), r"\bottomrule", r"\end{tabular}"]
        parts += [f"% {_printable(note)}" for note in notes(result)]
    return "\n".join(parts) + "\n"


_FORMATS: dict[str, Callable[[Sequence[Result]], str]] = {"csv": to_csv, "markdown": to_markdown, "latex": to_latex}

_Figure = tuple[str, str, str, float, Sequence[float] | None]


def _figures(result: Result) -> Iterator[_Figure]:
    """Model, data, figure, value and interval."""
    if result.kind == "compare":
        a, b = result.details["models"]
        for row in result.details["rows"]:
            yield a, result.data, row["figure"], row["a"], row["a_interval"]
            yield b, result.data, row["figure"], row["b"], row["b_interval"]
            yield f"{b} - {a}", result.data, row["figure"], row["difference"], row["interval"]
    elif result.kind == "table":
        for task_table in result.details["tables"]:
            yield from _of_task(task_table)
    else:
        for name, value in result.figures.items():
            yield result.model, result.data, name, value, result.intervals.get(name)
        for name, of in result.details.get("classes", {}).items():
            if isinstance(of, Mapping):
                yield result.model, result.data, f"top-1 of {name}", of["top-1"], of["interval"]
            else:
                yield result.model, result.data, f"IoU of {name}", of, None


def _of_task(task_table: Mapping[str, Any]) -> Iterator[_Figure]:
    data, base = task_table["data"], task_table["models"][0]
    for row in task_table["rows"]:
        yield base, data, row["figure"], row["base"], row["base_interval"]
        for other in row["others"]:
            yield other["model"], data, row["figure"], other["value"], other["value_interval"]
            yield f"{other['model']} - {base}", data, row["figure"], other["difference"], other["interval"]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _markdown(text: str) -> str:
    return re.sub(r"([\\|*_`<>\[\]&~$#])", r"\\\1", _printable(text))


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in _printable(text)).replace("--", "-{}-")
