"""What is known of items, as rows of the table."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sightline.index.item import Facts
from sightline.index.schema import METADATA_COLUMNS, ModelRecord, item_schema
from sightline.index.uri import to_uri
from sightline.processing.metadata import Metadata, read_image_metadata, read_video_metadata
from sightline.processing.suffixes import is_video

_THREADS = 8
"""Headers that are read at a time: waiting for the disk is most of the work."""

UNSTORABLE = (ValueError, TypeError, OverflowError)
"""What Arrow raises for a value that a column cannot hold."""


class Content(NamedTuple):
    """What a row holds of an image, or of a moment: facts, vector (dim,), the rows kept beside the vector, and the
    numbers in which the vector was computed."""

    facts: Facts
    vector: NDArray[np.float32]
    extras: NDArray[np.float16] | None
    precision: str

    def is_finite(self) -> bool:
        return all(np.isfinite(array).all() for array in (self.vector, self.extras) if array is not None)


@dataclass(frozen=True)
class Row:
    """A row on its way into the table; its file has `moments` of them if it is a video."""

    id: int
    path: Path
    content: Content
    moments: int | None


def to_arrow(rows: Sequence[Row], model: ModelRecord) -> pa.Table:
    """Whole rows, in the table's schema. Raises one of UNSTORABLE for a value that the table cannot hold; in metadata
    it is null."""
    schema = item_schema(model)
    facts = [row.content.facts for row in rows]
    columns: dict[str, Any] = {
        "id": [row.id for row in rows],
        "uri": [to_uri(row.path) for row in rows],
        "kind": ["image" if row.moments is None else "moment" for row in rows],
        "moments": [row.moments for row in rows],
        "added": [datetime.now(UTC)] * len(rows),
        "precision": [row.content.precision for row in rows],
        "vector": _lists([row.content.vector.astype(np.float16) for row in rows]),
    }
    for name in ("start", "end", "width", "height", "thumbnail", "phash"):
        columns[name] = [getattr(fact, name) for fact in facts]
    for name in ("size", "mtime", "hash"):
        columns[name] = [getattr(fact.file, name) for fact in facts]
    for name in METADATA_COLUMNS:
        columns[name] = stored([_value(fact.metadata, name) for fact in facts], schema.field(name).type)
    if model.extra_rows:
        extras = [row.content.extras for row in rows if row.content.extras is not None]
        columns["rescoring" if model.regions is None else "regions"] = _lists(extras)
    nulls = pa.nulls(len(rows))
    return pa.table([columns.get(name, nulls.cast(schema.field(name).type)) for name in schema.names], schema=schema)


def with_headers(rows: pa.Table, paths: Sequence[Path | None]) -> pa.Table:
    """The rows with what their files' headers say now; where the path is None, a row keeps its metadata. A file that
    comes several times is read once, and none is decoded."""
    once = [path for path in dict.fromkeys(paths) if path is not None]
    pool = ThreadPoolExecutor(_THREADS)
    try:
        read: dict[Path | None, Metadata] = dict(zip(once, pool.map(_header, once), strict=True))
    finally:
        pool.shutdown(cancel_futures=True)
    metadata = [read.get(path) for path in paths]
    for name in METADATA_COLUMNS:
        old = rows.column(name).to_pylist()
        values = [value if new is None else _value(new, name) for value, new in zip(old, metadata, strict=True)]
        rows = with_column(rows, name, stored(values, rows.schema.field(name).type))
    return rows


def with_column(rows: pa.Table, name: str, values: Any) -> pa.Table:
    """The rows with other values, a sequence or an array, in a column."""
    place = rows.schema.get_field_index(name)
    field = rows.schema.field(place)
    return rows.set_column(place, field, pa.array(values, field.type))


def stored(values: Sequence[Any], type: pa.DataType) -> pa.Array:
    """The values of a column of metadata; null where a header says what the column cannot hold."""
    try:
        return pa.array(values, type)
    except UNSTORABLE:
        if len(values) == 1:
            return pa.nulls(1, type)
        return pa.concat_arrays([stored([value], type) for value in values])


def _header(path: Path) -> Metadata:
    return read_video_metadata(path) if is_video(path) else read_image_metadata(path)


def _value(metadata: Metadata, name: str) -> Any:
    value = getattr(metadata, name)
    return None if value == () else value


def _lists(arrays: Sequence[NDArray[np.float16]]) -> pa.Array:
    flat = np.concatenate([array.ravel() for array in arrays])
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), len(flat) // len(arrays))
