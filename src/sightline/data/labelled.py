"""Pictures and films with a class each: a folder for each class, or a table."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sightline.data import tables
from sightline.data.captions import in_folder
from sightline.data.pictures import Pictures
from sightline.data.places import Source, name_of
from sightline.data.sample import Labelled, LabelledSample, LeftOut, Member
from sightline.data.shards import MEDIA
from sightline.errors import DataError, UsageError

Found = list[tuple[str, Path | Member, str]]
"""(key, media, class)."""


def labelled(
    source: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    split: str | None = None,
    image_root: Source | None = None,
) -> Labelled:
    """Opens a data set of classes; pictures are not read.

    `source`: a folder with a folder for each class, pictures and films anywhere in it; or a table (CSV, TSV, JSON
    lines) with a column of files and one of classes, or a folder with one. `classes`: their names by number, if they
    are not just those that are there, sorted; a table may have the numbers instead of the names. `split`: of a table
    with a column "split". `image_root`: the folder or the shards that the table names files in, if not its own folder.
    Raises `DataError`, `UsageError`.
    """
    path, left_out = Path(source).expanduser(), LeftOut()
    folders = [one for one in _inside(path) if one.is_dir()] if path.is_dir() else []
    if len(folders) > 1:
        if split is not None or image_root is not None:
            raise UsageError(f"{path}: split and image_root are of tables; this is a folder for each class")
        found = _by_folder(path, folders, left_out)
    else:
        table = in_folder(path)[0] if path.is_dir() else path
        if table.suffix.lower() not in tables.SUFFIXES:
            raise UsageError(f"{path}: give a folder with a folder for each class, or a table (.csv, .tsv, .jsonl)")
        found = _by_table(table, split, Pictures(table.parent if image_root is None else image_root), left_out)
    there = {name for _, _, name in found}
    if classes is None:
        numeric = all(name.isdecimal() for name in there)
        classes = sorted(there, key=lambda name: (int(name), name) if numeric else (0, name))
    numbers = {str(number): number for number in range(len(classes))} | {name: i for i, name in enumerate(classes)}
    samples = []
    for key, media, name in found:
        if name in numbers:
            samples.append(LabelledSample(key, media, numbers[name]))
        else:
            left_out.add(f"of no class among the {len(classes)}", f"{key} ({name})")
    if not samples:
        raise DataError(f"{path}: not one picture with a class; left out: {left_out}")
    return Labelled(name_of(source), tuple(samples), tuple(classes), left_out)


def _by_folder(root: Path, folders: list[Path], left_out: LeftOut) -> Found:
    found: Found = []
    for folder in folders:
        before = len(found)
        for file in sorted(folder.rglob("*")):
            key = file.relative_to(root).as_posix()
            if not file.is_file() or "/." in key:  # hidden, or in a folder that is
                continue
            if file.suffix.lower() in MEDIA:
                found.append((key, file, folder.name))
            else:
                left_out.add("that are no picture or film by their suffix", key)
        if len(found) == before:
            left_out.add("folders without a picture, no class", folder.name)
    for file in _inside(root):
        if file.is_file() and file.suffix.lower() in MEDIA:
            left_out.add("in no class's folder", file.name)
    return found


def _by_table(path: Path, split: str | None, pictures: Pictures, left_out: LeftOut) -> Found:
    rows = tables.read_table(path, left_out)
    file = tables.columns(path, rows, tables.FILE, "files")[0]
    of = tables.columns(path, rows, tables.CLASS, "classes")[0]
    if split is not None:
        column = tables.split_column(rows)
        tables.check_split(path, [split], [None if column is None else str(row.get(column)) for row in rows])
        rows = [row for row in rows if column is not None and str(row.get(column)) == split]
    named: dict[str, set[str]] = {}
    for number, row in enumerate(rows, 1):
        name, label = row.get(file), row.get(of)
        text = "" if label is None or isinstance(label, dict | list) else str(label).strip()
        if isinstance(name, str) and name.strip() and text:
            named.setdefault(str(PurePosixPath(name.strip())), set()).add(text)
        else:
            left_out.add("without a file or a class", f"row {number}")
    found: Found = []
    for name, labels in named.items():
        if len(labels) > 1:
            left_out.add("with several classes", name)
        elif (media := pictures.find(name, left_out)) is not None:
            found.append((name, media, labels.pop()))
    return found


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}") from error
