"""The index on disk: one table of items per folder, kept in step with the files, searched exactly in memory.

`sightline.index.sync` has `sync` and `forget`; it is apart, since it imports what reads files of every kind.
"""

from sightline.index.limits import Limits
from sightline.index.scan import Scan
from sightline.index.schema import PLACE_COLUMNS, ModelRecord
from sightline.index.table import Table
from sightline.index.uri import to_path, to_uri

__all__ = ["PLACE_COLUMNS", "Limits", "ModelRecord", "Scan", "Table", "to_path", "to_uri"]
