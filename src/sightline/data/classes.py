"""Names of classes, and the texts that they are put into."""

import csv
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sightline.errors import UsageError

PHOTO = "a photo of a {}."
BARE = "{}"
"""What a class is put into where nothing else is said: for pictures as in Radford et al. (2021), section 3.1.4; the
class of a film stands alone, as in Ni et al. (2022)."""

_PLACE = re.compile(r"\{\w*\}")
_WORDNET = re.compile(r"n\d{8}")


@dataclass(frozen=True)
class Classes:
    """`names` of classes, and the number by which data may call each; `templates` if they came along."""

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    templates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            raise UsageError(f"{', '.join(self.names) or 'no class'} alone: to tell apart, there must be two classes")
        if len(set(self.numbers)) < len(self.numbers):
            raise UsageError("two classes have the same number")

    @classmethod
    def of(cls, folders: Sequence[str]) -> "Classes":
        """As folders are named: "golden_retriever" is a golden retriever."""
        return cls(tuple(name.replace("_", " ") for name in folders), tuple(range(len(folders))))

    def find(self, called: Sequence[str]) -> list[int]:
        """Where in `names` each of the data's classes is: by its name (capitals, "_" and "-" don't matter), by its
        number, or, for as many WordNet ids as there are names, by their order. Raises `UsageError`."""
        places: dict[str, list[int]] = {}
        for place, name in enumerate(self.names):
            places.setdefault(_plain(name), []).append(place)
        if not any(_plain(one) in places for one in called):
            if all(one.isdecimal() for one in called):
                places = {str(number): [place] for place, number in enumerate(self.numbers)}
            if len(called) == len(self.names) and all(_WORDNET.fullmatch(one) for one in called):
                return [sorted(called).index(one) for one in called]
        found = []
        for one in called:
            here = places.get(_plain(one), [])
            if not here:
                near = get_close_matches(_plain(one), places, 1)
                hint = f"; did you mean {self.names[places[near[0]][0]]!r}?" if near else ""
                raise UsageError(f"the data's class {one!r} is not among the {len(self.names)} that are given{hint}")
            if len(here) > 1:
                raise UsageError(f"the data's class {one!r} is {len(here)} times among those that are given")
            found.append(here[0])
        return found


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[_\-\s]+", " ", name).casefold().split())


def read_classes(source: str | os.PathLike[str]) -> Classes:
    """A list of classes from a file.

    Text: a class a line, numbered from 0. CSV, TSV: a column "name", and "id" for the numbers. JSON: a list, or
    {"classes": [...], "templates": [...]}, or several of these by name, of which "FILE.json#NAME" means one. YAML: the
    lines "NUMBER: NAME". Raises `UsageError`.
    """
    path, content = _read(source)
    suffix = path.suffix.lower()
    templates: Sequence[Any] = ()
    if suffix == ".json":
        data = _of_json(source)
        names = data if isinstance(data, list) else data.get("classes")
        templates = () if isinstance(data, list) else data.get("templates", ())
        if not isinstance(names, list):
            raise UsageError(f'{source}: no list of classes in it; it takes {{"classes": [...]}}')
        numbers: list[int] = list(range(len(names)))
    elif suffix in (".csv", ".tsv"):
        rows = list(csv.DictReader(content.splitlines(), delimiter="," if suffix == ".csv" else "\t"))
        if not rows or rows[0].get("name") is None:
            raise UsageError(f'{source}: no column "name" in it (and "id", if the numbers matter)')
        names = [row["name"] for row in rows]
        numbers = [_number(source, row.get("id", at)) for at, row in enumerate(rows)]
    elif suffix in (".yaml", ".yml"):
        pairs = re.findall(r"^\s+(\d+)\s*:\s*['\"]?(.+?)['\"]?\s*$", content, re.MULTILINE)
        names, numbers = [name for _, name in pairs], [int(number) for number, _ in pairs]
    else:
        names = [line.strip() for line in content.splitlines() if line.strip()]
        numbers = list(range(len(names)))
    if strange := [name for name in names if not isinstance(name, str) or not name.strip()]:
        raise UsageError(f"{source}: {strange[0]!r} is no name of a class")
    try:
        return Classes(tuple(names), tuple(numbers), tuple(map(check_template, templates)))
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from error


def read_templates(given: Sequence[str]) -> list[str]:
    """Texts with a place for the class ("{}"), each given as it is or in a file: a text a line, or JSON's "templates".
    Raises `UsageError`."""
    templates: list[str] = []
    for one in given:
        if "{" in one:
            templates.append(check_template(one))
            continue
        path, content = _read(one)
        if path.suffix.lower() == ".json":
            data = _of_json(one)
            lines = data if isinstance(data, list) else data.get("templates")
        else:
            lines = [line.strip() for line in content.splitlines() if line.strip()]
        if not isinstance(lines, list) or not lines:
            raise UsageError(f"{one}: no templates in it")
        templates += map(check_template, lines)
    return templates


def check_template(template: Any) -> str:
    """The template with "{}" for its place, however that was called. Raises `UsageError`."""
    if not isinstance(template, str) or len(_PLACE.findall(template)) != 1:
        raise UsageError(f'the template {template!r} needs one "{{}}", where the class goes')
    return _PLACE.sub("{}", template)


def _read(source: str | os.PathLike[str]) -> tuple[Path, str]:
    """The file and what is in it, without the part of its name after "#"."""
    path = Path(source)
    if not path.exists():
        path = Path(os.fspath(source).rpartition("#")[0] or source)
    try:
        return path, path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"{path}: no text in UTF-8") from error


def _of_json(source: str | os.PathLike[str]) -> Any:
    """A list, or the object that is meant."""
    path, content = _read(source)
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON ({error})") from error
    if isinstance(data, dict) and not data.keys() & {"classes", "templates"}:
        wanted = os.fspath(source).rpartition("#")[2]
        if wanted not in data:
            raise UsageError(f"{path}: holds several lists; say which: " + ", ".join(f"{path}#{name}" for name in data))
        data = data[wanted]
    if not isinstance(data, dict | list):
        raise UsageError(f"{source}: holds {type(data).__name__}, expected a list or an object")
    return data


def _number(source: str | os.PathLike[str], given: Any) -> int:
    try:
        return int(given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{source}: {given!r} is no number of a class") from error
