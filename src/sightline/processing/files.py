"""A checkpoint's small files."""

import json
from pathlib import Path
from typing import Any

from sightline.errors import CheckpointError


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises CheckpointError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON ({error}); fetch the file again") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path}: holds {type(data).__name__}, expected an object")
    return data


def write_text(path: Path, text: str) -> None:
    """Text to a file, whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_object(path: Path, data: dict[str, Any]) -> None:
    """A JSON object to a file, whole or not at all."""
    write_text(path, json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
