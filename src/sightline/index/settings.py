"""What lasts from run to run: the folders that are indexed, and patterns of what is to be left out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sightline.errors import UsageError
from sightline.index import walk
from sightline.index.exclude import DEFAULTS
from sightline.index.folder import SETTINGS, damaged, read_note, write_note
from sightline.index.uri import to_text, to_uri


@dataclass(frozen=True)
class Settings:
    """`folders`: the folders and files that are indexed, none of them below another. `exclude`: patterns of what is
    left out beside the default ones. `include`: default patterns that were taken back. See `exclude.Patterns`.
    `disks`: the folders below these at which disks were mounted."""

    folders: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    disks: tuple[str, ...] = ()

    @property
    def patterns(self) -> tuple[str, ...]:
        """All patterns that hold."""
        return (*(pattern for pattern in DEFAULTS if pattern not in self.include), *self.exclude)

    def with_folders(self, roots: Sequence[str]) -> "Settings":
        """Of a folder and what lies below it only the folder is kept."""
        folders = {*self.folders, *roots}
        return replace(self, folders=tuple(sorted(path for path in folders if not _has_parent_in(path, folders))))

    def without_folders(self, roots: Sequence[str]) -> "Settings":
        """Without these folders and those below them."""
        folders, disks = (
            tuple(path for path in paths if not any(walk.is_below(path, root) for root in roots))
            for paths in (self.folders, self.disks)
        )
        return replace(self, folders=folders, disks=disks)

    def with_disks(self, roots: Sequence[str], disks: Iterable[str]) -> "Settings":
        """With these disks as those below the roots."""
        others = (disk for disk in self.disks if not any(walk.is_below(disk, root) for root in roots))
        return replace(self, disks=tuple(sorted({*others, *disks})))

    def with_patterns(self, exclude: Sequence[str], include: Sequence[str]) -> "Settings":
        """With the patterns `exclude`, without the patterns `include`. Raises UsageError for one to take back that does
        not hold."""
        for pattern in include:
            if pattern not in self.patterns:
                held = ", ".join(self.patterns)
                raise UsageError(f"{pattern!r} is no pattern by which files are left out; these are: {held}")
        kept = tuple(dict.fromkeys((*self.exclude, *(p for p in exclude if p not in DEFAULTS))))
        taken_back = dict.fromkeys((*self.include, *(pattern for pattern in include if pattern in DEFAULTS)))
        return replace(
            self,
            exclude=tuple(pattern for pattern in kept if pattern not in include),
            include=tuple(pattern for pattern in taken_back if pattern not in exclude),
        )


def read_settings(folder: Path) -> Settings:
    """Of the index in `folder`. Raises IndexDamaged, and IndexFault if they may not be read."""
    note = read_note(folder / SETTINGS) or {}
    values = [note.get(name, []) for name in ("folders", "exclude", "include", "disks")]
    if not all(isinstance(value, list) and all(map(_is_text, value)) for value in values):
        raise damaged(folder / SETTINGS)
    folders, exclude, include, disks = values
    return Settings(tuple(map(to_text, folders)), tuple(exclude), tuple(include), tuple(map(to_text, disks)))


def write_settings(folder: Path, settings: Settings) -> None:
    """Unless they are those that are there. Needs the writer's lock."""
    if settings != read_settings(folder):
        note = {"folders": list(map(to_uri, settings.folders)), "exclude": list(settings.exclude)}
        if settings.include:
            note["include"] = list(settings.include)
        if settings.disks:
            note["disks"] = list(map(to_uri, settings.disks))
        write_note(folder / SETTINGS, note)


def _is_text(value: object) -> bool:
    """Whether a value of a JSON file is a text, without halves of UTF-16 pairs, which JSON can hold."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


def _has_parent_in(path: str, folders: set[str]) -> bool:
    return any(str(parent) in folders for parent in Path(path).parents)
