"""The columns of the table, and what the table says of itself in its schema's metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from sightline.errors import UsageError
from sightline.models.regions import Shape, packed_rows

if TYPE_CHECKING:
    from sightline.encoder import Encoder

VERSION = 3
"""Version of the format. A table with a higher one was written by a newer Sightline; one with a lower one can be read,
and the next `sync` brings it up to this one (see `upgrade`). Format 1 has no videos, format 2 no metadata."""

VERSION_KEY = "sightline.version"
PLACE_COLUMNS = ("latitude", "longitude", "altitude")
"""Where an image was taken. What leaves the machine (JSON, contact sheets, exports) leaves these out unless asked."""
METADATA_COLUMNS = (
    "orientation", "frames", "duration", "fps", "codec", "has_audio", "taken", "taken_offset", "taken_source",
    "camera_make", "camera_model", "lens", "iso", "f_number", "exposure", "focal_length", *PLACE_COLUMNS, "title",
    "caption", "caption_source", "keywords", "rating", "pair_id", "burst_id",
)  # fmt: skip
"""The columns that are fields of `sightline.processing.metadata.Metadata`, by the same names."""
LARGE_COLUMNS = ("thumbnail", "vector", "rescoring", "regions")
"""Columns whose values are of no use in a condition."""

_COLUMNS: dict[str, pa.DataType] = {
    "id": pa.int64(), "uri": pa.string(), "kind": pa.string(),
    "start": pa.float32(), "end": pa.float32(), "moments": pa.int32(),
    "size": pa.int64(), "mtime": pa.int64(), "hash": pa.string(), "etag": pa.string(),
    "added": pa.timestamp("us", "UTC"),
    "width": pa.int32(), "height": pa.int32(), "orientation": pa.int16(), "frames": pa.int64(),
    "duration": pa.float64(), "fps": pa.float64(), "codec": pa.string(), "has_audio": pa.bool_(),
    "taken": pa.timestamp("us"), "taken_offset": pa.int16(), "taken_source": pa.string(),
    "camera_make": pa.string(), "camera_model": pa.string(), "lens": pa.string(),
    "iso": pa.int64(), "f_number": pa.float64(), "exposure": pa.float64(), "focal_length": pa.float64(),
    "latitude": pa.float64(), "longitude": pa.float64(), "altitude": pa.float64(),
    "title": pa.string(), "caption": pa.string(), "caption_source": pa.string(),
    "keywords": pa.list_(pa.string()), "rating": pa.int16(), "text": pa.string(),
    "pair_id": pa.string(), "burst_id": pa.string(),
    "phash": pa.int64(), "thumbnail": pa.binary(), "precision": pa.string(),
}  # fmt: skip
"""The columns of every table, before those whose types depend on the model (see `item_schema`)."""
_REQUIRED = ("id", "uri", "kind", "size", "mtime", "hash", "width", "height", "vector", "rescoring", "regions")
"""Columns that are never null."""
_MODEL_KEY = "sightline.model."
_FORMAT_2 = (
    "id", "uri", "kind", "start", "end", "size", "mtime", "hash", "width", "height", "taken", "caption", "thumbnail",
    "vector", "moments",
)  # fmt: skip
_FORMAT_2_EXTRAS = "summary"
"""What formats before 3 called the column `rescoring`, and `regions` likewise."""


@dataclass(frozen=True)
class ModelRecord:
    """The model whose vectors a table holds; vectors of two fingerprints cannot be compared."""

    name: str
    fingerprint: str
    dim: int
    revision: str | None = None
    rescoring: int = 0
    """Rows of `dim` numbers kept beside each vector for exact scores (see `sightline.encoder.Rescorer`)."""
    regions: Shape | None = None
    """The regions kept of each image (see `sightline.models.regions`)."""

    @classmethod
    def of(cls, encoder: Encoder, regions: bool) -> ModelRecord:
        """The record of an encoder, with its regions in the place of its rows for exact scores if they are wanted.
        Raises UsageError for regions that the model cannot see."""
        if regions and encoder.exported is not None:
            raise encoder.vectors_only("regions need")
        if regions and encoder.regions is None:
            raise UsageError(f"{encoder.name} sees no regions in images; that takes a GroupViT: --model mini-groupvit")
        rescoring, kept = (0, encoder.regions) if regions else (encoder.rescoring, None)
        return cls(encoder.name, encoder.fingerprint, encoder.dim, encoder.revision, rescoring, kept)

    @property
    def extra_rows(self) -> int:
        """Rows of `dim` numbers kept beside each vector."""
        return self.rescoring if self.regions is None else packed_rows(self.regions, self.dim)

    def to_metadata(self) -> dict[str, str]:
        values = {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "dim": str(self.dim),
            "revision": self.revision,
            "rescoring": str(self.rescoring) if self.rescoring else None,
            "regions": "x".join(map(str, self.regions)) if self.regions else None,
        }
        known = {_MODEL_KEY + key: value for key, value in values.items() if value is not None}
        return {VERSION_KEY: str(VERSION), **known}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> ModelRecord:
        """Raises KeyError, ValueError or ArithmeticError if a table of ours cannot have this metadata."""
        values = {key.removeprefix(_MODEL_KEY): value for key, value in metadata.items()}
        regions: Shape | None = None
        if values.get("regions", "0") != "0":
            count, rows, columns = map(int, values["regions"].split("x"))
            regions = count, rows, columns
        is_old = version_of(metadata) < VERSION
        extra_rows = int(values.get(_FORMAT_2_EXTRAS if is_old else "rescoring", 0))
        dim = int(values["dim"])
        if regions is not None and extra_rows != (packed_rows(regions, dim) if is_old else 0):
            raise ValueError(f"{extra_rows} rows beside regions {regions}")
        rescoring = extra_rows if regions is None else 0
        return cls(values["name"], values["fingerprint"], dim, values.get("revision"), rescoring, regions)


def version_of(metadata: dict[str, str]) -> int:
    """The format version in a schema's metadata. Raises KeyError or ValueError if it has none."""
    return int(metadata[VERSION_KEY])


