"""The image and video files that a table names: in a folder, or in shards."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sightline.data.paths import PathOrPaths, resolve_paths, source_name
from sightline.data.sample import LeftOut
from sightline.data.tar import Member, members_by_name
from sightline.errors import DataError, UsageError
from sightline.processing.suffixes import IMAGE_SUFFIXES, VIDEO_SUFFIXES

MEDIA_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES

_GUESSED_SUFFIXES = (".mp4", ".webm", ".mkv", ".avi", ".mov")
"""Tried, in this order, where a table names a video without its suffix (MSR-VTT: "video7010")."""


class MediaFiles:
    """Finds files by the names that a table has for them. Two names never stand for one file.

    `image_root`: a folder, or shards. A name never leads out of the folder, though it may be an absolute path into it.
    What is not in the folder may be in "images" inside it; of "val2014/a.jpg" the folder val2014 itself will do. In
    shards the last part of a name is enough, if only one file has it. Raises `DataError`, `UsageError`.
    """

    def __init__(self, image_root: PathOrPaths) -> None:
        paths = resolve_paths(image_root)
        self._name = source_name(image_root)
        self._taken: set[Path | Member] = set()
        self._members: dict[str, Member | None] | None = None
        if len(paths) == 1 and paths[0].is_dir():
            self._folder = Path(os.path.abspath(paths[0]))  # noqa: PTH100 (links stay what they are)
        elif paths and all(path.suffix == ".tar" for path in paths):
            self._members = members_by_name(paths)
        elif any(not path.exists() for path in paths):
            raise DataError(f"image_root={self._name}: no such folder")
        else:
            raise UsageError(f"image_root={self._name}: give the folder or the shards (.tar) that the images are in")

    def find(self, name: str, left_out: LeftOut) -> Path | Member | None:
        """The file of this name, or None, with the reason in `left_out`."""
        suffixes = ("",) if PurePosixPath(name).suffix.lower() in MEDIA_SUFFIXES else ("", *_GUESSED_SUFFIXES)
        media: Path | Member | None
        if self._members is not None:
            names = [part + suffix for part in (name, PurePosixPath(name).name) for suffix in suffixes]
            media = next(filter(None, map(self._members.get, names)), None)
        else:
            paths = [path + suffix for path in self._paths(name) for suffix in suffixes]
            if not paths:
                left_out.add(f"outside of {self._name} (say where: image_root=, --image-root)", name)
                return None
            media = next((Path(path) for path in paths if os.path.isfile(path)), None)  # noqa: PTH113 (never raises)
        if media is None:
            where = self._folder if self._members is None else self._name
            left_out.add(f"not in {where} (say where: image_root=, --image-root)", name)
        elif media in self._taken:
            left_out.add("whose file has another name before", name)
            return None
        else:
            self._taken.add(media)
        return media

    def _paths(self, name: str) -> Iterator[str]:
        """The paths where a file of this name may lie, all of them inside the folder."""
        parts = PurePosixPath(name).parts
        for start in range(len(parts)):
            if start == 0 or parts[start - 1] == self._folder.name:
                for inner in ("", "images"):
                    path = os.path.normpath(self._folder.joinpath(inner, *parts[start:]))
                    if path.startswith(os.path.join(self._folder, inner, "")):  # noqa: PTH118 (ends with a separator)
                        yield path
