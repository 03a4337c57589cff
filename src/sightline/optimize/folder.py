"""A folder that appears whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sightline.checkpoint.exported import NOTE
from sightline.errors import UsageError


def check_out(out: Path) -> None:
    """Raises `UsageError` where an export into this folder would lose what is there, or could not be written."""
    parent = out.absolute().parent
    if out.is_file():
        raise UsageError(f"{out} is a file: name a folder for the export")
    if out.is_dir() and any(out.iterdir()) and not (out / NOTE).is_file():
        raise UsageError(f"{out} is not empty and holds no export: choose another folder, such as {out / 'export'}")
    if not parent.is_dir():
        raise UsageError(f"{out}: there is no folder {parent} to write it into")
    if not os.access(parent, os.W_OK):
        raise UsageError(f"{out}: the export cannot be written there (no permission to write)")


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` to write to; it takes the name `out`, and the place of an earlier export there,
    when all went well. Else it goes."""
    out = out.absolute()
    writing, old = (out.with_name(f".{out.name}.{secrets.token_hex(4)}") for _ in range(2))
    writing.mkdir()
    try:
        yield writing
        if out.exists():
            out.rename(old)
        writing.rename(out)
    except BaseException:
        if old.exists() and not out.exists():
            old.rename(out)
        raise
    finally:
        shutil.rmtree(writing, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
