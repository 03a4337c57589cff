"""Indexes by name: libraries, which lie in the user's data folder."""

import re
import secrets
import shlex
import unicodedata
from contextlib import suppress
from pathlib import Path

from sightline.errors import IndexMissing, UsageError
from sightline.index import lance_errors, lock
from sightline.index.folder import exists, foreign_names

DEFAULT = "default"
"""The name of the library that is used where no other index is named."""
_FOLDER = "libraries"
_NAME = re.compile(r"[^\W_]([\w .,()&'’+·、，（）《》【】-]*[\w)）》】])?")
"""Letters of any script, digits, and signs that every file system takes."""
_LONGEST = 100
"""Bytes of a name."""
_DELETED = ".deleted-"
"""What the name of a folder that is being deleted begins with."""


def library_folder(name: str) -> Path:
    """The folder of the library of this name, whether or not there is one. Raises UsageError for what is no name, and
    where the user's data folder is unknown: without a home folder."""
    name = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(name) or len(name.encode("utf-8", "replace")) > _LONGEST:
        raise UsageError(
            f"{name!r} is no name of a library: it begins with a letter or digit; blanks and . , - _ + & ' ( ) may be "
            "in it, and ’ · 、 ， （ ） 《 》 【 】; a folder is named with --index"
        )
    data = _data_folder()
    if data is None:
        raise UsageError("no home folder is known, where libraries are: name the folder of the index with --index")
    return _folder_in(data, name)


def libraries() -> dict[str, Path]:
    """The libraries that there are: name -> folder, in order, the default one first."""
    data = _data_folder()
    if data is None:
        return {}
    try:
        names = sorted(entry.name for entry in (data / _FOLDER).iterdir())
    except OSError:
        names = []
    wanted = [DEFAULT, *(name for name in names if name != DEFAULT and _NAME.fullmatch(name))]
    return {name: _folder_in(data, name) for name in wanted if exists(_folder_in(data, name))}


def missing(folder: Path) -> IndexMissing:
    """The error for a folder without an index."""
    data = _data_folder()
    named = f"--index {shlex.quote(str(folder))}"
    if data is not None and folder.parent == data / _FOLDER:
        named = f"--library {shlex.quote(folder.name)}"
    names = ", ".join(libraries())
    known = f"; the libraries that there are: {names} (--library NAME)" if names else ""
    return IndexMissing(f"{folder} holds no index: make one with `sightline index PATH {named}`{known}")


def delete_library(name: str) -> None:
    """Delete the library with all that is in its folder. From its first step on there is no such library.

    Raises IndexMissing if there is none, IndexLocked while it is written, UsageError if other things lie in its folder,
    and IndexFault if it cannot be deleted.
    """
    import shutil  # here: a search does without it

    folder = library_folder(name)
    if not exists(folder):
        raise missing(folder)
    _check_deletable(folder)
    gone = folder.with_name(f"{_DELETED}{secrets.token_hex(4)}")
    with lance_errors.writing(folder):
        with lock.writer(folder):
            _check_deletable(folder)
            folder.rename(gone)
            (gone / lock.NAME).unlink()  # who waits for it sees that the library is gone
        for left in folder.parent.glob(f"{_DELETED}*"):  # those of a run that was killed, too
            shutil.rmtree(left)


def _check_deletable(folder: Path) -> None:
    if folder.is_symlink():
        raise UsageError(f"{folder} is a link: delete it and what it leads to by hand")
    if others := foreign_names(folder):
        raise UsageError(
            f"{folder} holds other things too ({', '.join(others[:5])}): take them out of it first, nothing was deleted"
        )


def _folder_in(data: Path, name: str) -> Path:
    return data / "index" if name == DEFAULT else data / _FOLDER / name


def _data_folder() -> Path | None:
    """The user's data folder; None where it is unknown."""
    from platformdirs import user_data_path

    with suppress(RuntimeError):
        folder = user_data_path("sightline", appauthor=False)
        if folder.is_absolute():
            return folder
    return None
