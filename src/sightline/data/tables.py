"""Tables of images and videos: CSV, TSV, JSON lines and Parquet, with their columns recognized by name."""

import ast
import io
import json
import re
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sightline.data.delimited import delimited_records
from sightline.data.left_out import LeftOut
from sightline.data.sample import Entry
from sightline.data.texts import read_text
from sightline.errors import DataError
from sightline.files import wrong_content
from sightline.processing.suffixes import is_image, is_video

T = TypeVar("T")
Row = Mapping[str, Any]

# Names of columns; the first that a table has counts. Compared without case, spaces, "-" and "_".
FILE = (
    "file", "filepath", "filename", "imagepath", "imagefile", "imagefilename", "imagename", "image", "imgpath", "img",
    "picture", "photo", "path",
    "videopath", "videofile", "videoname", "video", "videoid", "clippath", "clipname", "media",
    "文件", "文件名", "文件路径", "图片", "图片路径", "图片名", "图像", "图像路径", "照片", "影像", "视频", "视频路径",
    "路径", "檔案", "檔名", "圖片", "圖像", "路徑",
    "url", "imageurl",
)  # fmt: skip
CAPTION = (
    "caption", "sentence", "text", "title", "description", "comment", "raw",
    "描述", "标题", "文本", "文字", "说明", "字幕", "句子", "標題", "文本描述", "說明",
)  # fmt: skip
CLASS = (
    "classname", "labelname", "class", "category", "label", "name", "target",
    "类别", "类名", "标签", "分类", "名称", "類別", "標籤",
)  # fmt: skip
SPLIT = ("split", "subset", "划分", "数据集划分")

_OTHER_WIDTH = "with more or fewer columns than the first line (a text that has the delimiter in it needs quotes)"
_NO_DELIMITERS = frozenset([".jsonl", ".ndjson", ".parquet"])


@dataclass(frozen=True)
class Table:
    """`rows` by column, each with its number for people in `numbers`; a file's header is row 1."""

    path: Path
    columns: Sequence[str]
    rows: Sequence[Row]
    numbers: Sequence[int]

    @classmethod
    def of(cls, path: Path, rows: Sequence[Row]) -> "Table":
        """Of objects, whose keys are the columns; they are numbered from 1."""
        return cls(path, list(dict.fromkeys(key for row in rows for key in row)), rows, range(1, len(rows) + 1))


def read_table(path: Path, left_out: LeftOut) -> Table:
    """The rows of a table; those that can't be read, or do not fit the first line, go to `left_out`.

    The first line of a `.csv`, `.tsv` or `.txt` tells the delimiter. Raises `DataError`, also if no row is left.
    """
    suffix, before = path.suffix.lower(), len(left_out)
    if suffix == ".parquet":
        table = _read_parquet(path)
    elif suffix in _NO_DELIMITERS:
        table = Table.of(path, list(_json_lines(read_text(path, left_out), left_out)))
    else:
        table = _read_delimited(path, read_text(path, left_out), left_out)
    if not table.rows and len(left_out) > before:
        columns = f" its first line ({', '.join(table.columns)})" if suffix not in _NO_DELIMITERS else ""
        raise DataError(f"{path}: not one row{' fits' if columns else ''}{columns}; left out: {left_out}")
    if not table.rows:
        what = f"only a line of names ({', '.join(table.columns)}), and no rows below it" if table.columns else "empty"
        raise DataError(f"{path}: {what}; a first line names the columns, such as file,caption")
    return table


def _read_delimited(path: Path, text: str, left_out: LeftOut) -> Table:
    records = delimited_records(path, text, lambda cells: any(_plain(cell) in FILE for cell in cells), left_out)
    if not records:
        return Table(path, (), (), ())
    header, *others = records
    if header.fault:
        raise DataError(f"{path}: its first line, which names the columns, is one {header.fault}")
    columns = _column_names(path, header.cells)
    rows, numbers, has_nul = [], [], "\0" in text
    for record in others:
        if record.fault is not None:
            left_out.add(record.fault, str(record))
        elif len(record.cells) != len(columns):
            left_out.add(_OTHER_WIDTH, str(record))
        elif has_nul and any("\0" in cell for cell in record.cells):
            left_out.add("with a NUL character", str(record))
        else:
            rows.append(dict(zip(columns, record.cells, strict=True)))
            numbers.append(record.number)
    return Table(path, columns, rows, numbers)


