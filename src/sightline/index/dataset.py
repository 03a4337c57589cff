"""Lance datasets, opened and made."""

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("LANCE_LOG", "critical")  # Lance reads it when imported: no log lines between our own

import lance
import pyarrow as pa


def open_dataset(path: Path) -> Any:
    """The newest version. Raises what Lance raises if something is broken that would end the process later on."""
    dataset = lance.dataset(str(path))
    _ = dataset.schema, dataset.schema_metadata  # Lance may panic here as well
    for fragment in dataset.get_fragments():
        deletions = fragment.deletion_file()
        if deletions and deletions.endswith(".arrow"):
            # A broken byte in this list can make Lance ask for more memory than the machine has, which ends the
            # process; pyarrow raises an error.
            with pa.ipc.open_file(str(path / deletions)) as file:
                file.read_all()
    return dataset


def create_dataset(path: Path, schema: pa.Schema) -> Any:
    """A new, empty dataset, in the place of one that may be at this path."""
    return lance.write_dataset(schema.empty_table(), str(path), mode="overwrite")
