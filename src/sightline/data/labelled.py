"""Opens a data set of images or videos with a class each: a folder for each class, or a table."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sightline.data import tables
from sightline.data.media import MEDIA_SUFFIXES, MediaFiles
from sightline.data.paths import TABLE_SUFFIXES, PathOrPaths, files_in_folder, source_name, visible_in
from sightline.data.sample import Labelled, LabelledSample, LeftOut
from sightline.data.tar import Member
from sightline.errors import DataError, UsageError

Files = list[tuple[str, Path | Member, str]]
"""(key, media, name of the class)."""


def labelled(
    source: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    split: str | None = None,
    image_root: PathOrPaths | None = None,
) -> Labelled:
    """Opens a data set of classes; images and videos are not read.

    `source`: a folder with a folder for each class, images and videos anywhere in it; or a table (CSV, TSV, JSON
    lines) with a column of files and one of classes, or a folder with one. `classes`: their names by number; None: the
    names in the data, sorted. A table may have the numbers instead of the names. `split`: of a table with a column
    "split". `image_root`: the folder or the shards that the table names files in, if not the table's own folder.
    Raises `DataError`, `UsageError`.
    """
    path, left_out = Path(source).expanduser(), LeftOut()
    folders = [inner for inner in visible_in(path) if inner.is_dir()] if path.is_dir() else []
    if len(folders) > 1:
        if split is not None or image_root is not None:
            raise UsageError(f"{path}: split and image_root are of tables; this is a folder for each class")
        files = _in_class_folders(path, folders, left_out)
    else:
        table = files_in_folder(path)[0] if path.is_dir() else path
        if table.suffix.lower() not in TABLE_SUFFIXES:
            raise UsageError(f"{path}: give a folder with a folder for each class, or a table (.csv, .tsv, .jsonl)")
        files = _in_table(table, split, image_root, left_out)
    names = sorted_classes({name for _, _, name in files}) if classes is None else classes
    numbers = {str(number): number for number in range(len(names))} | {name: i for i, name in enumerate(names)}
    samples = []
    for key, media, name in files:
        if name in numbers:
            samples.append(LabelledSample(key, media, numbers[name]))
        else:
            left_out.add(f"of no class among the {len(names)}", f"{key} ({name})")
    if not samples:
        raise DataError(f"{path}: not one image with a class; left out: {left_out}")
    return Labelled(source_name(source), tuple(samples), tuple(names), left_out)


def sorted_classes(names: set[str]) -> list[str]:
    """By number if all names are numbers, else as words."""
    numeric = all(name.isdecimal() for name in names)
    return sorted(names, key=lambda name: (int(name), name) if numeric else (0, name))


def _in_class_folders(root: Path, folders: list[Path], left_out: LeftOut) -> Files:
    files: Files = []
    for folder in folders:
        before = len(files)
        for file in sorted(folder.rglob("*")):
            key = file.relative_to(root).as_posix()
            if not file.is_file() or "/." in key:  # hidden, or in a hidden folder
                continue
            if file.suffix.lower() in MEDIA_SUFFIXES:
                files.append((key, file, folder.name))
            else:
                left_out.add("that are no image or video by their suffix", key)
        if len(files) == before:
            left_out.add("folders without an image, no class", folder.name)
    for file in visible_in(root):
        if file.is_file() and file.suffix.lower() in MEDIA_SUFFIXES:
            left_out.add("in no class's folder", file.name)
    return files


def _in_table(path: Path, split: str | None, image_root: PathOrPaths | None, left_out: LeftOut) -> Files:
    media_files = MediaFiles(path.parent if image_root is None else image_root)
    files: Files = []
    for name, classes in _classes_in_table(path, split, left_out).items():
        if len(classes) > 1:
            left_out.add("with several classes", name)
        elif (media := media_files.find(name, left_out)) is not None:
            files.append((name, media, classes.pop()))
    return files


def _classes_in_table(path: Path, split: str | None, left_out: LeftOut) -> dict[str, set[str]]:
    """The classes of each file that a table names."""
    rows = tables.read_table(path, left_out)
    file_column = tables.find_columns(path, rows, tables.FILE, "files")[0]
    class_column = tables.find_columns(path, rows, tables.CLASS, "classes")[0]
    if split is not None:
        column = tables.split_column(rows)
        rows = tables.select_splits(path, rows, [split], lambda row: None if column is None else str(row.get(column)))
    classes: dict[str, set[str]] = {}
    for number, row in enumerate(rows, 1):
        name, label = row.get(file_column), row.get(class_column)
        text = "" if label is None or isinstance(label, dict | list) else str(label).strip()
        if isinstance(name, str) and name.strip() and text:
            classes.setdefault(str(PurePosixPath(name.strip())), set()).add(text)
        else:
            left_out.add("without a file or a class", f"row {number}")
    return classes
