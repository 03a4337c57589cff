"""Tables of images and videos: CSV, TSV and JSON lines, with their columns recognized by name."""

import ast
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from sightline.data.sample import Entry, LeftOut
from sightline.errors import DataError

T = TypeVar("T")
Row = Mapping[str, Any]

# Names of columns; the first that a table has counts. Compared without case, spaces, "-" and "_".
FILE = (
    "file", "filepath", "filename", "imagepath", "imagefile", "imagefilename", "imagename", "image", "imgpath", "img",
    "picture", "photo", "path",
    "videopath", "videofile", "videoname", "video", "videoid", "clippath", "clipname", "media",
)  # fmt: skip
CAPTION = ("caption", "sentence", "text", "title", "description", "comment", "raw")
CLASS = ("classname", "labelname", "class", "category", "label", "name", "target")


def read_table(path: Path, left_out: LeftOut) -> list[Row]:
    """The rows by column; a row of another length than the first line goes to `left_out`. Raises `DataError`.

    The first line of a `.csv`, `.tsv` or `.txt` tells the delimiter.
    """
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
        # In many tables with tabs a quote is an ordinary letter.
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


def row_entries(path: Path, rows: Sequence[Row], left_out: LeftOut) -> Iterator[Entry]:
    """An entry for each row; rows without a file's name go to `left_out`. Raises `DataError` for missing columns."""
    file = find_columns(path, rows, FILE, "files")[0]
    caption_columns = find_columns(path, rows, CAPTION, "captions")
    split = split_column(rows)
    for number, row in enumerate(rows, 1):
        name = row.get(file)
        if isinstance(name, str) and name.strip():
            yield Entry.of(name.strip(), _captions(map(row.get, caption_columns)), row.get(split) if split else None)
        else:
            left_out.add("that name no file", f"row {number}")


def find_columns(path: Path, rows: Sequence[Row], wanted: Sequence[str], what: str) -> list[str]:
    """The columns of the first name in `wanted` that the table has, numbered ones ("caption1", "caption 2") included.

    Raises `DataError` if it has none of them; `what` says in the message what they hold.
    """
    present = list(dict.fromkeys(key for row in rows for key in row))
    for name in wanted:
        if matching := [column for column in present if re.fullmatch(rf"{name}s?\d*", _plain(column))]:
            return matching
    raise DataError(f"{path}: no column of {what}; name it {wanted[0]!r} (it has {', '.join(present) or 'none'})")


def split_column(rows: Sequence[Row]) -> str | None:
    """The column that names each row's split, if the table has one."""
    return next((column for row in rows[:1] for column in row if _plain(column) == "split"), None)


def select_splits(
    path: Path, entries: Sequence[T], wanted: Sequence[str], split_of: Callable[[T], str | None]
) -> list[T]:
    """The entries (or rows) of the splits `wanted`. Raises `DataError` if a split has none."""
    counts = Counter(map(split_of, entries))
    if unknown := set(wanted) - counts.keys():
        known = ", ".join(f"{name} ({count:,})" for name, count in counts.items() if name is not None)
        raise DataError(f"{path}: no split {' and no '.join(sorted(unknown))}; it has {known or 'none'}")
    return [entry for entry in entries if split_of(entry) in wanted]


def _plain(column: str) -> str:
    """A column's name without case, spaces and dashes."""
    return re.sub(r"[\s_-]", "", column).casefold()


def _captions(cells: Iterable[Any]) -> Iterator[str]:
    """The captions in the cells of a row: strings, lists, and lists written as JSON or as Python writes them."""
    for cell in cells:
        texts = _listed(cell) if isinstance(cell, str) and cell.lstrip().startswith("[") else cell
        yield from (text for text in (texts if isinstance(texts, list) else [texts]) if isinstance(text, str))


def _listed(cell: str) -> Any:
    """The list that a cell spells, or the cell itself if it spells none with a text in it."""
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            value = read(cell)
            return value if isinstance(value, list) and any(isinstance(text, str) for text in value) else cell
    return cell
