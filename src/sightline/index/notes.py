"""Small JSON files beside the table, each written whole or not at all, on the disk before anything relies on it."""

import json
import os
from pathlib import Path
from typing import Any

from sightline import files
from sightline.errors import IndexDamaged, IndexFault
from sightline.index import lance_errors


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
        with files.replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
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
