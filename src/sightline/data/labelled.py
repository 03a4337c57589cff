"""Opens a data set of images or videos with a class each: a folder for each class, a table, or shards."""

import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path, PurePosixPath

from sightline.data import tables
from sightline.data.classes import classes_beside
from sightline.data.left_out import LeftOut
from sightline.data.media import MEDIA_SUFFIXES, MediaFiles
from sightline.data.paths import (
    NO_ROOT,
    SYSTEM_FILES,
    TABLE_SUFFIXES,
    PathOrPaths,
    check_exist,
    files_in_folder,
    is_own,
    is_shard,
    resolve_paths,
    source_name,
    visible_in,
)
from sightline.data.sample import Labelled, LabelledSample
from sightline.data.shards import read_class_shards
from sightline.data.tar import Member
from sightline.errors import DataError, UsageError

Files = list[tuple[str, Path | Member, str]]
"""(key, media, name of the class)."""

_SPLIT = re.compile(r"(train|training|trainval|val|valid|validation|test|testing|dev|eval)[-_ ]?\d{0,4}")
"""Names that folders of splits have: "train", "val2017"."""
_NUMBER = re.compile(r"\d+(\.0+)?")


def labelled(
    source: PathOrPaths,
    *,
    classes: Sequence[str] | None = None,
    split: str | None = None,
    image_root: PathOrPaths | None = None,
) -> Labelled:
    """Opens a data set of classes; images and videos are not read.

    `source`: a folder with a folder for each class, images and videos anywhere in it; or a table (CSV, TSV, JSON
    lines, Parquet) with a column of files and one of classes; or WebDataset shards, in which KEY.cls has the class; or
    a folder with a table or shards. `classes`: their names by number; None: the names in the data, sorted. A table and
    shards may have the numbers instead of the names. `split`: of a table with a column "split". `image_root`: the
    folder or the shards that the table names files in, if not the table's own folder. Raises `DataError`, `UsageError`.
    """
    known = None
    name, left_out, paths = source_name(source), LeftOut(), resolve_paths(source)
    check_exist(paths)
    root = paths[0] if len(paths) == 1 and paths[0].is_dir() else None
    folders = [inner for inner in visible_in(root) if inner.is_dir()] if root is not None else []
    if root is not None and len(folders) < 2:
        paths = files_in_folder(root, left_out)
    is_table = len(paths) == 1 and paths[0].suffix.lower() in TABLE_SUFFIXES
    if not is_table and split is not None:
        raise UsageError(f"{name}: this is no table, so it has no splits; name the folder or the shards that are meant")
    if not is_table and image_root is not None:
        left_out.remark(NO_ROOT.format(name))
    if root is not None and len(folders) > 1:
        files = _in_class_folders(root, folders, left_out)
    elif is_table:
        files = _in_table(paths[0], split, image_root, left_out)
    elif paths and all(map(is_shard, paths)):
        files, known = list(read_class_shards(paths, left_out)), classes_beside(paths[0])
    else:
        only = f" (in it is one folder, {folders[0].name}: is it that?)" if folders else ""
        raise UsageError(
            f"{name}: give a folder with a folder for each class, two at least{only}, a table (.csv, .tsv, .jsonl) or "
            "shards (.tar)"
        )
    names = sorted_classes({label for _, _, label in files}) if classes is None else classes
    numbers = {str(number): number for number in range(len(names))} | {name: i for i, name in enumerate(names)}
    samples = []
    for key, media, label in files:
        if label in numbers:
            samples.append(LabelledSample(key, media, numbers[label]))
        else:
            left_out.add(f"of no class among the {len(names)}", f"{key} ({label})")
    if not samples:
        raise DataError(f"{name}: not one image with a class; left out: {left_out}")
    return Labelled(name, tuple(samples), tuple(names), left_out, known)


def sorted_classes(names: set[str]) -> list[str]:
    """By number if all names are numbers, else as words."""
    numeric = all(name.isdecimal() for name in names)
    return sorted(names, key=lambda name: (int(name), name) if numeric else (0, name))


def _in_class_folders(root: Path, folders: list[Path], left_out: LeftOut) -> Files:
    splits = [folder for folder in folders if _SPLIT.fullmatch(folder.name.lower())]
    if len(splits) > 1:
        names = " and ".join(folder.name for folder in splits)
        raise UsageError(f"{root}: {names} are splits, not classes; name the one that is meant, such as {splits[-1]}")
    files: Files = []
    for folder in folders:
        before = len(files)
        for file in sorted(folder.rglob("*")):
            key = file.relative_to(root).as_posix()
            if not file.is_file() or "/." in key:  # hidden, or in a hidden folder
                continue
            if not is_own(key):
                left_out.add(SYSTEM_FILES, key)
            elif file.suffix.lower() in MEDIA_SUFFIXES:
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
    classes_of = _classes_in_table(path, split, left_out)
    media_files = MediaFiles(path.parent if image_root is None else image_root, classes_of, left_out)
    files: Files = []
    for name, classes in classes_of.items():
        if len(classes) > 1:
            left_out.add("with several classes", name)
        elif (media := media_files.find(name)) is not None:
            files.append((name, media, classes.pop()))
    return files


def _classes_in_table(path: Path, split: str | None, left_out: LeftOut) -> dict[str, set[str]]:
    """The classes of each file that a table names."""
    table = tables.read_table(path, left_out)
    file_column = tables.find_column(table, tables.FILE, "files")
    class_column = tables.find_column(table, tables.CLASS, "classes")
    rows = list(zip(table.numbers, table.rows, strict=True))
    if split is not None:
        column = tables.split_column(table)
        rows = tables.select_splits(
            path, rows, [split], lambda row: None if column is None else str(row[1].get(column))
        )
    classes: dict[str, set[str]] = {}
    for number, row in rows:
        name, label = row.get(file_column), row.get(class_column)
        text = "" if label is None or label != label or isinstance(label, dict | list) else str(label).strip()
        if isinstance(name, str) and name.strip() and text:
            classes.setdefault(str(PurePosixPath(name.strip())), set()).add(text)
        else:
            left_out.add("without a file or a class", f"row {number:,}")
    if all(map(_NUMBER.fullmatch, chain.from_iterable(classes.values()))):  # pandas' 1.0 is class 1
        return {name: {label.partition(".")[0] for label in of_file} for name, of_file in classes.items()}
    return classes
