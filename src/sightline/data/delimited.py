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
_OPEN = "with a quote that is not closed in its row"
_SWALLOWED = "between quotes that reach over several rows"
_TABS_AND_LINES = "with a cell that has both tabs and line ends, as rows between two quotes have"
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
    if delimiter == "\t" and any(record.fault in (_BAD_QUOTES, _OPEN, _SWALLOWED) for record in quoted):
        plain = list(_records(lines, first, delimiter, csv.QUOTE_NONE))
        if _are_letters(quoted, plain):
            left_out.remark(f"{path.name} is read with its quotes as letters, since they are not CSV's")
            return plain
    return quoted


def _are_letters(quoted: Sequence[Record], plain: Sequence[Record]) -> bool:
    """Whether quotes are letters in a table, of the records with CSV's quotes and of those without any: more rows are
    at fault than cells stand in quotes. Where all is CSV but looks like several rows, no cell may, and each row must
    have as many cells as the first."""
    faulty = sum(record.fault in (_BAD_QUOTES, _OPEN) for record in quoted)
    cells = (cell for record in plain for cell in record.cells)
    in_quotes = sum(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells)
    if faulty:
        return faulty > in_quotes
    return not in_quotes and len({len(record.cells) for record in plain}) == 1


def _delimiter(line: str, suffix: str, is_header: Callable[[Sequence[str]], bool]) -> str:
    if suffix == ".tsv" and "\t" in line:
        return "\t"
    cells = {delimiter: [cell.strip('" \n') for cell in line.split(delimiter)] for delimiter in _DELIMITERS}
    return max(_DELIMITERS, key=lambda delimiter: (is_header(cells[delimiter]), len(cells[delimiter])))


def _records(lines: Sequence[str], first: int, delimiter: str, quoting: int) -> Iterator[Record]:
    """The records from line `first` on. After one that is no CSV it goes on with the next line, so that no row is lost
    in the quotes of another; of a record that looks like several rows each line is a faulty one."""
    number, begin = first, first
    while begin < len(lines):
        start = begin
        rest = map(lines.__getitem__, range(start, len(lines)))
        reader = csv.reader(rest, delimiter=delimiter, quoting=quoting, strict=True, skipinitialspace=True)  # type: ignore[arg-type]
        try:
            for cells in reader:
                end = start + reader.line_num
                fault = _several_rows(lines[begin:end], delimiter, len(cells)) if end - begin > 1 else None
                if fault is not None:
                    for line in range(begin, end):
                        number += 1
                        yield Record(number, line + 1, (), fault)
                else:
                    number += 1
                    if any(map(str.strip, cells)):
                        yield Record(number, begin + 1, cells)
                begin = end
            return
        except csv.Error as error:
            is_alone = start + reader.line_num - begin <= 1
            fault = _TOO_LONG if "limit" in str(error) else _BAD_QUOTES if is_alone else _OPEN
        number += 1
        yield Record(number, begin + 1, (), fault)
        begin += 1


def _several_rows(lines: Sequence[str], delimiter: str, width: int) -> str | None:
    """The fault of one record of `width` cells whose lines look like several rows, between whose quotes the line ends
    came to lie: a further line names a file where the first one does. None if they don't."""
    first, *others = ([cell.strip(' "\n') for cell in line.split(delimiter)] for line in lines)
    fault = None
    for cells in others:
        is_row = len(first) == len(cells) == width
        if is_row and any(map(_look_alike, first, cells)):
            return _SWALLOWED
        if min(len(first), len(cells)) > 1 and (
            any(map(_are_files, first, cells)) or any(map(_are_files, first[::-1], cells[::-1]))
        ):
            return _SWALLOWED
        if is_row and delimiter == "\t":
            fault = _TABS_AND_LINES
    return fault


def _are_files(one: str, other: str) -> bool:
    return all(is_image(name) or is_video(name) for name in (one, other))


def _look_alike(one: str, other: str) -> bool:
    """Whether they differ in numbers alone, as names of files do: "video7010", "video7011"."""
    return any(map(str.isdigit, one)) and re.sub(r"\d+", "0", one) == re.sub(r"\d+", "0", other)
