"""The files that a data set's name stands for: one file, a list, a folder, a pattern with wildcards or braces."""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from sightline.data.left_out import LeftOut
from sightline.errors import DataError, DataMissing, UsageError
from sightline.files import SYSTEM_FOLDERS

PathOrPaths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

TABLE_SUFFIXES = frozenset([".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet"])
_TABLES_IN_FOLDERS = TABLE_SUFFIXES - {".txt", ".parquet"}
"""Looked for in a folder: a text there may be anything, and img2dataset writes a Parquet file beside each shard."""
_COMPRESSED_SUFFIXES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")

SYSTEM_FILES = "in folders of the system (@eaDir, $RECYCLE.BIN ...)"
NO_ROOT = "image_root (--image-root) is of no use to {}, which holds its images"

_MOST_FILES = 1_000_000
"""The largest range in braces."""


def source_name(source: PathOrPaths) -> str:
    """The source as it was typed, for messages and results."""
    return os.fspath(source) if isinstance(source, str | os.PathLike) else ", ".join(os.fspath(path) for path in source)


def resolve_paths(source: PathOrPaths) -> list[Path]:
    """The files or folders of a source, each once: braces and wildcards resolved, "a::b" taken apart as open_clip does.

    Raises `DataError`, `UsageError`.
    """
    if not isinstance(source, str | os.PathLike):
        return list(dict.fromkeys(chain.from_iterable(map(resolve_paths, source))))
    if isinstance(source, str) and "::" in source and not os.path.lexists(source):
        return resolve_paths([part for part in source.split("::") if part])
    text = os.path.expanduser(source)  # noqa: PTH111 (which takes a file's name, not what a pattern may be)
    if os.path.lexists(text):
        return [Path(text)]
    paths: list[Path] = []
    for pattern in _expand_braces(text):
        names = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207
        if not names:
            raise DataMissing(
                f"{pattern}: no such file or folder" + ("" if Path(pattern).is_absolute() else f" in {Path.cwd()}")
            )
        paths.extend(map(Path, names))
    return list(dict.fromkeys(paths))


def check_exist(paths: Sequence[Path]) -> None:
    """Raises `DataMissing` for the first file or folder that is not there, `UsageError` if none is named."""
    if not paths:
        raise UsageError("no data are named: give a file or a folder")
    for path in paths:
        if not path.exists():
            raise DataMissing(f"{path}: no such file or folder" + ("" if path.is_absolute() else f" in {Path.cwd()}"))


def is_shard(path: Path) -> bool:
    """Whether the suffix is a tar's."""
    return path.suffix.lower() == ".tar"


def files_in_folder(folder: Path, left_out: LeftOut) -> list[Path]:
    """The only table in a folder, or else its shards; [] without either. What it has beside them, and is not read, goes
    to `left_out`. Raises `DataError` for several tables."""
    paths = [path for path in visible_in(folder) if path.is_file()]
    tables = [path for path in paths if path.suffix.lower() in _TABLES_IN_FOLDERS]
    shards = [path for path in paths if is_shard(path)]
    if len(tables) > 1:
        names = ", ".join(path.name for path in tables)
        raise DataError(f"{folder}: several tables ({names}); name the one that is meant")
    if tables:
        for path in shards:
            left_out.add(f"shards beside {tables[0].name}, which is read: name them to read them", path.name)
    for path in paths:
        if path.name.lower().endswith(_COMPRESSED_SUFFIXES):
            left_out.add("shards that are compressed: unpack them to plain tars", path.name)
    return tables or shards


def is_own(key: str) -> bool:
    """Whether a file lies in none of the folders that storage systems make for thumbnails and what was deleted."""
    return not set(SYSTEM_FOLDERS) & set(key.split("/"))


def visible_in(folder: Path) -> list[Path]:
    """What lies in a folder, sorted, without hidden names. Raises `DataError`."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}") from error


def _expand_braces(text: str) -> Iterator[str]:
    """ "a{0..2}" -> "a0", "a1", "a2"; "{a,b}" -> "a", "b". As in a shell; a leading zero keeps the width."""
    match = re.search(r"\{(\d{1,18})\.\.(\d{1,18})\}|\{([^{}]*,[^{}]*)\}", text)
    if match is None:
        yield text
        return
    first, last, listed = match.groups()
    if listed is not None:
        middles: Sequence[str] = listed.split(",")
    else:
        width = max(len(first), len(last)) if first.startswith("0") or last.startswith("0") else 0
        low, high = int(first), int(last)
        if abs(high - low) >= _MOST_FILES:
            raise UsageError(f"{text}: a range of more than {_MOST_FILES:,} files")
        middles = [f"{n:0{width}d}" for n in (range(low, high + 1) if low <= high else range(low, high - 1, -1))]
    for middle in middles:
        yield from _expand_braces(text[: match.start()] + middle + text[match.end() :])
