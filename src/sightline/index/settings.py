"""What lasts from run to run: the folders that are indexed, and patterns of what is to be left out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sightline.index import walk
from sightline.index.folder import SETTINGS, damaged, read_note, write_note
from sightline.index.uri import to_text, to_uri


@dataclass(frozen=True)
class Settings:
    """`folders`: the folders and files that are indexed, none of them below another. `exclude`: patterns of paths to
    leave out."""

    folders: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def with_folders(self, roots: Sequence[str]) -> "Settings":
        """Of a folder and what lies below it only the folder is kept."""
        folders = {*self.folders, *roots}
        return replace(self, folders=tuple(sorted(path for path in folders if not _has_parent_in(path, folders))))

    def without_folders(self, roots: Sequence[str]) -> "Settings":
        """Without these folders and those below them."""
        return replace(self, folders=tuple(p for p in self.folders if not any(walk.is_below(p, r) for r in roots)))


def read_settings(folder: Path) -> Settings:
    """Of the index in `folder`. Raises IndexDamaged, and IndexFault if they may not be read."""
    note = read_note(folder / SETTINGS) or {}
    values = [note.get(name, []) for name in ("folders", "exclude")]
    if not all(isinstance(value, list) and all(map(_is_text, value)) for value in values):
        raise damaged(folder / SETTINGS)
    folders, exclude = values
    return Settings(tuple(map(to_text, folders)), tuple(exclude))


def write_settings(folder: Path, settings: Settings) -> None:
    """Unless they are those that are there. Needs the writer's lock."""
    if settings != read_settings(folder):
        folders = [to_uri(path) for path in settings.folders]
        write_note(folder / SETTINGS, {"folders": folders, "exclude": list(settings.exclude)})


def _is_text(value: object) -> bool:
    """Whether a value of a JSON file is a text, without halves of UTF-16 pairs, which JSON can hold."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


def _has_parent_in(path: str, folders: set[str]) -> bool:
    return any(str(parent) in folders for parent in Path(path).parents)
