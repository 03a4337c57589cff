"""Lists of classes, and of the templates that make texts of them, from the files that people have."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sightline.data.delimited import delimited_records
from sightline.data.left_out import LeftOut
from sightline.data.texts import read_text
from sightline.errors import DataError, UsageError
from sightline.templates import check_template

_WORDNET = re.compile(r"n\d{8}")


@dataclass(frozen=True)
class Classes:
    """`names` of classes, the `numbers` by which data may call them, and the `templates` that came with the list."""

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
        """Classes named as folders are: "golden_retriever" is a golden retriever. Raises `UsageError` for numbers and
        WordNet's ids, which are no words."""
        for kind, is_of_kind in (("numbers", str.isdecimal), ("WordNet ids", _WORDNET.fullmatch)):
            if folders and all(map(is_of_kind, folders)):
                some = ", ".join(folders[:3]) + (", ..." if len(folders) > 3 else "")
                raise UsageError(
                    f"the data's classes are {kind} ({some}), which say nothing to a model: give their names with "
                    f"--classes FILE, a line each in the order of the {kind}"
                )
        return cls(tuple(name.replace("_", " ") for name in folders), tuple(range(len(folders))))

    def find(self, labels: Sequence[str]) -> list[int]:
        """The position in `names` of each of the data's labels: by name (capitals, "_" and "-" don't matter), by
        number, or, for as many WordNet ids as there are names, by their order. Raises `UsageError`."""
        positions: dict[str, list[int]] = {}
        for position, name in enumerate(self.names):
            positions.setdefault(_plain(name), []).append(position)
        if not any(_plain(label) in positions for label in labels):
            if all(label.isdecimal() for label in labels):
                positions = {str(number): [position] for position, number in enumerate(self.numbers)}
            if len(labels) == len(self.names) and all(_WORDNET.fullmatch(label) for label in labels):
                return [sorted(labels).index(label) for label in labels]
        return [self._only(label, positions) for label in labels]

    def _only(self, label: str, positions: Mapping[str, Sequence[int]]) -> int:
        matching = positions.get(_plain(label), [])
        if not matching:
            near = get_close_matches(_plain(label), positions, 1)
            hint = f"; did you mean {self.names[positions[near[0]][0]]!r}?" if near else ""
            raise UsageError(f"the data's class {label!r} is not among the {len(self.names)} that are given{hint}")
        if len(matching) > 1:
            raise UsageError(f"the data's class {label!r} is {len(matching)} times among those that are given")
        return matching[0]


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[_\-\s]+", " ", name).casefold().split())


def classes_beside(shard: Path) -> Classes | None:
    """The classes in classnames.txt beside a shard, or in the folder above, as CLIP benchmark's data sets have it; with
    the templates in zeroshot_classification_templates.txt. None where there is none. Raises `UsageError`."""
    for folder in shard.absolute().parents[:2]:
        if (folder / "classnames.txt").is_file():
            found = read_classes(folder / "classnames.txt")
            templates = folder / "zeroshot_classification_templates.txt"
            return replace(found, templates=tuple(read_templates([str(templates)]))) if templates.is_file() else found
    return None


def read_classes(source: str | os.PathLike[str]) -> Classes:
    """A list of classes from a file.

    Text: a class a line, numbered from 0. CSV, TSV: a column "name", and "id" for the numbers. JSON: a list, or
    {"classes": [...], "templates": [...]}, or several of these by name, of which "FILE.json#NAME" picks one. YAML: the
    first mapping {NUMBER: NAME}, at the top or under any key. Raises `UsageError`.
    """
    suffix = _path_of(source).suffix.lower()
    templates: Sequence[Any] = ()
    if suffix == ".json":
        data = _json_list(source)
        names = data if isinstance(data, list) else data.get("classes")
        templates = () if isinstance(data, list) else data.get("templates", ())
        if not isinstance(names, list):
            raise UsageError(f'{source}: no list of classes in it; it takes {{"classes": [...]}}')
        by_number = list(enumerate(names))
    elif suffix in (".csv", ".tsv"):
        by_number = _of_table(source)
    elif suffix in (".yaml", ".yml"):
        by_number = _of_yaml(source)
    else:
        by_number = list(enumerate(_lines(source)))
    if wrong := [name for _, name in by_number if not isinstance(name, str) or not name.strip()]:
        raise UsageError(f"{source}: {wrong[0]!r} is no name of a class")
    numbers, names = zip(*by_number, strict=True) if by_number else ((), ())
    try:
        return Classes(tuple(names), tuple(numbers), tuple(map(check_template, templates)))
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from error


