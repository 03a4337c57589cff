"""What tables and the field's JSON files say: of each picture or film its name, its captions and its split."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sightline.data import tables
from sightline.data.sample import LeftOut
from sightline.errors import DataError

_RECORD = "that are no record of the kind"


@dataclass(frozen=True)
class Entry:
    """What is said of a file, in one place of perhaps several. `split` is None where there are no splits."""

    name: str
    captions: tuple[str, ...]
    split: str | None


def read(path: Path, left_out: LeftOut) -> list[Entry]:
    """The entries of a table or a JSON file, in its order. What is no entry goes to `left_out`. Raises `DataError`.

    JSON: Karpathy's splits (https://cs.stanford.edu/people/karpathy/deepimagesent/), COCO's captions
    (https://cocodataset.org/#format-data, 5), MSR-VTT's videodatainfo, or a list of objects, taken as the rows of a
    table.
    """
    if path.suffix.lower() != ".json":
        return list(_rows(path, tables.read_table(path, left_out), left_out))
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}); fetch the file again") from error
    if isinstance(data, list):
        return list(_rows(path, _objects(data, left_out), left_out))
    lists = {key for key, value in data.items() if isinstance(value, list)} if isinstance(data, dict) else set()
    if {"images", "annotations"} <= lists:
        return list(_coco(data, left_out))
    if "images" in lists:
        return list(_karpathy(data["images"], left_out))
    if {"videos", "sentences"} <= lists:
        return list(_msr_vtt(data, left_out))
    raise DataError(
        f'{path}: no data set that is known here: Karpathy\'s has "images" with "sentences", COCO\'s "images" and '
        '"annotations", MSR-VTT\'s "videos" and "sentences"; a list of objects is a table'
    )


def _rows(path: Path, rows: Sequence[tables.Row], left_out: LeftOut) -> Iterator[Entry]:
    file = tables.columns(path, rows, tables.FILE, "files")[0]
    caption_columns = tables.columns(path, rows, tables.CAPTION, "captions")
    split = tables.split_column(rows)
    for number, row in enumerate(rows, 1):
        name = row.get(file)
        if not isinstance(name, str) or not name.strip():
            left_out.add("that name no file", f"row {number}")
            continue
        yield _entry(name.strip(), tables.said(map(row.get, caption_columns)), row.get(split) if split else None)


def _karpathy(images: list[Any], left_out: LeftOut) -> Iterator[Entry]:
    for image in _objects(images, left_out):
        name, folder = image.get("filename"), image.get("filepath")
        if not isinstance(name, str) or not name:
            left_out.add(_RECORD, str(image)[:60])
            continue
        sentences = image.get("sentences")
        said = [one.get("raw") for one in sentences if isinstance(one, dict)] if isinstance(sentences, list) else []
        yield _entry(f"{folder}/{name}" if isinstance(folder, str) and folder else name, said, image.get("split"))


def _coco(data: dict[str, Any], left_out: LeftOut) -> Iterator[Entry]:
    said: dict[Any, list[Any]] = {}
    for note in _objects(data["annotations"], left_out):
        said.setdefault(str(note.get("image_id")), []).append(note.get("caption"))
    for image in _objects(data["images"], left_out):
        name = image.get("file_name")
        if isinstance(name, str) and name:
            yield _entry(name, said.get(str(image.get("id")), []), None)
        else:
            left_out.add(_RECORD, str(image)[:60])


def _msr_vtt(data: dict[str, Any], left_out: LeftOut) -> Iterator[Entry]:
    said: dict[Any, list[Any]] = {}
    for sentence in _objects(data["sentences"], left_out):
        said.setdefault(str(sentence.get("video_id")), []).append(sentence.get("caption"))
    for video in _objects(data["videos"], left_out):
        name = video.get("video_id")
        if isinstance(name, str) and name:
            yield _entry(name, said.get(name, []), video.get("split"))
        else:
            left_out.add(_RECORD, str(video)[:60])


def _entry(name: str, said: Iterable[Any], split: Any) -> Entry:
    """A path is made plain, so that rows of one file come together."""
    captions = tuple(text.strip() for text in said if isinstance(text, str) and text.strip())
    return Entry(str(PurePosixPath(name)), captions, None if split is None else str(split))


def _objects(given: list[Any], left_out: LeftOut) -> list[dict[str, Any]]:
    objects = [one for one in given if isinstance(one, dict)]
    for one in given:
        if not isinstance(one, dict):
            left_out.add(_RECORD, str(one)[:60])
    return objects
