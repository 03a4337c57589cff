"""Files of captions, tables and JSON of several layouts, read into samples."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sightline.data import coco, karpathy, msr_vtt
from sightline.data.entry import Entry, json_objects
from sightline.data.media import MediaFiles
from sightline.data.paths import PathOrPaths
from sightline.data.sample import LeftOut, Sample
from sightline.data.tables import row_entries, select_splits, table_entries
from sightline.errors import DataError

JSON_LAYOUTS: Sequence[tuple[Callable[[Any], bool], Callable[[Any, LeftOut], Iterator[Entry]]]] = (
    (coco.matches, coco.entries),
    (karpathy.matches, karpathy.entries),
    (msr_vtt.matches, msr_vtt.entries),
)
"""Each layout's test and its reader, in the order in which they are tried."""


def read_annotations(
    path: Path, splits: Sequence[str] | None, image_root: PathOrPaths | None, left_out: LeftOut
) -> list[Sample]:
    """The samples of a table, or of JSON in one of `JSON_LAYOUTS` or as a list of objects, which are a table's rows.

    A sample for each file that is named, with the captions of all its entries. `splits`: only the entries of these;
    None: all. `image_root`: where the files are; None: beside `path`. What is no entry, or has no caption or file, goes
    to `left_out`. Raises `DataError`, `UsageError`.
    """
    entries = list(_json_entries(path, left_out) if path.suffix.lower() == ".json" else table_entries(path, left_out))
    if splits is not None:
        entries = select_splits(path, entries, splits, lambda entry: entry.split)
    captions: dict[str, list[str]] = {}
    for entry in entries:
        captions.setdefault(entry.name, []).extend(entry.captions)
    files = MediaFiles(path.parent if image_root is None else image_root)
    samples = []
    for name, of_file in captions.items():
        if not of_file:
            left_out.add("with no caption", name)
        elif (media := files.find(name, left_out)) is not None:
            samples.append(Sample(name, media, tuple(of_file)))
    return samples


def _json_entries(path: Path, left_out: LeftOut) -> Iterator[Entry]:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}); fetch the file again") from error
    if isinstance(data, list):
        return row_entries(path, json_objects(data, left_out), left_out)
    for matches, entries in JSON_LAYOUTS:
        if matches(data):
            return entries(data, left_out)
    raise DataError(
        f'{path}: no data set that is known here: Karpathy\'s has "images" with "sentences", COCO\'s "images" and '
        '"annotations", MSR-VTT\'s "videos" and "sentences"; a list of objects is a table'
    )