def _of_table(source: str | os.PathLike[str]) -> list[tuple[int, Any]]:
    records = delimited_records(_path_of(source), _read(source), lambda cells: "name" in cells, LeftOut())
    columns = [cell.strip() for cell in records[0].cells] if records else []
    if len(records) < 2 or "name" not in columns:
        raise UsageError(f'{source}: no column "name" in it (and "id", if the numbers matter)')
    classes = []
    for position, record in enumerate(records[1:]):
        if len(record.cells) != len(columns):
            fault = record.fault or "with more or fewer columns than the first line"
            raise UsageError(f"{source}: {record} is one {fault}")
        row = dict(zip(columns, map(str.strip, record.cells), strict=True))
        number = row.get("id", str(position))
        if not number.isdecimal():
            raise UsageError(f"{source}: {number!r} in {record} is no number of a class")
        classes.append((int(number), row["name"]))
    return classes


def _of_yaml(source: str | os.PathLike[str]) -> list[tuple[int, Any]]:
    import yaml

    try:
        # Of this loader's scalars all are strings: a class named "no" or "1e3" stays what it is.
        data = yaml.load(_read(source), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{source}: not YAML ({' '.join(str(error).split())})") from error
    for mapping in _mappings(data):
        if mapping and all(key.isdecimal() and isinstance(name, str) for key, name in mapping.items()):
            return [(int(number), name) for number, name in mapping.items()]
    raise UsageError(f"{source}: no mapping of numbers to names in it")


def _mappings(data: Any) -> Iterator[dict[str, Any]]:
    """All mappings in YAML, an outer one before those inside it."""
    if isinstance(data, dict):
        yield data
        for value in data.values():
            yield from _mappings(value)


def read_templates(sources: Sequence[str]) -> list[str]:
    """Templates, texts with "{}" for the class. Each source is a template or a file of them: a line each, or JSON's
    "templates". Raises `UsageError`."""
    templates: list[str] = []
    for source in sources:
        if "{" in source:
            templates.append(check_template(source))
            continue
        if not _path_of(source).is_file():
            raise UsageError(f'{source}: no such file or folder, and no template: that has one "{{}}", for the class')
        if _path_of(source).suffix.lower() == ".json":
            data = _json_list(source)
            texts = data if isinstance(data, list) else data.get("templates")
        else:
            texts = _lines(source)
        if not isinstance(texts, list) or not texts:
            raise UsageError(f"{source}: no templates in it")
        templates += map(check_template, texts)
    return templates


def _path_of(source: str | os.PathLike[str]) -> Path:
    """The file of "FILE" or "FILE#NAME"."""
    path = Path(source)
    return path if path.exists() else Path(os.fspath(source).rpartition("#")[0] or source)


def _read(source: str | os.PathLike[str]) -> str:
    try:
        return read_text(_path_of(source), LeftOut())
    except DataError as error:
        raise UsageError(str(error)) from error


def _lines(source: str | os.PathLike[str]) -> list[str]:
    """The lines of a text that are not empty."""
    return [line.strip() for line in _read(source).splitlines() if line.strip()]


def _json_list(source: str | os.PathLike[str]) -> Any:
    """A JSON file's list, or its object with "classes" or "templates", which may be one of several, chosen by #NAME."""
    path = _path_of(source)
    try:
        data = json.loads(_read(source))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON ({error})") from error
    if isinstance(data, dict) and not data.keys() & {"classes", "templates"}:
        name = os.fspath(source).rpartition("#")[2]
        if name not in data:
            raise UsageError(f"{path}: holds several lists; say which: " + ", ".join(f"{path}#{key}" for key in data))
        data = data[name]
    if not isinstance(data, dict | list):
        raise UsageError(f"{source}: holds {type(data).__name__}, expected a list or an object")
    return data
