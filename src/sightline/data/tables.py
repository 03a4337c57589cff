"""Tables of pictures: CSV, TSV and JSON lines, with their columns found by name."""

import ast
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sightline.data.sample import LeftOut
from sightline.errors import DataError

SUFFIXES = frozenset([".csv", ".tsv", ".txt", ".jsonl", ".ndjson"])
"""Of tables. What is in a `.csv`, `.tsv` or `.txt` its first line tells."""

Row = Mapping[str, Any]

# Names of columns, the first that a table has counts. Compared without case, spaces, "-" and "_".
FILE = (
    *(
        "file",
        "filepath",
        "filename",
        "imagepath",
        "imagefile",
        "imagefilename",
        "imagename",
        "image",
        "imgpath",
        "img",
    ),
    *("picture", "photo", "path"),
    *("videopath", "videofile", "videoname", "video", "videoid", "clippath", "clipname", "media"),
)
CAPTION = ("caption", "sentence", "text", "title", "description", "comment", "raw")
CLASS = ("classname", "labelname", "class", "category", "label", "name", "target")


def read_table(path: Path, left_out: LeftOut) -> list[Row]:
    """The rows by column; a row of another length than the first line goes to `left_out`. Raises `DataError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path}: not in UTF-8 ({error}); save it so") from error
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return list(_json_lines(path, text, left_out))
    first = text.partition("\n")[0]
    delimiter = max("\t,|;", key=first.count)
    try:
        rows = _delimited(text, delimiter, csv.QUOTE_MINIMAL)
    except csv.Error as error:
        # Many a table with tabs knows no quotes: there they are text.
        if delimiter == ",":
            raise DataError(f"{path}: no CSV ({error})") from error
        try:
            rows = _delimited(text, delimiter, csv.QUOTE_NONE)
        except csv.Error as error:
            raise DataError(f"{path}: no table ({error})") from error
    if not rows:
        raise DataError(f"{path}: empty; a first line names the columns, such as file,caption")
    header = [name.strip() for name in rows[0]]
    table: list[Row] = []
    for number, row in enumerate(rows[1:], 2):
        if len(row) == len(header):
            table.append(dict(zip(header, row, strict=True)))
        elif row:
            left_out.add("with more or fewer columns than the first line", f"row {number}")
    if not table and not left_out:
        raise DataError(f"{path}: only a line of names ({', '.join(header)}), and no rows below it")
    return table


def _delimited(text: str, delimiter: str, quoting: Any) -> list[list[str]]:
    lines = io.StringIO(text, newline="")
    return list(csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True, skipinitialspace=True))


def _json_lines(path: Path, text: str, left_out: LeftOut) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                yield row
            else:
                left_out.add("that are no JSON object", f"line {number}")


def columns(path: Path, rows: Sequence[Row], wanted: Sequence[str], what: str) -> list[str]:
    """The columns of the first name of `wanted` that there is, numbered ones ("caption1", "caption 2") among them.

    Raises `DataError` if there is none.
    """
    there = list(dict.fromkeys(key for row in rows for key in row))
    for name in wanted:
        if found := [column for column in there if re.fullmatch(rf"{name}s?\d*", _plain(column))]:
            return found
    raise DataError(f"{path}: no column of {what}; name it {wanted[0]!r} (it has {', '.join(there) or 'none'})")


def split_column(rows: Sequence[Row]) -> str | None:
    """The column that says of which split a row is, if there is one."""
    return next((column for row in rows[:1] for column in row if _plain(column) == "split"), None)


def check_split(path: Path, wanted: Iterable[str], there: Iterable[str | None]) -> None:
    """Raises `DataError` where one of the splits `wanted` is not among those that entries have."""
    counts = Counter(there)
    if unknown := set(wanted) - counts.keys():
        known = ", ".join(f"{name} ({count:,})" for name, count in counts.items() if name is not None)
        raise DataError(f"{path}: no split {' and no '.join(sorted(unknown))}; it has {known or 'none'}")


def _plain(column: str) -> str:
    """A column's name without case, spaces and dashes."""
    return re.sub(r"[\s_-]", "", column).casefold()


def said(values: Iterable[Any]) -> list[str]:
    """Captions in the cells of a row: strings, lists, and lists written as JSON or as Python writes them."""
    found: list[str] = []
    for value in values:
        if isinstance(value, str) and value.lstrip().startswith("["):
            for read in (json.loads, ast.literal_eval):
                with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
                    listed = read(value)
                    if isinstance(listed, list) and any(isinstance(text, str) for text in listed):
                        value = listed
                    break
        found.extend(text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))
    return found
