"""The image and video files that a table names: in a folder, or in shards."""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from sightline.data.left_out import LeftOut
from sightline.data.paths import PathOrPaths, is_shard, resolve_paths, source_name
from sightline.data.tar import Member, members_by_name
from sightline.errors import DataMissing, UsageError
from sightline.files import find_file
from sightline.processing.suffixes import IMAGE_SUFFIXES, VIDEO_SUFFIXES

MEDIA_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES

_GUESSED_SUFFIXES = (".mp4", ".webm", ".mkv", ".avi", ".mov")
"""Tried, in this order, where a table names a video without its suffix (MSR-VTT: "video7010")."""
_HINT = "(say where: image_root=, --image-root)"


class MediaFiles:
    """Finds files by the `names` that a table has for them. Two names never stand for one file.

    `image_root`: a folder, or shards. A name never leads out of the folder, though it may be an absolute path into it.
    What is not in the folder may be in "images" inside it; of "val2014/a.jpg" the folder val2014 itself will do. In
    shards the last part of a name is enough, if only one file has it. Where nothing is found, a backslash is a slash;
    the folder that all absolute names share, which is one of another computer, is the folder here; and the name is
    looked for in its other Unicode form. Raises `DataError`, `UsageError`.
    """

    def __init__(self, image_root: PathOrPaths, names: Iterable[str], left_out: LeftOut) -> None:
        paths = resolve_paths(image_root)
        self._name = source_name(image_root)
        self._left_out = left_out
        self._taken: set[Path | Member] = set()
        self._members: dict[str, Member | None] | None = None
        self._shared = _shared_folder(names)
        if len(paths) == 1 and paths[0].is_dir():
            self._folder = Path(os.path.abspath(paths[0]))  # noqa: PTH100 (links stay what they are)
        elif paths and all(map(is_shard, paths)):
            self._members = members_by_name(paths, left_out)
        elif any(not path.exists() for path in paths):
            raise DataMissing(f"image_root={self._name}: no such file or folder")
        else:
            raise UsageError(f"image_root={self._name}: give the folder or the shards (.tar) that the images are in")

    def find(self, name: str) -> Path | Member | None:
        """The file of this name, or None, with the reason in `left_out`."""
        media = self._look_up(name)
        if media is None:
            self._left_out.add(self._reason(name), name)
        elif media in self._taken:
            self._left_out.add("whose file has another name before", name)
            return None
        else:
            self._taken.add(media)
        return media

    def _look_up(self, name: str) -> Path | Member | None:
        for path in self._spellings(name):
            suffixes = ("",) if path.suffix.lower() in MEDIA_SUFFIXES else ("", *_GUESSED_SUFFIXES)
            for suffix in suffixes:
                found = (
                    self._in_shards(f"{path}{suffix}") if self._members is not None else self._in_folder(path, suffix)
                )
                if found is not None:
                    return found
        return None

    def _in_shards(self, name: str) -> Member | None:
        assert self._members is not None
        composed = unicodedata.normalize("NFC", name)
        return self._members.get(composed) or self._members.get(PurePosixPath(composed).name)

    def _in_folder(self, name: PurePosixPath, suffix: str) -> Path | None:
        paths = [path + suffix for path in self._paths(name)]
        for path in paths:
            if os.path.isfile(path):  # noqa: PTH113 (never raises)
                return Path(path)
        for path in paths if not str(name).isascii() else ():
            if os.path.isfile(found := find_file(Path(path))):  # noqa: PTH113
                return found
        return None

    def _spellings(self, name: str) -> Iterator[PurePosixPath]:
        """The name as it stands, with slashes, and without the folder that all absolute names share."""
        yield PurePosixPath(name)
        if "\\" in name:
            yield PurePosixPath(*_parts(PureWindowsPath(name)))
        if self._shared and (path := _absolute(name)) is not None:
            yield PurePosixPath(*_parts(path)[len(self._shared) - 1 :])
            yield PurePosixPath(*_parts(path)[len(self._shared) :])

    def _paths(self, name: PurePosixPath) -> Iterator[str]:
        """The paths where a file of this name may lie, all of them inside the folder."""
        for start in range(len(name.parts)):
            if start == 0 or name.parts[start - 1] == self._folder.name:
                for inner in ("", "images"):
                    path = os.path.normpath(self._folder.joinpath(inner, *name.parts[start:]))
                    if path.startswith(os.path.join(self._folder, inner, "")):  # noqa: PTH118 (ends with a separator)
                        yield path

    def _reason(self, name: str) -> str:
        if name.lower().startswith(("http:/", "https:/")):
            return "that are addresses on the web: download the files, and name these"
        if self._members is not None:
            return f"not in {self._name} {_HINT}"
        is_outside = not any(True for path in self._spellings(name) for _ in self._paths(path))
        if is_outside or _absolute(name) is not None:
            return f"outside of {self._name} {_HINT}"
        return f"not in {self._folder} {_HINT}"


def _absolute(name: str) -> PurePath | None:
    """The name as an absolute path of Windows or of another system; None for any other, and where ".." is in it."""
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        if path.anchor and (path.root or path.is_absolute()) and os.pardir not in path.parts:
            return path
    return None


def _parts(path: PurePath) -> tuple[str, ...]:
    """The parts of a path without its drive and root."""
    return path.parts[1:] if path.anchor else path.parts


def _shared_folder(names: Iterable[str]) -> tuple[str, ...]:
    """The parts of the folder that all absolute names share; () without absolute names."""
    folders = [_parts(path)[:-1] for path in map(_absolute, names) if path is not None]
    if not folders:
        return ()
    first, last = min(folders), max(folders)
    return tuple(one for one, _ in takewhile(lambda parts: parts[0] == parts[1], zip(first, last, strict=False)))
