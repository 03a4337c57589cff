"""Files of captions, tables and JSON of several layouts, read into entries."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sightline.data import coco, karpathy, msr_vtt
from sightline.data.entry import Entry, json_objects, select_splits
from sightline.data.sample import LeftOut
from sightline.data.tables import read_table, row_entries
from sightline.errors import DataError

JSON_LAYOUTS: Sequence[tuple[Callable[[Any], bool], Callable[[Any, LeftOut], Iterator[Entry]]]] = (
    (coco.matches, coco.entries),
    (karpathy.matches, karpathy.entries),
    (msr_vtt.matches, msr_vtt.entries),
)
"""Each layout's test and its reader, in the order in which they are tried."""


def read_entries(path: Path, splits: Sequence[str] | None, left_out: LeftOut) -> list[Entry]:
    """The entries of a table, or of JSON in one of `JSON_LAYOUTS` or as a list of objects, which are a table's rows.

    `splits`: only the entries of these; None: all. What is no entry goes to `left_out`. Raises `DataError`.
    """
    entries = list(_json_entries(path, left_out) if path.suffix.lower() == ".json" else _table_entries(path, left_out))
    return entries if splits is None else select_splits(path, entries, splits, lambda entry: entry.split)


def _table_entries(path: Path, left_out: LeftOut) -> Iterator[Entry]:
    return row_entries(path, read_table(path, left_out), left_out)


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
