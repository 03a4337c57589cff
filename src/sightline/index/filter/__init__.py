"""Conditions on the table's columns, `where` and `--where`: their grammar, their types, and the SQL for Lance.

docs/filters.md states the grammar. Lance never sees what somebody wrote: `grammar` makes a tree of it, and `sql` writes
a new text from the tree.
"""

from sightline.index.filter.comparisons import check_place
from sightline.index.filter.dates import period
from sightline.index.filter.grammar import containing, quoted
from sightline.index.filter.sql import sql_of
from sightline.index.filter.tokens import Unsuitable

__all__ = ["Unsuitable", "check_place", "containing", "period", "quoted", "sql_of"]