def item_schema(model: ModelRecord) -> pa.Schema:
    """The table's schema: one row per item, an image or a moment of a video.

    - `id` is the row's key: it grows, is never used twice and orders ties. `kind` is "image" or "moment". `start` and
      `end` are seconds, null for images; `moments` is how many rows the video has, null for images: a video of which
      fewer are left is not whole.
    - `size` (bytes), `mtime` (ns since 1970) and `hash` (hex BLAKE2b-128) are the file's; `etag` is for files in object
      storage. `added` is when the row's contents entered the index, null if that is unknown.
    - `width` and `height` are as the image is seen, after its `orientation` flag. `frames` is for animated images;
      `duration` (seconds) ... `has_audio` for videos.
    - `taken` is the local wall-clock time, `taken_offset` its minutes east of UTC; the other columns of
      `METADATA_COLUMNS` are as `sightline.processing.metadata.Metadata` says. `text` is what can be read in the image.
    - `phash` is the thumbnail's perceptual hash. `thumbnail` is a JPEG.
    - `vector` is of unit length; `precision` says in which numbers it was computed ("float32", "bfloat16" ...).
      `rescoring`, (rescoring, dim) in one row, and `regions` are there for models that have them.
    """
    columns = _COLUMNS | {"vector": pa.list_(pa.float16(), model.dim)}
    if model.extra_rows:
        extras = "rescoring" if model.regions is None else "regions"
        columns[extras] = pa.list_(pa.float16(), model.extra_rows * model.dim)
    fields = [pa.field(name, type, nullable=name not in _REQUIRED) for name, type in columns.items()]
    return pa.schema(fields, metadata=model.to_metadata())


def stored_names(version: int, model: ModelRecord) -> dict[str, str]:
    """The columns that a table in this format has: today's name -> the name under which the table stores it."""
    names = item_schema(model).names
    if version >= VERSION:
        return {name: name for name in names}
    stored = {name: name for name in _FORMAT_2 if version > 1 or name != "moments"}
    return stored | {name: _FORMAT_2_EXTRAS for name in ("rescoring", "regions") if name in names}


def stored_schema(version: int, model: ModelRecord) -> pa.Schema:
    """The schema, without metadata, of a table in this format."""
    schema = item_schema(model)
    return pa.schema([schema.field(name).with_name(stored) for name, stored in stored_names(version, model).items()])
