"""What lies under the given paths: images and videos with size and time, and what could not be looked at."""

# ruff: noqa: PTH100, PTH112, PTH113, PTH114, PTH116, PTH118, PTH122, PTH206
# Plain strings: a Path for each of a million names costs more than the walk itself.

import errno
import os
import stat
from collections import Counter, deque
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightline.errors import UsageError
from sightline.files import find_file
from sightline.index.exclude import Patterns
from sightline.processing.suffixes import is_image, is_video

SIDECARS = frozenset([".xmp", ".json", ".aae", ".thm"])
"""Suffixes of the files that belong to an image or a video beside them, and are not counted as files of other kinds."""
EARLIEST, LATEST = -(2**63) + 1, 2**63 - 1
"""The times in ns that the table holds: from 1677 to 2262. Broken clocks and file systems give others."""


@dataclass
class Listing:
    """`files`: path -> (size, mtime in ns). Each real file is there once, by a name without a link if it has one.

    `links`: the other names of these files and folders -> the name that is listed, or that of a file in the index.
    `excluded`: pattern -> how many files and folders it left out. `others`: suffix -> how many files of other kinds.
    `skipped`: path and reason. `blocked`: what lies at or below these paths is unknown, so nothing at or below them may
    be called deleted. `real`: the real path of each name that leads through a link.
    """

    patterns: Patterns
    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    excluded: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    real: dict[str, str] = field(default_factory=dict)
    _shared: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """What tells the file from all others, for files with several names (hard links)."""

    def add(self, path: str, real: str | None = None) -> None:
        """Take in a file. `real`: its real path, if that is known."""
        try:
            stated = os.stat(path)
        except FileNotFoundError:
            if os.path.islink(path):
                self.skipped.append((Path(path), "it is a link to nothing"))
        except OSError as error:
            if error.errno == errno.ELOOP:
                self.skipped.append((Path(path), "it is a loop of links"))
            else:
                self._block(path, error)
        else:
            if not stat.S_ISREG(stated.st_mode):
                self.skipped.append((Path(path), "it is not a file"))
                return
            self.files[path] = stated.st_size, time_of(stated)
            real = os.path.realpath(path) if real is None else real
            if real != path:
                self.real[path] = real
            if stated.st_nlink > 1:
                self._shared[path] = identity(stated)

    def walk(self, folders: Iterable[str], avoid: str, named: Container[str]) -> None:
        """Take in all images and videos below `folders`, and the files `named` whatever their suffix, but not the
        folder `avoid`, nor what patterns leave out.

        Names that start with a dot are left out. Links are followed, those to folders last and each real folder once:
        loops end, and a folder that can be reached without a link is named without it.
        """
        avoided = os.path.realpath(avoid)
        seen = {avoided: avoid}
        folders, links = list(folders), deque[str]()
        while folders or links:
            folder = folders.pop() if folders else links.popleft()
            real = os.path.realpath(folder)
            if real in seen:
                if real not in (folder, avoided):
                    self.links[folder] = seen[real]
                continue
            if real != folder and self._is_excluded(real):
                continue
            seen[real] = folder
            base = self.patterns.base(folder) or folder
            try:
                with os.scandir(folder) as entries:
                    for entry in sorted(entries, key=lambda entry: entry.name):
                        if entry.name.startswith("."):
                            continue
                        if pattern := self.patterns.match(entry.path, entry.name, base):
                            self.excluded[pattern] += 1
                        elif _is_folder(entry):
                            (links if entry.is_symlink() else folders).append(entry.path)
                        elif is_wanted(entry.name) or entry.path in named:
                            self._enter(entry, None if real == folder else real)
                        elif (suffix := os.path.splitext(entry.name)[1].lower()) not in SIDECARS:
                            self.others[suffix] += 1
            except FileNotFoundError:
                continue
            except OSError as error:
                self._block(folder, error)

    def _enter(self, entry: os.DirEntry[str], folder: str | None) -> None:
        """Take in a file of a walk; `folder`: the real path of its folder, if it has another."""
        if not entry.is_symlink():
            self.add(entry.path, os.path.join(folder, entry.name) if folder else entry.path)
        elif not self._is_excluded(target := os.path.realpath(entry.path)):
            self.add(entry.path, target)

    def _is_excluded(self, real: str) -> bool:
        """Whether what a link leads to is left out by its own name."""
        pattern = self.patterns.match_above(real)
        if pattern:
            self.excluded[pattern] += 1
        return pattern is not None

    def set_links_aside(self) -> None:
        """Of the names of one real file keep one: the first by path, but one without a link before others."""
        first: dict[str, str] = {}
        for path in sorted(self.real.keys() & self.files.keys()):
            real = self.real[path]
            self.set_aside(path, real if real in self.files else first.setdefault(real, path))
        names: dict[tuple[int, ...], str] = {}
        shared = self._shared.keys() & self.files.keys()
        for path in sorted(shared, key=lambda path: (path in self.real, path)):
            self.set_aside(path, names.setdefault(self._shared[path], path))

    def set_aside(self, path: str, name: str) -> None:
        """Take out a name whose file goes by another."""
        if path != name:
            del self.files[path]
            self.links[path] = name

    def leave(self, paths: Sequence[str]) -> None:
        """Leave what lies at and below these paths as it is in the index, whatever became of it."""
        self.blocked += paths
        folders = [path for path in paths if os.path.isdir(path)]
        below = [path for path in self.files if any(is_below(path, folder) for folder in folders)] if folders else []
        for path in (*paths, *below):
            self.files.pop(path, None)

    def is_same_file(self, path: str, other: str) -> bool:
        """Whether a listed file is that of a path elsewhere: the same by all links, or a hard link of it."""
        if os.path.realpath(other) == self.real.get(path, path):
            return True
        try:
            return path in self._shared and identity(os.stat(other)) == self._shared[path]
        except OSError:
            return False

    def is_blocked(self, path: str) -> bool:
        """Whether it is unknown what became of `path`."""
        return any(is_below(path, blocked) for blocked in self.blocked)

    def _block(self, path: str, error: OSError) -> None:
        self.skipped.append((Path(path), error.strerror or str(error)))
        self.blocked.append(path)


