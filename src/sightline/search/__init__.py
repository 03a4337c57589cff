"""From queries to results: in an index, between two lists, among the files of an index."""

from sightline.search.index import Index, default_folder, open_index
from sightline.search.query import Query
from sightline.search.result import Result
from sightline.search.retrieve import Neighbors, Retrieval, retrieve
from sightline.search.similar import Duplicate, near_duplicates

__all__ = [
    "Duplicate",
    "Index",
    "Neighbors",
    "Query",
    "Result",
    "Retrieval",
    "default_folder",
    "near_duplicates",
    "open_index",
    "retrieve",
]
