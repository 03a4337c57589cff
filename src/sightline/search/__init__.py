"""From queries to results: over an index, over two lists, among the pictures of an index themselves."""

from sightline.search.pairs import Nearest, Pairs, retrieve
from sightline.search.query import Query
from sightline.search.searcher import Index, Result, default_folder, open_index
from sightline.search.similar import Duplicate, near_duplicates

__all__ = [
    "Duplicate",
    "Index",
    "Nearest",
    "Pairs",
    "Query",
    "Result",
    "default_folder",
    "near_duplicates",
    "open_index",
    "retrieve",
]
