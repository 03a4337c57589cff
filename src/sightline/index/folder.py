"""What lies in the folder of an index, and which of the tables in it is the live one."""

import json
import os
import re
from pathlib import Path
from typing import Any

from sightline.errors import IndexDamaged, IndexFault, UsageError
from sightline.files import replacing
from sightline.index import lance_errors, lock

FIRST_TABLE = "items.lance"
"""The table of a new index: LanceDB lists it as "items". Tables that take its place are items-2.lance, ..."""
POINTER = "current.json"
"""Names the live table; an index that was never switched has no such file, and FIRST_TABLE is live. Readers look once
for each snapshot."""
SETTINGS = "settings.json"
"""The folders that are indexed (see `settings`)."""
MODEL_PLACES = "model.json"
"""Where the model was found since the index was built (see `model_places`)."""
UPGRADE = "upgrade.json"
"""The table that is on its way to take the live one's place (see `upgrade`)."""
IVF_FILE = "ivf.faiss"
"""The inverted lists of a large table (see `ivf`); it may be deleted at any time."""
OLD_IVF_FILE = "lists.faiss"
"""What it was called before format 3."""

_TABLE = re.compile(r"items(?:-([1-9][0-9]{0,8}))?\.lance")
_FILES = (POINTER, SETTINGS, MODEL_PLACES, UPGRADE, IVF_FILE, OLD_IVF_FILE, lock.NAME)


def live_table(folder: Path) -> Path:
    """The folder of the live table. Raises IndexDamaged if the pointer is broken, or gone although a later table than
    the first is there."""
    path = _pointed(folder)
    # The pointer is looked for last: a writer may switch in between.
    if path.name == FIRST_TABLE and fallback(folder) not in (None, path) and not (folder / POINTER).exists():
        raise IndexDamaged(
            f"{folder / POINTER} is missing, which says which table is the live one; {lance_errors.repair(folder)} "
            "and goes on with the latest table"
        )
    return path


def _pointed(folder: Path) -> Path:
    """The table that the pointer names, the first table if there is no pointer. Raises IndexDamaged if it is broken."""
    pointer = read_note(folder / POINTER)
    name = FIRST_TABLE if pointer is None else pointer.get("table")
    if not isinstance(name, str) or not _TABLE.fullmatch(name):
        raise damaged(folder / POINTER)
    return folder / name


def switch(folder: Path, name: str) -> None:
    """Make this the live table, in one step. Readers of the one before keep it until it is dropped."""
    write_note(folder / POINTER, {"table": name})


def tables(folder: Path) -> dict[int, Path]:
    """All tables in the folder, whole or not, by number. Raises IndexFault if we may not look."""
    return {number_of(folder / name): folder / name for name in sorted(_names(folder)) if _TABLE.fullmatch(name)}


def number_of(table: Path) -> int:
    """Of two tables the one with the higher number was made later."""
    match = _TABLE.fullmatch(table.name)
    return int(match[1] or 1) if match else 1


def upgrade_target(folder: Path) -> Path | None:
    """The table that is being filled to take the live one's place, always a later one; None if there is none."""
    try:
        note = read_note(folder / UPGRADE) or {}
    except IndexDamaged:
        return None
    name = note.get("target")
    if not isinstance(name, str) or not _TABLE.fullmatch(name):
        return None
    try:
        live = _pointed(folder)
    except IndexDamaged:
        live = folder / FIRST_TABLE  # unknown; no upgrade fills the first table
    return folder / name if number_of(folder / name) > number_of(live) else None


def fallback(folder: Path) -> Path | None:
    """The table to go on with if the pointer is broken or gone: the latest that no upgrade was filling."""
    complete = [path for _, path in sorted(tables(folder).items()) if is_table(path)]
    if not complete[1:]:
        return complete[0] if complete else None
    try:
        read_note(folder / UPGRADE)
        unfinished = upgrade_target(folder)
    except IndexDamaged:  # the upgrade fills the latest
        unfinished = complete[-1]
    return next(path for path in reversed(complete) if path != unfinished)


def lance_path(table: Path) -> str:
    """The table's path as Lance takes it, which writes it in UTF-8 whatever the locale. Raises IndexFault for a path
    that is not UTF-8."""
    try:
        return os.fsencode(table).decode()
    except UnicodeDecodeError as error:
        raise IndexFault(
            f"{table.parent}: the path of an index must be UTF-8; choose a folder of another name"
        ) from error


def exists(folder: Path) -> bool:
    """Whether the folder holds an index, whole or damaged. A creation that was cut short left none.

    Raises IndexFault if the system does not let us look.
    """
    return any(map(is_table, tables(folder).values()))


def is_table(path: Path) -> bool:
    """Whether something was committed to this table, whatever became of it."""
    return bool(manifests(path) or _names(path / "data"))


def manifests(table: Path) -> dict[int, Path]:
    """The file of each version of the table. Lance counts down in their names, so that the newest comes first."""
    versions = table / "_versions"
    paths = [versions / name for name in _names(versions) if name.endswith(".manifest")]
    return {2**64 - 1 - int(path.stem): path for path in paths if path.stem.isdecimal()}


def _names(folder: Path) -> list[str]:
    """What lies in a folder; nothing if there is no such folder. Raises IndexFault if we may not look."""
    try:
        return os.listdir(folder)  # noqa: PTH208 (names are all that is wanted)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise IndexFault(f"{folder} cannot be read: {error.strerror}") from error


def claim(folder: Path) -> None:
    """Make the index folder. Raises UsageError if other things live there, IndexFault if it cannot be made or Lance
    cannot open its path."""
    lance_path(folder / FIRST_TABLE)
    with lance_errors.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        others = foreign_names(folder)
    if others and not exists(folder):
        raise UsageError(f"{folder} holds other things ({others[0]}): choose an empty folder for the index")


def foreign_names(folder: Path) -> list[str]:
    """What lies in the folder and is no part of an index, in order."""
    return sorted(name for name in _names(folder) if not _is_ours(name))


def _is_ours(name: str) -> bool:
    """Whether a file of an index, or the temporary file that becomes it, has this name."""
    return bool(_TABLE.fullmatch(name)) or any(name == file or name.startswith(f".{file}.") for file in _FILES)


# ---- small JSON files beside the table, each written whole or not at all, on the disk before anything relies on it


def read_note(path: Path) -> dict[str, Any] | None:
    """The object in the file; None if there is no file. Raises IndexDamaged, and IndexFault if it may not be read."""
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise IndexFault(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError):
        note = None
    if not isinstance(note, dict):
        raise damaged(path)
    return note


def damaged(path: Path) -> IndexDamaged:
    """The error for a file that holds what Sightline does not write."""
    return IndexDamaged(f"{path} is damaged; {lance_errors.repair(path.parent)}")


def write_note(path: Path, note: dict[str, Any]) -> None:
    """Raises IndexFault; the file that was there before is then intact."""
    with lance_errors.writing(path.parent):
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            json.dump(note, file)
            file.flush()
            os.fsync(file.fileno())
        flush(path.parent)


def flush(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk."""
    if os.name == "posix" or path.is_file():  # Windows opens no folders
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
