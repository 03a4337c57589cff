"""What lies in the folder of an index, before anything of it is opened."""

import os
from pathlib import Path

from sightline.errors import IndexFault, IndexMissing, UsageError
from sightline.index import lance_errors, lock

NAME = "items.lance"
"""The dataset's folder inside the index folder: LanceDB lists it as the table "items"."""
LISTS = "lists.faiss"
"""The file of a large table's first pass (`lists`); it may be deleted at any time."""


def exists(folder: Path) -> bool:
    """Whether the folder holds an index, whole or damaged. A creation that was cut short left none.

    Raises IndexFault where the system does not let us look.
    """
    return bool(manifests(folder) or _names(folder / NAME / "data"))


def missing(folder: Path) -> IndexMissing:
    """The error where there is none."""
    return IndexMissing(f"{folder} holds no index: make one with `sightline index PATH --index {folder}`")


def manifests(folder: Path) -> dict[int, Path]:
    """The file of each version of the table. Lance counts down in their names, so that the newest comes first."""
    versions = folder / NAME / "_versions"
    files = [versions / name for name in _names(versions) if name.endswith(".manifest")]
    return {2**64 - 1 - int(file.stem): file for file in files if file.stem.isdecimal()}


def _names(folder: Path) -> list[str]:
    """What lies in a folder; nothing if there is none. Raises IndexFault where we may not look."""
    try:
        return os.listdir(folder)  # noqa: PTH208 (names are all that is wanted)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise IndexFault(f"{folder} cannot be read: {error.strerror}") from error


def claim(folder: Path) -> None:
    """Make the index folder. Raises UsageError where other things live, IndexFault where it cannot be made."""
    with lance_errors.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        others = {entry.name for entry in folder.iterdir()} - {NAME, LISTS, lock.NAME}
    if others and not exists(folder):
        raise UsageError(f"{folder} holds other things ({min(others)}): choose an empty folder for the index")
