"""Rows of text with delimiters (CSV, TSV), in which one faulty row is a fault of that row alone."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sightline.data.left_out import LeftOut
from sightline.processing.suffixes import is_image, is_video

_DELIMITERS = "\t,|;"
_BAD_QUOTES = 'with quotes that are not CSV\'s (within quotes a quote is written "")'
_SWALLOWED = "with a quote that is not closed in its row"
_TOO_LONG = f"with a cell above {csv.field_size_limit():,} characters"


class Record(NamedTuple):
    """A row: its `number`, counted from 1 for the header, the `line` that it begins in, and its `cells`; or the `fault`
    for which it has none."""

    number: int
    line: int
    cells: Sequence[str]
    fault: str | None = None

    def __str__(self) -> str:
        return f"row {self.number:,}" + ("" if self.line == self.number else f" (line {self.line:,})")


def delimited_records(
    path: Path, text: str, is_header: Callable[[Sequence[str]], bool], left_out: LeftOut
) -> list[Record]:
    """All rows of the text of `path`, "\\n" between its lines; empty rows are none. The first line tells the delimiter:
    the one by which it has cells for which `is_header` is true, or else the most frequent one.

    In many tables with tabs a quote is an ordinary letter: so they are read if their quotes make no sense as CSV's,
    and that is remarked.
    """
    lines = [f"{line}\n" for line in text.split("\n")]
    first = next((at for at, line in enumerate(lines) if line.strip()), 0)
    delimiter = _delimiter(lines[first], path.suffix.lower(), is_header)
    if named := re.fullmatch(r"sep=(.)\s*", lines[first]):  # Excel's own line, above the header
        first, delimiter = first + 1, named[1]
    quoted = list(_records(lines, first, delimiter, csv.QUOTE_MINIMAL))
    faults = {record.fault for record in quoted} - {None}
    if delimiter == "\t" and faults:
        plain = list(_records(lines, first, delimiter, csv.QUOTE_NONE))
        if faults != {_SWALLOWED} or not any(map(_has_quoted_cell, plain)):
            left_out.remark(f"{path.name} is read with its quotes as letters, since they are not CSV's")
            return plain
    return quoted


def _delimiter(line: str, suffix: str, is_header: Callable[[Sequence[str]], bool]) -> str:
    if suffix == ".tsv" and "\t" in line:
        return "\t"
    cells = {delimiter: [cell.strip('" \n') for cell in line.split(delimiter)] for delimiter in _DELIMITERS}
    return max(_DELIMITERS, key=lambda delimiter: (is_header(cells[delimiter]), len(cells[delimiter])))


def _records(lines: Sequence[str], first: int, delimiter: str, quoting: int) -> Iterator[Record]:
    """The records from line `first` on. After a faulty one it goes on with the next line, so that no row is lost in
    the quotes of another."""
    number, begin = first, first
    while begin < len(lines):
        start = begin
        rest = map(lines.__getitem__, range(start, len(lines)))
        reader = csv.reader(rest, delimiter=delimiter, quoting=quoting, strict=True, skipinitialspace=True)  # type: ignore[arg-type]
        fault = None
        try:
            for cells in reader:
                end = start + reader.line_num
                if end - begin > 1 and _swallows_rows(lines[begin:end], delimiter, len(cells)):
                    fault = _SWALLOWED
                    break
                number += 1
                if any(map(str.strip, cells)):
                    yield Record(number, begin + 1, cells)
                begin = end
        except csv.Error as error:
            too_long, alone = "limit" in str(error), start + reader.line_num - begin <= 1
            fault = _TOO_LONG if too_long else _BAD_QUOTES if alone else _SWALLOWED
        if fault is None:
            return
        number += 1
        yield Record(number, begin + 1, (), fault)
        begin += 1


def _swallows_rows(lines: Sequence[str], delimiter: str, width: int) -> bool:
    """Whether the lines of one record of `width` cells look like several, between whose quotes the line ends came to
    lie. Tabs: two lines that have as many cells. Others: a line that names a file where the first one does."""
    first, *others = ([cell.strip(' "\n') for cell in line.split(delimiter)] for line in lines)
    for cells in others:
        if len(first) == len(cells) == width and (delimiter == "\t" or any(map(_look_alike, first, cells))):
            return True
        if len(cells) > 1 and (any(map(_are_files, first, cells)) or any(map(_are_files, first[::-1], cells[::-1]))):
            return True
    return False


def _are_files(one: str, other: str) -> bool:
    return all(is_image(name) or is_video(name) for name in (one, other))


def _look_alike(one: str, other: str) -> bool:
    """Whether they differ in numbers alone, as names of files do: "video7010", "video7011"."""
    return any(map(str.isdigit, one)) and re.sub(r"\d+", "0", one) == re.sub(r"\d+", "0", other)


def _has_quoted_cell(record: Record) -> bool:
    return any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in record.cells)
