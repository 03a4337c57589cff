"""The index on disk: one table of items per folder, kept in step with the files, searched exactly in memory."""

from sightline.index.batch import Summary
from sightline.index.scan import Scan
from sightline.index.schema import ModelRecord
from sightline.index.sync import Progress, forget, sync
from sightline.index.table import Table
from sightline.index.uri import to_path, to_uri

__all__ = ["ModelRecord", "Progress", "Scan", "Summary", "Table", "forget", "sync", "to_path", "to_uri"]