def _column_names(path: Path, cells: Sequence[str]) -> list[str]:
    """The names in a header; of equal ones the second is "NAME 2", as captions are numbered. Raises `DataError` if they
    are no names but the first row."""
    if not any(_plain(cell) in FILE for cell in cells) and (named := next(filter(_is_file, cells), None)) is not None:
        raise DataError(
            f"{path}: its first line is a row already ({named}); put a line above it that names the columns, such as "
            "file,caption"
        )
    names: list[str] = []
    for cell in map(str.strip, cells):
        name, number = cell, 1
        while name in names:
            number += 1
            name = f"{cell} {number}"
        names.append(name)
    return names


def _is_file(cell: str) -> bool:
    name = cell.strip().rpartition("#")[0] or cell.strip()  # Flickr8k has "1000.jpg#0" for a caption of 1000.jpg
    return is_image(name) or is_video(name)


def _json_lines(text: str, left_out: LeftOut) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                yield row
            else:
                left_out.add("that are no JSON object", f"line {number:,}")


def _read_parquet(path: Path) -> Table:
    from pyarrow import ArrowException, parquet

    try:
        table = parquet.ParquetFile(path).read()
    except (ArrowException, OSError, ValueError) as error:
        reason = wrong_content(path) or f"no Parquet file that can be read ({' '.join(str(error).split())})"
        raise DataError(f"{path}: {reason}") from error
    columns = _column_names(path, table.column_names)
    return Table(path, columns, table.rename_columns(columns).to_pylist(), range(1, table.num_rows + 1))


def row_entries(table: Table, left_out: LeftOut) -> Iterator[Entry]:
    """An entry for each row; rows without a file's name go to `left_out`. Raises `DataError` for missing columns."""
    file = find_column(table, FILE, "files")
    caption_columns = find_columns(table, CAPTION, "captions")
    split = split_column(table)
    for number, row in zip(table.numbers, table.rows, strict=True):
        name = row.get(file)
        if isinstance(name, dict):  # an image as the library `datasets` has it
            if name.get("bytes") is not None:
                left_out.add(
                    "whose image is inside the table: write the images to files, and name these", f"row {number:,}"
                )
                continue
            name = name.get("path")
        if isinstance(name, str) and name.strip():
            captions = _captions(map(row.get, caption_columns))
            yield Entry.of(name.strip(), captions, row.get(split) if split else None, left_out)
        else:
            left_out.add("that name no file", f"row {number:,}")


def find_columns(table: Table, wanted: Sequence[str], what: str) -> list[str]:
    """The columns of the first name in `wanted` that the table has, numbered ones ("caption1", "caption 2") included.

    Raises `DataError` if it has none of them; `what` says in the message what they hold.
    """
    for name in wanted:
        if matching := [column for column in table.columns if re.fullmatch(rf"{name}s?\d*", _plain(column))]:
            return matching
    has = ", ".join(table.columns) or "none"
    raise DataError(f"{table.path}: no column of {what}; name it {wanted[0]!r} (it has {has})")


def find_column(table: Table, wanted: Sequence[str], what: str) -> str:
    """The only column that `find_columns` finds. Raises `DataError` for several."""
    column, *others = find_columns(table, wanted, what)
    if others:
        raise DataError(f"{table.path}: several columns of {what} ({', '.join([column, *others])}); rename all but one")
    return column


def split_column(table: Table) -> str | None:
    """The column that names each row's split, if the table has one. Raises `DataError` for several."""
    if any(_plain(column) in SPLIT for column in table.columns):
        return find_column(table, SPLIT, "splits")
    return None


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


def _captions(cells: Iterable[Any]) -> Iterator[Any]:
    """The captions in the cells of a row: strings, lists, and lists written as JSON, Python or NumPy writes them."""
    for cell in cells:
        texts = _listed(cell) if isinstance(cell, str) and cell.lstrip().startswith(("[", "(")) else cell
        yield from texts if isinstance(texts, list) else [texts]


def _listed(cell: str) -> Any:
    """The list that a cell spells, or the cell itself if it spells none with a text in it."""
    for read in (json.loads, _strings, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError):
            value = read(cell)
            return value if isinstance(value, list) and any(isinstance(text, str) for text in value) else cell
    return cell


def _strings(cell: str) -> list[str]:
    """The strings of a Python list or tuple of nothing else. NumPy, whose arrays pandas writes, sets no commas between
    them, which Python would take for parts of one string. Raises `ValueError`, and what `tokenize` raises."""
    if cell.lstrip().startswith("(") and "," not in cell:
        raise ValueError("a text in brackets, no tuple")
    strings = []
    for token in tokenize.generate_tokens(io.StringIO(cell.strip()).readline):
        if token.type == tokenize.STRING:
            strings.append(ast.literal_eval(token.string))
        elif token.string.strip() not in ("[", "]", "(", ")", ",", ""):
            raise ValueError(f"{token.string!r} is no string")
    return strings
