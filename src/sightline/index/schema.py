"""The columns of the table, and what the table says of itself in its schema's metadata."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from sightline.models.regions import Shape, packed_rows

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
    def from_metadata(cls, metadata: dict[str, str]) -> "ModelRecord":
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
    extras = {"rescoring": model.rescoring, "regions": model.extra_rows if model.regions else 0}
    return pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            pa.field("uri", pa.string(), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("start", pa.float32()),
            pa.field("end", pa.float32()),
            pa.field("moments", pa.int32()),
            pa.field("size", pa.int64(), nullable=False),
            pa.field("mtime", pa.int64(), nullable=False),
            pa.field("hash", pa.string(), nullable=False),
            pa.field("etag", pa.string()),
            pa.field("added", pa.timestamp("us", "UTC")),
            pa.field("width", pa.int32(), nullable=False),
            pa.field("height", pa.int32(), nullable=False),
            pa.field("orientation", pa.int16()),
            pa.field("frames", pa.int64()),
            pa.field("duration", pa.float64()),
            pa.field("fps", pa.float64()),
            pa.field("codec", pa.string()),
            pa.field("has_audio", pa.bool_()),
            pa.field("taken", pa.timestamp("us")),
            pa.field("taken_offset", pa.int16()),
            pa.field("taken_source", pa.string()),
            pa.field("camera_make", pa.string()),
            pa.field("camera_model", pa.string()),
            pa.field("lens", pa.string()),
            pa.field("iso", pa.int64()),
            pa.field("f_number", pa.float64()),
            pa.field("exposure", pa.float64()),
            pa.field("focal_length", pa.float64()),
            *(pa.field(name, pa.float64()) for name in PLACE_COLUMNS),
            pa.field("title", pa.string()),
            pa.field("caption", pa.string()),
            pa.field("caption_source", pa.string()),
            pa.field("keywords", pa.list_(pa.string())),
            pa.field("rating", pa.int16()),
            pa.field("text", pa.string()),
            pa.field("pair_id", pa.string()),
            pa.field("burst_id", pa.string()),
            pa.field("phash", pa.int64()),
            pa.field("thumbnail", pa.binary()),
            pa.field("precision", pa.string()),
            pa.field("vector", pa.list_(pa.float16(), model.dim), nullable=False),
            *(
                pa.field(name, pa.list_(pa.float16(), rows * model.dim), nullable=False)
                for name, rows in extras.items()
                if rows
            ),
        ],
        metadata=model.to_metadata(),
    )


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


def without_place(names: Iterable[str]) -> list[str]:
    """The columns that may leave the machine."""
    return [name for name in names if name not in PLACE_COLUMNS]
