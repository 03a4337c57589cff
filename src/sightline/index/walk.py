"""What lies under the given paths: images and videos with size and time, and what could not be looked at."""

# ruff: noqa: PTH100, PTH112, PTH113, PTH114, PTH116, PTH118, PTH206
# Plain strings: a Path for each of a million names costs more than the walk itself.

import os
import stat
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightline.errors import UsageError
from sightline.processing.suffixes import is_image, is_video


@dataclass
class Listing:
    """`files`: path -> (size, mtime in ns). `skipped`: path and reason. `blocked`: what lies at or below these paths is
    unknown, so nothing at or below them may be called deleted."""

    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)

    def add(self, path: str) -> None:
        """Take in a file."""
        try:
            stated = os.stat(path)
        except FileNotFoundError:
            if os.path.islink(path):
                self.skipped.append((Path(path), "it is a link to nothing"))
        except OSError as error:
            self._block(path, error)
        else:
            if stat.S_ISREG(stated.st_mode):
                self.files[path] = stated.st_size, stated.st_mtime_ns
            else:
                self.skipped.append((Path(path), "it is not a file"))

    def walk(self, folders: Iterable[str], avoid: str) -> None:
        """Take in all images and videos below `folders`, but not the folder `avoid`.

        Names that start with a dot are left out. Links are followed, those to folders last and each real folder once:
        loops end, and a folder that can be reached without a link is named without it.
        """
        seen = {os.path.realpath(avoid)}
        folders, links = list(folders), deque[str]()
        while folders or links:
            folder = folders.pop() if folders else links.popleft()
            real = os.path.realpath(folder)
            if real in seen:
                continue
            seen.add(real)
            try:
                with os.scandir(folder) as entries:
                    for entry in sorted(entries, key=lambda entry: entry.name):
                        if entry.name.startswith("."):
                            continue
                        if _is_folder(entry):
                            (links if entry.is_symlink() else folders).append(entry.path)
                        elif is_wanted(entry.name):
                            self.add(entry.path)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._block(folder, error)

    def is_blocked(self, path: str) -> bool:
        """Whether it is unknown what became of `path`."""
        return any(is_below(path, blocked) for blocked in self.blocked)

    def _block(self, path: str, error: OSError) -> None:
        self.skipped.append((Path(path), error.strerror or str(error)))
        self.blocked.append(path)


def list_files(roots: Sequence[str], avoid: Path) -> Listing:
    """The images and videos at and below `roots`, by path in order. A file given as a root needs no suffix."""
    listing = Listing()
    listing.walk((root for root in roots if os.path.isdir(root)), str(avoid))
    for root in roots:
        if not os.path.isdir(root):
            listing.add(root)
    listing.files = dict(sorted(listing.files.items()))
    listing.skipped.sort()
    return listing


def roots_of(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The paths as absolute ones, sorted, each once. Links are resolved, but for a file's own name."""
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
    if os.path.isfile(path):
        head, tail = os.path.split(os.path.abspath(path))
        return os.path.join(os.path.realpath(head), tail)
    return os.path.realpath(path)
