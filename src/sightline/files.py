"""Small files read with care, and files written whole or not at all."""

import io
import json
import os
import re
import secrets
import stat
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from sightline.errors import CheckpointError, ImageError, JsonError, UsageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

SYSTEM_FOLDERS = (
    "@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "~snapshot", "$RECYCLE.BIN", "$Recycle.Bin",
    "RECYCLER", "System Volume Information", "lost+found",
)  # fmt: skip
"""Thumbnails, recycle bins and snapshots of storage systems and of Windows, and what file checks leave."""
_SETTLED = 2_000_000_000
"""Nanoseconds. A folder that changed within them may change again without a new time of change (FAT counts in 2 s)."""


COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf": "7z",
    b"Rar!": "rar",
}
"""How compressed files begin."""
_ANSWERS = (b"entry not found", b"not found", b"404: not found", b"invalid username or password", b"access denied")
"""What servers send in a file's place."""
_UNFINISHED = (".incomplete", ".part", ".partial", ".crdownload", ".download", ".aria2", ".tmp")
"""Ends of names that programs give to a file while they fetch it."""


def wrong_content(source: Path | bytes) -> str | None:
    """What a file (or its first bytes) holds in place of what was wanted, and the way out: a Git LFS pointer, a web
    page, a compressed file. None if it is nothing of the kind. To be asked when a file could not be read."""
    folder, name = (source.absolute().parent, source.name) if isinstance(source, Path) else (None, "")
    try:
        head = source[:512] if isinstance(source, bytes) else _head(source)
    except (OSError, ValueError):
        return None
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"version https://git-lfs.github.com/spec/"):
        where = "its folder" if folder is None else folder
        return f"a Git LFS pointer, not the file itself: run `git lfs pull` in {where}"
    if re.match(rb"(\.git/|/)annex/objects/", text):
        return "a git-annex pointer, not the file itself: run `git annex get` for it"
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page, not the file itself: fetch it again (its address may want a login, or be that of a page)"
    if text.startswith(_ANSWERS) or (text.startswith(b"<?xml") and b"<error>" in text):
        answer = text.decode("utf-8", "replace").splitlines()[0][:60]
        return f"a server's answer ({answer!r}), not the file itself: look at the address, and fetch it again"
    if name.lower().endswith(_UNFINISHED):
        return "a download that did not come to its end: fetch it again"
    if not head:
        return "an empty file: fetch it again"
    if not any(head):
        return "only zeros: a download that did not come to its end; fetch it again"
    kind = next((kind for start, kind in COMPRESSED.items() if head.startswith(start)), None)
    return None if kind is None else f"a compressed file ({kind}): unpack it"


def _head(path: Path) -> bytes:
    """The first 512 bytes of a regular file."""
    with open_file(path) as file:
        return file.read(512)


def unfinished(folder: Path, names: Iterable[str]) -> Path | None:
    """A file in `folder` that a download of one of `names` has left half done."""
    wanted = set(names)
    for path in sorted(folder.iterdir()):
        if path.stem in wanted and path.suffix.lower() in _UNFINISHED:
            return path
    return None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises `JsonError` naming the file if it holds something else, `OSError`."""
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))  # Windows' Notepad marks the beginning
    except (ValueError, RecursionError) as error:  # bytes that are not text, text that is not JSON, endless numbers
        raise JsonError(f"{path}: {wrong_content(path) or f'not JSON ({error})'}") from error
    if not isinstance(data, dict):
        raise JsonError(f"{path}: holds {type(data).__name__}, expected an object")
    return data


def read_checkpoint_json(path: Path) -> dict[str, Any]:
    """A JSON object from a checkpoint's file. Raises `CheckpointError` naming the file."""
    try:
        return read_json(path)
    except JsonError as error:
        raise CheckpointError(str(error) if wrong_content(path) else f"{error}; fetch the file again") from error
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error


def check_writable(file: str | os.PathLike[str], what: str, starts: bytes) -> None:
    """Raises `UsageError` if `file` cannot be written, or if its content would be lost and is not of the kind wanted.

    `what` names the kind in messages ("page"), `starts` is how its files begin, in any case, white space aside. Call it
    before long work.
    """
    path, begin = Path(file), b"".join(starts.lower().split())
    try:
        has_folder, is_folder = path.absolute().parent.is_dir(), path.is_dir()
        content = b""
        if not is_folder and path.exists():
            with path.open("rb") as old:
                content = b"".join(old.read(len(starts) + 16).lower().split())
    except OSError as error:  # a name that is too long, a file that may not be read
        raise UsageError(f"{file}: the {what} cannot be written there ({error.strerror})") from error
    if not has_folder:
        raise UsageError(f"{file}: there is no folder to write this file into")
    if is_folder:
        raise UsageError(f"{file} is a folder: name a file for the {what}")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise UsageError(f"{file}: the {what} cannot be written there (no permission to write)")
    if content and not content.startswith(begin):
        raise UsageError(f"{file} is no {what} of ours and would be lost: choose another name")


def expand_home(path: str | os.PathLike[str]) -> Path:
    """The path with the home folder in the place of a leading `~`; a user that is unknown stays as it is written.
    Raises UsageError for `~` where no home folder is known."""
    expanded = os.path.expanduser(path)  # noqa: PTH111 (pathlib raises for unknown users)
    if expanded == "~" or expanded.startswith(("~/", f"~{os.sep}")):
        raise UsageError(
            f"{expanded}: no home folder is known that ~ could stand for: set HOME, or write the whole path"
        )
    return Path(expanded)


def find_file(path: Path) -> Path:
    """`path`, if something is there; else what is there under the same names in another Unicode form.

    macOS writes "é" as "e" with an accent (NFD), most else as one character (NFC): a terminal shows the same name.
    Where nothing is there in either form, or in more than one, `path` comes back as it was given.
    """
    if os.path.lexists(path):
        return path
    found = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        if part == os.pardir or os.path.lexists(found / part):
            found /= part
            continue
        names = _names_by_form(found).get(unicodedata.normalize("NFC", part), [])
        if len(names) != 1:
            return path
        found /= names[0]
    return found


def _names_by_form(folder: Path) -> dict[str, list[str]]:
    """The names in a folder by their composed form (NFC); read again only when the folder has changed."""
    try:
        changed = folder.stat().st_mtime_ns
        is_settled = not 0 <= time.time_ns() - changed < _SETTLED
        return (_list_by_form if is_settled else _list_by_form.__wrapped__)(folder.absolute(), changed)
    except (OSError, ValueError):  # no folder, or not ours to look into
        return {}


@lru_cache(maxsize=8)
def _list_by_form(folder: Path, changed: int) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for name in os.listdir(folder):  # noqa: PTH208 (names are all that is wanted)
        names.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    return names


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
    """Text to a file in UTF-8, whole or not at all. Stray bytes of file names become escapes, those of JSON."""
    with replacing(path) as file:
        file.write_text(text, encoding="utf-8", errors="backslashreplace")


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