def list_files(roots: Sequence[str], avoid: Path, patterns: Patterns, named: Iterable[str] = ()) -> Listing:
    """The images and videos at and below `roots`, by path in order, without those in the folder `avoid`. A file given
    as a root needs no suffix, and may have a hidden name; nor need the files `named`, which were roots of earlier runs.
    """
    listing = Listing(patterns)
    files = {root for root in roots if not os.path.isdir(root)}
    files.update(path for path in named if not patterns.match_above(path))
    listing.walk((root for root in roots if root not in files), str(avoid), files)
    for path in files - listing.files.keys():
        listing.add(path)
    listing.set_links_aside()
    listing.files = dict(sorted(listing.files.items()))
    listing.skipped.sort()
    return listing


def time_of(stated: os.stat_result) -> int:
    """The file's time of change in ns since 1970; one that the table cannot hold is the nearest that it can."""
    return min(max(stated.st_mtime_ns, EARLIEST), LATEST)


def identity(stated: os.stat_result) -> tuple[int, ...]:
    """What the hard links of one file have in common, and two files have not. An inode number alone will not do: some
    file systems give the same to several files, or a new one at each look."""
    return stated.st_dev, stated.st_ino, stated.st_size, stated.st_mtime_ns, stated.st_ctime_ns


def roots_of(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The paths as absolute ones, sorted, each once. Links are resolved, but for a file's own name. A name that is on
    disk in another Unicode form is taken in that."""
    names = [os.fsdecode(path) for path in paths]
    if wrong := next((name for name in names if "\0" in name), None):
        raise UsageError(f"{wrong!r} is no name that a file can have")
    roots = sorted(map(_absolute, set(names)))
    if not roots:
        raise UsageError("name at least one file or folder")
    return roots


def is_below(path: str, root: str) -> bool:
    """Whether `path` is `root` or lies in it."""
    return path == root or path.startswith(root if root.endswith(os.sep) else root + os.sep)


def is_wanted(name: str) -> bool:
    """Whether the name's suffix is an image's or a video's."""
    return is_image(name) or is_video(name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in circles, or that we may not follow
        return False


def is_listed(path: str) -> bool:
    """Whether a walk would list this path: a known suffix, and no hidden name in it."""
    return is_wanted(path) and not any(name.startswith(".") for name in path.split(os.sep))


def _absolute(path: str) -> str:
    path = os.fspath(find_file(Path(os.path.abspath(path))))
    if os.path.isfile(path):
        head, tail = os.path.split(os.path.abspath(path))
        return os.path.join(os.path.realpath(head), tail)
    return os.path.realpath(path)
