"""The pictures and films that a table names: in a folder, or in shards."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sightline.data.places import Source, expand, name_of
from sightline.data.sample import LeftOut, Member
from sightline.data.shards import MEDIA, members
from sightline.errors import DataError, UsageError

_FILMS = (".mp4", ".webm", ".mkv", ".avi", ".mov")
"""Tried, in this order, where a table names a film without its suffix (MSR-VTT: "video7010")."""


class Pictures:
    """Finds files by the names that a table has for them. Two names never stand for one file.

    `place`: a folder, or shards. A name never leads out of the folder, though it may be an absolute path into it. What
    is not in the folder may be in "images" there; of "val2014/a.jpg" the folder val2014 itself will do. In shards the
    last part of a name is enough, if it is the only one. Raises `DataError`, `UsageError`.
    """

    def __init__(self, place: Source) -> None:
        paths = expand(place)
        self.place = name_of(place)
        self._taken: set[Path | Member] = set()
        self._shards: dict[str, Member | None] | None = None
        self._where = f"not in {self.place} (say where: image_root=, --image-root)"
        if len(paths) == 1 and paths[0].is_dir():
            self._folder = Path(os.path.abspath(paths[0]))  # noqa: PTH100 (links stay what they are)
            self._where = f"not in {self._folder} (say where: image_root=, --image-root)"
        elif paths and all(path.suffix == ".tar" for path in paths):
            self._shards = _by_name(paths)
        elif any(not path.exists() for path in paths):
            raise DataError(f"image_root={self.place}: no such folder")
        else:
            raise UsageError(f"image_root={self.place}: give the folder or the shards (.tar) that the pictures are in")

    def find(self, name: str, left_out: LeftOut) -> Path | Member | None:
        """The file of this name, or None, with the reason in `left_out`."""
        suffixes = ("",) if PurePosixPath(name).suffix.lower() in MEDIA else ("", *_FILMS)
        if self._shards is not None:
            names = [part + suffix for part in (name, PurePosixPath(name).name) for suffix in suffixes]
            found: Path | Member | None = next(filter(None, map(self._shards.get, names)), None)
        else:
            paths = [path + suffix for path in self._paths(name) for suffix in suffixes]
            if not paths:
                left_out.add(f"outside of {self.place} (say where: image_root=, --image-root)", name)
                return None
            found = next((Path(path) for path in paths if os.path.isfile(path)), None)  # noqa: PTH113 (never raises)
        if found is None:
            left_out.add(self._where, name)
        elif found in self._taken:
            left_out.add("whose file has another name before", name)
            return None
        else:
            self._taken.add(found)
        return found

    def _paths(self, name: str) -> Iterator[str]:
        """Where it may lie, always in the folder."""
        parts = PurePosixPath(name).parts
        for start in range(len(parts)):
            if start == 0 or parts[start - 1] == self._folder.name:
                for folder in (self._folder, self._folder / "images"):
                    path = os.path.normpath(folder.joinpath(*parts[start:]))
                    if path.startswith(f"{folder}{os.sep}"):
                        yield path


def _by_name(paths: list[Path]) -> dict[str, Member | None]:
    """The files in shards by their names and by the last parts of these; None for what several are called."""
    named: dict[str, Member | None] = {}
    for path in paths:
        for member in members(path):
            whole = str(PurePosixPath(member.name))
            for name in {whole, PurePosixPath(whole).name}:
                named[name] = None if name in named else member
    return named
