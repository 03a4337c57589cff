"""Indexes as Sightline wrote them before format 3, made from one of today's."""

import shutil

import lance
import pyarrow as pa

from sightline.index import Table


def make_old(folder, version=2):
    """Puts the index in `folder` back to this format: 1 (no videos) or 2. Ids, vectors and all it knew stay."""
    table = Table.open(folder)
    model = table.model
    extras = "rescoring" if model.rescoring else "regions" if model.regions else None
    fields = [
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
    ]
    if version == 2:
        fields.append(pa.field("moments", pa.int32()))
    if extras:
        kept = pa.list_(pa.float16(), model.extra_rows * model.dim)
        fields.append(pa.field("summary", kept, nullable=False))
    metadata = {
        "sightline.version": str(version),
        "sightline.model.name": model.name,
        "sightline.model.fingerprint": model.fingerprint,
        "sightline.model.dim": str(model.dim),
    }
    if extras:
        metadata["sightline.model.summary"] = str(model.extra_rows)
    if model.regions:
        metadata["sightline.model.regions"] = "x".join(map(str, model.regions))
    rows = table.columns([extras if field.name == "summary" else field.name for field in fields])
    rows = rows.set_column(rows.column_names.index("caption"), fields[11], pa.nulls(len(rows), pa.string()))
    next_id = table.next_id()
    shutil.rmtree(folder)
    folder.mkdir()
    path = str(folder / "items.lance")
    schema = pa.schema(fields, metadata=metadata)
    dataset = lance.write_dataset(schema.empty_table(), path)
    rows = pa.table(rows.columns, schema=schema)
    for start in range(0, len(rows), 20):
        dataset.insert(rows.slice(start, 20))
    dataset.update_config({"sightline.next_id": str(next_id)})
    (folder / "writer.lock").touch()
