"""An entry: what a table or a JSON file says of an image or video. All layouts of such files are read into entries."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sightline.data.sample import LeftOut

NO_RECORD = "that are no record of the kind"
"""The reason for which a value that is no entry is left out."""


@dataclass(frozen=True)
class Entry:
    """`captions` of the file `name`; a file may have several entries. `split` is None if the data has no splits."""

    name: str
    captions: tuple[str, ...]
    split: str | None


def make_entry(name: str, captions: Iterable[Any], split: Any) -> Entry:
    """The name as a plain path, so that entries of one file come together; captions that are empty or no text go."""
    texts = tuple(text.strip() for text in captions if isinstance(text, str) and text.strip())
    return Entry(str(PurePosixPath(name)), texts, None if split is None else str(split))


def json_objects(values: list[Any], left_out: LeftOut) -> list[dict[str, Any]]:
    """The values that are objects; the others go to `left_out`."""
    for value in values:
        if not isinstance(value, dict):
            left_out.add(NO_RECORD, str(value)[:60])
    return [value for value in values if isinstance(value, dict)]


def captions_by_id(notes: list[Any], id_key: str, left_out: LeftOut) -> dict[str, list[Any]]:
    """The captions of each image or video, of objects {`id_key`: ..., "caption": ...}."""
    captions: dict[str, list[Any]] = {}
    for note in json_objects(notes, left_out):
        captions.setdefault(str(note.get(id_key)), []).append(note.get("caption"))
    return captions
