"""The tables of a result as text: what the terminal shows, and what is written as Markdown or LaTeX."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sightline.evaluate.result import Result
from sightline.format import between, distinct_names, label, shown

CLASSES = 20
"""How many classes are listed, those with the lowest accuracy."""


class TextTable(NamedTuple):
    """The `head` of the columns and the `lines` under it. The first column names the lines, the others hold numbers."""

    title: str
    head: Sequence[str]
    lines: Sequence[Sequence[str]]


def text_tables(result: Result) -> list[TextTable]:
    """The figures, with their intervals, then what the kind of result has beyond that."""
    if result.kind == "compare":
        return [_compared(result)]
    if result.kind == "table":
        tables = [_task(task_table) for task_table in result.details["tables"]]
        return [*tables, *([_published(rows)] if (rows := result.details.get("published")) else [])]
    tables = [_figures(result)]
    if "classes" in result.details:
        tables.append(_ious(result) if result.kind == "segmentation" else _accuracies(result))
    return tables


def _figures(result: Result) -> TextTable:
    ends = result.intervals
    lines = [
        [label(name), shown(name, value), *([between(name, ends[name]) if name in ends else ""] if ends else [])]
        for name, value in result.figures.items()
    ]
    head = [label(result.kind), result.precision, *(["95%"] if ends else [])]
    return TextTable(f"{result.model} on {result.data}", head, lines)


def _accuracies(result: Result) -> TextTable:
    every = result.details["classes"]
    worst = sorted(every.items(), key=lambda line: (line[1]["top-1"], line[0]))[:CLASSES]
    head, rows = accuracy_rows(dict(worst))
    return TextTable("", [f"class ({len(every):,}, the worst first)", *head[1:]], rows)


def accuracy_rows(classes: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The head and the lines of a table of classes with their accuracy."""
    five = [f"top-{k}" for k in (5,) if all(f"top-{k}" in of for of in classes.values())]
    lines = [
        [
            name,
            f"{of['samples']:,}",
            f"{of['top-1']:.1%}",
            between("top-1", of["interval"]),
            *(f"{of[k]:.1%}" for k in five),
        ]
        for name, of in classes.items()
    ]
    return ["class", "samples", "top-1", "95%", *five], lines


def _ious(result: Result) -> TextTable:
    classes = sorted(result.details["classes"].items(), key=lambda line: -line[1])
    return TextTable("", ["class", "IoU"], [[name, f"{iou:.1%}"] for name, iou in classes])


def _compared(result: Result) -> TextTable:
    a, b = result.details["models"]
    title = f"{b} against {a} on {result.details['samples']:,} samples of {result.data}"
    head = ["", a, "95%", b, "95%", "difference", "95%", ""]
    return TextTable(title, head, [_compared_line(row) for row in result.details["rows"]])


def _compared_line(row: Mapping[str, Any]) -> list[str]:
    name, (low, high) = row["figure"], row["interval"]
    line = [label(name)]
    for value, interval, sign in (("a", "a_interval", ""), ("b", "b_interval", ""), ("difference", "interval", "+")):
        line += [shown(name, row[value], sign), between(name, row[interval], sign)]
    return [*line, "clear" if low > 0 or high < 0 else ""]


def _task(task_table: Mapping[str, Any]) -> TextTable:
    base, *others = distinct_names(task_table["models"])
    head = ["", base, "95%"]
    for name in others:
        head += [name, "95%", "difference", "95%", ""]
    title = f"{label(task_table['kind'])} on {task_table['samples']:,} samples of {task_table['data']}"
    return TextTable(title, head, [_task_line(row) for row in task_table["rows"]])


def _published(rows: Sequence[Mapping[str, Any]]) -> TextTable:
    lines = [
        [
            f"{row['model']} on {row['data']}, {label(row['figure'])}",
            shown(row["figure"], row["value"]),
            f"{row['published']:.1%}",
            shown(row["figure"], row["value"] - row["published"], "+"),
            row["source"],
        ]
        for row in rows
    ]
    return TextTable("Published figures", ["", "here", "published", "difference", "source"], lines)


def _task_line(row: Mapping[str, Any]) -> list[str]:
    name = row["figure"]
    line = [label(name), shown(name, row["base"]), between(name, row["base_interval"])]
    for other in row["others"]:
        line += [shown(name, other["value"]), between(name, other["value_interval"])]
        line += [shown(name, other["difference"], "+"), between(name, other["interval"], "+"), other["verdict"]]
    return line
