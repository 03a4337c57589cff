"""Small files read with care, and files written whole or not at all."""

import io
import json
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sightline.errors import CheckpointError, ImageError, JsonError, UsageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises `JsonError` naming the file if it holds something else, `OSError`."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # bytes that are not text, text that is not JSON, endless numbers
        raise JsonError(f"{path}: not JSON ({error})") from error
    if not isinstance(data, dict):
        raise JsonError(f"{path}: holds {type(data).__name__}, expected an object")
    return data


def read_checkpoint_json(path: Path) -> dict[str, Any]:
    """A JSON object from a checkpoint's file. Raises `CheckpointError` naming the file."""
    try:
        return read_json(path)
    except JsonError as error:
        raise CheckpointError(f"{error}; fetch the file again") from error
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error


def check_writable(file: str | os.PathLike[str], what: str, starts: bytes) -> None:
    """Raises `UsageError` if `file` cannot be written, or if its content would be lost and is not of the kind wanted.

    `what` names the kind in messages ("page"), `starts` is how its files begin, in any case. Call it before long work.
    """
    path = Path(file)
    try:
        has_folder, is_folder = path.absolute().parent.is_dir(), path.is_dir()
        content = b""
        if not is_folder and path.exists():
            with path.open("rb") as old:
                content = old.read(len(starts))
    except OSError as error:  # a name that is too long, a file that may not be read
        raise UsageError(f"{file}: the {what} cannot be written there ({error.strerror})") from error
    if not has_folder:
        raise UsageError(f"{file}: there is no folder to write this file into")
    if is_folder:
        raise UsageError(f"{file} is a folder: name a file for the {what}")
    if content and content.lower() != starts.lower():
        raise UsageError(f"{file} is no {what} of ours and would be lost: choose another name")


def open_file(path: Path) -> io.BufferedReader:
    """A regular file, opened to read. A folder, pipe or device is refused at once, never waited for. Raises ImageError
    for these, OSError or ValueError for a file that can't be opened."""
    try:
        file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115
    except (IsADirectoryError, PermissionError) as error:
        if path.is_dir():
            raise ImageError(str(path), "a folder, not a file") from error
        raise
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ImageError(str(path), "not a file but a pipe or device")
    return file


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` to write to; it takes the name `path` when all went well, else it goes.

    A new file has the permissions that the umask leaves, a replaced one keeps its own.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield temporary
        with suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def json_text(data: Any, **options: Any) -> str:
    r"""JSON with letters of all scripts as they are, for UTF-8. What UTF-8 lacks, and what ends a line or steers a
    terminal, is escaped: the bytes of a file's name that are no text are "\udc80" to "\udcff" (Python's
    `surrogateescape`), which any reader of JSON gives back. `options` are those of `json.dumps`."""
    text = json.dumps(data, ensure_ascii=False, **options)
    return re.sub("[\x7f-\x9f\u2028\u2029\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """A JSON object to a file, whole or not at all."""
    write_text(path, json_text(data, indent=2, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Text to a file in UTF-8, whole or not at all."""
    with replacing(path) as file:
        file.write_text(text, encoding="utf-8")


def take_lock(handle: int) -> bool:
    """Whether an open file's lock of the operating system can be had; it ends with the handle, however that ends.

    Raises `OSError` where the file system has none.
    """
    if sys.platform == "win32":
        os.lseek(handle, 1 << 30, os.SEEK_SET)  # beyond what is in it, which others must be able to read
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
    else:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
