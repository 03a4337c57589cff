"""The options by which `search` and `similar` look at a part of the items: --where, and what is asked for most.

Each option is a condition of the grammar in docs/filters.md; all of them must hold.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sightline.cli.options import option, typed
from sightline.errors import UsageError

if TYPE_CHECKING:
    from sightline.index import Table

WhereOption = Annotated[
    list[str] | None,
    option(
        "CONDITION",
        "Look only at items that fulfil this condition on the columns that `sightline info` lists, such as "
        "\"width > height and camera_make = 'Canon'\"; docs/filters.md has the grammar. May be repeated: all must "
        "hold. Default: look at all items.",
        "--where",
    ),
]
SinceOption = Annotated[
    str | None,
    option(
        "DATE",
        "Look only at what was taken in this year, month, day or minute (2019, 2019-06, 2019-06-30, "
        '"2019-06-30 18:00") or later. Default: from the first.',
    ),
]
UntilOption = Annotated[
    str | None,
    option(
        "DATE", "Look only at what was taken before the end of this year, month, day or minute. Default: to the last."
    ),
]
FolderOption = Annotated[
    list[Path] | None,
    option(
        "PATH",
        "Look only at files in this folder or below it. May be repeated: in any of them. Default: in all folders.",
        "--folder",
    ),
]
KindOption = Annotated[
    Literal["image", "moment"] | None,
    option(None, "Look only at images, or only at moments of videos. Default: at both."),
]
CameraOption = Annotated[
    str | None,
    option("TEXT", "Look only at items whose camera's maker or model has these words in it. Default: any camera."),
]
NearOption = Annotated[
    str | None,
    option(
        "LAT,LON,KM",
        "Look only at items taken at most so many kilometres from this place in degrees, such as 48.858,2.294,1.5. "
        "Default: anywhere.",
    ),
]
RatingOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=5,
        show_default=False,
        help="Look only at items with this many stars or more. Default: any.",
    ),
]

_COLUMNS = {
    "--since": "taken", "--until": "taken", "--near": "latitude", "--rating": "rating", "--camera": "camera_model",
}  # fmt: skip
"""Of which column each option leaves out the nulls."""
_MISSING = {"taken": "date", "latitude": "place", "rating": "rating", "camera_model": "camera"}
"""What an item lacks whose column is null."""
_COUNTED = ("taken", "latitude")
"""How many items lack these is said also where others are left."""

_LISTED = 8
"""So many cameras are named where none is found."""


class Filters:
    """The options as they were given, and the condition that each is: `conditions`, "--rating 3" -> "rating >= 3"."""

    def __init__(
        self,
        where: Sequence[str] | None,
        since: str | None,
        until: str | None,
        folder: Sequence[Path] | None,
        kind: str | None,
        camera: str | None,
        near: str | None,
        rating: int | None,
    ) -> None:
        """Raises UsageError for a value that says nothing."""
        self._folders = {path: _below(path) for path in folder or ()}
        self.conditions: dict[str, str] = {f"--where {text!r}": text for text in map(typed, where or ())}
        if since is not None:
            self.conditions[f"--since {since}"] = f"taken >= {_date('--since', since)}"
        if until is not None:
            self.conditions[f"--until {until}"] = f"taken <= {_date('--until', until)}"
        if folder:
            self.conditions[" ".join(f"--folder {path}" for path in folder)] = " OR ".join(self._folders.values())
        if kind is not None:
            self.conditions[f"--kind {kind}"] = f"kind = '{kind}'"
        if camera is not None:
            camera = typed(camera)
            self.conditions[f"--camera {camera}"] = _camera(camera)
        if near is not None:
            self.conditions[f"--near {near}"] = _near(near)
        if rating is not None:
            self.conditions[f"--rating {rating}"] = f"rating >= {rating}"

    def where(self, table: "Table") -> str | None:
        """All of them as one condition, None if there is none. Raises UsageError for one that the table can't have."""
        for given, condition in self.conditions.items():
            try:
                table.condition_sql(condition)
            except UsageError as error:
                raise error if given.startswith("--where") else UsageError(f"{given}: {error}") from None
        return _all(self.conditions.values()) or None

    def notes(self, table: "Table") -> list[str]:
        """How many items are left out only because it is not known when, or where, they were taken; which of several
        folders hold nothing."""
        notes = [
            f"no item lies below {path}" for path, below in self._folders.items() if not len(table.ids_where(below))
        ]
        for column in _COUNTED:
            others = [text for given, text in self.conditions.items() if _COLUMNS.get(given.split()[0]) != column]
            if len(others) < len(self.conditions):
                unknown = _all([*others, f"{column} IS NULL"])
                if count := len(table.ids_where(unknown)):
                    notes.append(f"left out: {count:,} without a {_MISSING[column]}")
        return notes

    def why_nothing(self, table: "Table") -> str:
        """Which of the options leaves nothing; what the index lacks, if it is that."""
        if not table.count():
            return "the index is empty"
        empty = [given for given, condition in self.conditions.items() if not len(table.ids_where(condition))]
        if empty:
            return "; ".join(self._why_empty(given, table) for given in empty)
        if len(self.conditions) == 1:
            return "no item fulfils the condition"
        return f"each of {', '.join(self.conditions)} is fulfilled by some item, but all together by none"

    def _why_empty(self, given: str, table: "Table") -> str:
        from sightline.index.settings import read_settings

        if given.startswith("--folder"):
            folders = ", ".join(read_settings(table.folder).folders) or "unknown"
            return f"no item lies below {', '.join(map(str, self._folders))} (indexed: {folders})"
        if given.startswith("--where"):
            return f"no item fulfils {given}{_in_any_case(self.conditions[given], table)}"
        if given.startswith("--camera") and (cameras := _cameras(table)):
            return f"no item fulfils {given} (cameras: {', '.join(cameras)})"
        column = _COLUMNS.get(given.split()[0])
        if column is not None and not len(table.ids_where(f"{column} IS NOT NULL")):
            return f"no item fulfils {given}: none has a {_MISSING[column]}"
        return f"no item fulfils {given}"


