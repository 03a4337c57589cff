"""What one row of the index is, and what the table says about itself in its schema's metadata."""

from dataclasses import dataclass

import pyarrow as pa

from sightline.models.regions import packed_rows

VERSION = 2
"""Version of the row format. A table that says more was written by a newer Sightline; the first format had no films,
and a writer brings it up to this one."""

VERSION_KEY = "sightline.version"
MOMENTS = "moments"
"""The column that the first format lacks."""
SUMMARY = "summary"
"""The column that only some models' tables have."""
_MODEL_KEYS = {
    name: f"sightline.model.{name}" for name in ("name", "fingerprint", "dim", "revision", "summary", "regions")
}


@dataclass(frozen=True)
class ModelRecord:
    """The model whose vectors a table holds; vectors of two fingerprints cannot be compared."""

    name: str
    fingerprint: str
    dim: int
    revision: str | None = None
    summary: int = 0
    """Rows of `dim` numbers kept beside each vector: what exact scores take, or regions."""
    regions: tuple[int, int, int] | None = None
    """Regions of each picture, rows and columns of patches, if the summaries are such (see `models.regions`)."""

    def to_metadata(self) -> dict[str, str]:
        values = {"name": self.name, "fingerprint": self.fingerprint, "dim": str(self.dim), "revision": self.revision}
        values["summary"] = str(self.summary) if self.summary else None
        values["regions"] = "x".join(map(str, self.regions)) if self.regions else None
        named = {_MODEL_KEYS[key]: value for key, value in values.items() if value is not None}
        return {VERSION_KEY: str(VERSION), **named}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> "ModelRecord":
        """Raises KeyError or ValueError if the metadata is not a table's of ours."""
        count, *grid = map(int, metadata.get(_MODEL_KEYS["regions"], "0").split("x"))
        rows, columns = grid if count else (0, 0)
        record = cls(
            name=metadata[_MODEL_KEYS["name"]],
            fingerprint=metadata[_MODEL_KEYS["fingerprint"]],
            dim=int(metadata[_MODEL_KEYS["dim"]]),
            revision=metadata.get(_MODEL_KEYS["revision"]),
            summary=int(metadata.get(_MODEL_KEYS["summary"], 0)),
            regions=(count, rows, columns) if count else None,
        )
        if record.regions and record.summary != packed_rows(record.regions, record.dim):
            raise ValueError(f"{record.summary} rows for regions {record.regions}")
        return record


def version_of(metadata: dict[str, str]) -> int:
    """The format version in a schema's metadata. Raises KeyError or ValueError if there is none."""
    return int(metadata[VERSION_KEY])


def item_schema(model: ModelRecord) -> pa.Schema:
    """The table's schema: one row per item, a picture or a moment of a film.

    `id` is the row's key: it grows, is never used twice and orders ties. `start`/`end` are seconds, null for pictures;
    `mtime` is in nanoseconds; `hash` is the hex BLAKE2b-128 of the file; `width`/`height` are as the picture is seen
    (after its orientation flag); `taken` is the camera's local time; `vector` is of unit length; `moments` is how many
    rows the film has, null for pictures: a film of which fewer are left is not whole. `summary`, (summary, dim) in one
    row, is there for models that have some.
    """
    summary = pa.field(SUMMARY, pa.list_(pa.float16(), model.summary * model.dim), nullable=False)
    return pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            pa.field("uri", pa.string(), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("start", pa.float32()),
            pa.field("end", pa.float32()),
            pa.field("size", pa.int64(), nullable=False),
            pa.field("mtime", pa.int64(), nullable=False),
            pa.field("hash", pa.string(), nullable=False),
            pa.field("width", pa.int32(), nullable=False),
            pa.field("height", pa.int32(), nullable=False),
            pa.field("taken", pa.timestamp("us")),
            pa.field("caption", pa.string()),
            pa.field("thumbnail", pa.binary()),
            pa.field("vector", pa.list_(pa.float16(), model.dim), nullable=False),
            pa.field(MOMENTS, pa.int32()),
            *[summary] * (model.summary > 0),
        ],
        metadata=model.to_metadata(),
    )