def _all(conditions: Iterable[str]) -> str:
    return " AND ".join(f"({condition})" for condition in conditions)


def _date(flag: str, text: str) -> str:
    from sightline.index.filter import Unsuitable, period, quoted

    try:
        if period(text).first.tzinfo is not None:
            raise Unsuitable("the camera's clock has no zone: leave out what follows the time")
    except Unsuitable as error:
        raise UsageError(f"{flag} {text}: {error}") from None
    return quoted(text)


def _below(folder: Path) -> str:
    """The index holds paths without the links that lead to its folders, but with those that lie in them."""
    from sightline.index.filter import quoted

    path = os.path.abspath(os.path.expanduser(folder))  # noqa: PTH100, PTH111 (pathlib raises for some names)
    return " OR ".join(f"uri BELOW {quoted(name)}" for name in dict.fromkeys((path, os.path.realpath(path))))


def _camera(words: str) -> str:
    from sightline.index.filter import containing

    if not words.split():
        raise UsageError("--camera: name a camera, or a part of its name")
    return " AND ".join(
        f"(camera_make ILIKE {containing(word)} OR camera_model ILIKE {containing(word)})" for word in words.split()
    )


def _cameras(table: "Table") -> list[str]:
    """The commonest cameras of the index, and how many more there are."""
    names = table.columns(["camera_make", "camera_model"], "camera_make IS NOT NULL OR camera_model IS NOT NULL")
    counts = Counter(_camera_name(**row) for row in names.to_pylist())
    listed = [name for name, _ in counts.most_common(_LISTED)]
    return [*listed, f"{len(counts) - _LISTED:,} more"] if len(counts) > _LISTED else listed


def _camera_name(camera_make: str | None, camera_model: str | None) -> str:
    """Most makers are named in the model too."""
    make, model = camera_make or "", camera_model or ""
    return model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()


def _in_any_case(condition: str, table: "Table") -> str:
    """How many items a condition that finds none would find if it did not tell capitals from small letters."""
    changed = re.sub(r"(?<![<>=!])==?\s*(?=')|\bLIKE\b", " ILIKE ", condition, flags=re.IGNORECASE)
    try:
        count = len(table.ids_where(changed))
    except UsageError:
        return ""
    return f"; {count:,} would with ILIKE, which takes capitals and small letters for the same" if count else ""


def _near(place: str) -> str:
    from sightline.index.filter import Unsuitable, check_place

    try:
        north, east, km = (float(part) for part in unicodedata.normalize("NFKC", place).split(","))
        check_place(north, east, km)
    except ValueError:
        raise UsageError(
            f"--near {place}: give degrees north, degrees east and kilometres, with commas between: 48.858,2.294,1.5"
        ) from None
    except Unsuitable as error:
        raise UsageError(f"--near {place}: {error}") from None
    return f"NEAR ({north!r}, {east!r}, {km!r})"
