"""An index opened for searching.

A query becomes a vector (`query`), the vector the nearest ids (`index.scan`; `regions` where regions are searched), ids
may be scored again (`rescore`), and ids become results (`result`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sightline.encoder.options import DEFAULTS, EncoderOptions
from sightline.errors import IndexFault, UsageError
from sightline.files import expand_home
from sightline.index.ivf import InvertedLists
from sightline.index.library import DEFAULT, library_folder
from sightline.index.model_places import note_place
from sightline.index.scan import Scan
from sightline.index.table import Table
from sightline.logger import LOGGER
from sightline.models import FAMILIES
from sightline.search.lazy_encoder import LazyEncoder
from sightline.search.query import Query, check_dim, named, query_vectors
from sightline.search.rescore import CANDIDATES, candidates, rescored
from sightline.search.result import Ranked, Result, results

if TYPE_CHECKING:
    from sightline.encoder import Encoder
    from sightline.index.schema import ModelRecord

SAMPLE = 4096
"""Rows, evenly spaced over the table, from which a query of several parts learns how their scores spread."""


def default_folder() -> Path:
    """The folder of the index by default: $SIGHTLINE_INDEX, else the library "default". Raises UsageError
    where that is unknown: without a home folder."""
    if given := os.environ.get("SIGHTLINE_INDEX"):
        return expand_home(given)
    with suppress(UsageError):
        return library_folder(DEFAULT)
    raise UsageError("no home folder is known: set SIGHTLINE_INDEX, or name the folder of the index with --index")


def index_folder(folder: str | os.PathLike[str] | None, library: str | None) -> Path:
    """The folder of the index that is named by one of them, else `default_folder()`. Raises UsageError if both are."""
    if folder is not None and library is not None:
        raise UsageError(f"the folder {folder} or the library {library}: name one of them (--index or --library)")
    if library is not None:
        return library_folder(library)
    return default_folder() if folder is None else expand_home(folder)


def open_index(
    folder: str | os.PathLike[str] | None = None,
    model: Encoder | str | os.PathLike[str] | None = None,
    options: EncoderOptions = DEFAULTS,
    *,
    library: str | None = None,
) -> Index:
    """Opens an index for searching: the folder, or the library of this name, else `default_folder()`.

    `model` is an encoder, or what `sightline.load` takes; by default the model that built the index is opened, when
    the first query needs it. `options` say on which device, and how, a model is opened. A `model` by name that lies
    elsewhere now is found there from now on, if the index can be written (an export only where vectors are all that the
    index keeps). Raises IndexMissing, IndexTooNew or
    IndexDamaged, ModelMismatch at once for a `model` that did not build the index, and UsageError if both a folder and
    a library are named.
    """
    index = Index(Table.open(index_folder(folder, library)), model, options)
    if model is not None:
        place = index.encoder.check(index.table)
        is_whole = index.encoder.source.exported is None or not place.extra_rows
        if place != index.table.model and is_whole and isinstance(model, str | os.PathLike):
            _remember(index.table, place)
    return index


def _remember(table: Table, place: ModelRecord) -> None:
    """Note where the model lies, unless another process is writing to the index, or its folder cannot be written."""
    from sightline.index import cleanup, lock

    with suppress(IndexFault), lock.writer(table.folder) as finished:
        if not finished:
            cleanup.sweep(table.newest())
        note_place(table.folder, place)


class _Snapshot(NamedTuple):
    """A version of the table, the scan over its vectors, and a sample of them, float16 (m, dim)."""

    table: Table
    scan: Scan
    sample: NDArray[np.float16]


class Index:
    """Answers queries over a table. Vectors are read at the first query and again whenever the table changed.

    Usable from several threads: each query is answered from one version of the table.
    """

    def __init__(
        self,
        table: Table,
        model: Encoder | str | os.PathLike[str] | None = None,
        options: EncoderOptions = DEFAULTS,
    ) -> None:
        self.table = table
        self.encoder = LazyEncoder(table, model, options)
        self._snapshot: _Snapshot | None = None
        self._is_told = False  # that exact scores are left out
        self._reading = Lock()

    def __reduce__(self) -> tuple[Callable[..., Index], tuple[Table, LazyEncoder]]:
        """For `pickle` and `copy`: the other index opens its folder again. Raises what `open_index` raises."""
        return _reopened, (self.table, self.encoder)

    def __len__(self) -> int:
        return self.table.count()

    def __repr__(self) -> str:
        model = self.table.model
        return f'Index("{self.table.folder}", items={len(self):,}, model="{model.name}", dim={model.dim})'

    def search(
        self,
        query: str | Query | os.PathLike[str] | Any,
        k: int = 10,
        where: str | None = None,
        *,
        exact: bool = False,
        rescore: int | Literal["all"] | None = None,
        regions: bool = False,
        min_score: float | None = None,
    ) -> list[Result]:
        """The k items nearest to the query, best first; equal scores in the order of indexing.

        `query` is words (a string), an image (a Path, bytes, a PIL image, an array), a video (its Path) or a Query of
        several, which may hold vectors of your own. An item is an image or a moment of a video. `where` is a condition
        on the table's columns ("width > height and taken >= '2020'"; docs/filters.md states the grammar): the result is
        the k nearest of the items that fulfil it, or all of them if they are fewer. Scores are cosines, computed in
        float32.

        From four million items on, an approximate first pass serves searches for up to 100 without a condition. Of
        drawn vectors like CLIP's it missed one in a hundred of the ten nearest. `exact` looks at every item, as smaller
        tables always do.

        With a model for which a text reads differently for each video (X-CLIP), cosines only choose candidates for a
        query of words: the `rescore` nearest (100 if None, and at least k) are scored again as the whole model scores
        them; "all" scores every item again, 0 keeps to cosines.

        With `regions` an item's score is that of the region in it that comes nearest, which the result shows; the index
        must have been built to keep them. Of the k results those whose score is below `min_score` are left out. Raises
        UsageError for an empty query, k below 1, a condition that does not parse, `rescore` where nothing is kept to
        score again, or `regions` where none are kept.
        """
        return self.search_many([query], k, where, exact=exact, rescore=rescore, regions=regions, min_score=min_score)[
            0
        ]

    def search_many(
        self,
        queries: Iterable[Any],
        k: int = 10,
        where: str | None = None,
        *,
        exact: bool = False,
        rescore: int | Literal["all"] | None = None,
        regions: bool = False,
        min_score: float | None = None,
    ) -> list[list[Result]]:
        """The results of `search` for each of `queries`, from one version of the table, in much less time.

        The texts of queries without images are encoded in one batch (which, with a text tower that needs torch, may
        change the last bits of their scores). Four queries or more are compared with all items in one matrix product,
        and always exactly. Raises what `search` raises; one wrong query fails the call.
        """
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise UsageError(f"k is {k!r}: ask for at least 1 result")
        if min_score is not None and (not isinstance(min_score, int | float | np.number) or np.isnan(min_score)):
            raise UsageError(f"min_score is {min_score!r}: give a number")
        if isinstance(queries, str | bytes | os.PathLike | Query | Mapping) or not isinstance(queries, Iterable):
            raise UsageError(f"search_many takes a list of queries, not one {type(queries).__name__}")
        given = list(queries)
        queries = []
        table, scan, sample = self._current()
        for number, query in enumerate(given):
            with named(number, len(given)):
                queries.append(Query.of(query))
                check_dim(queries[-1], table.model.dim, table.folder)
        allow = None if where is None else table.ids_where(where)
        # These errors come before a model is opened.
        count = candidates(table, int(k), rescore)
        if count and self.encoder.source.exported is not None:
            count = self._without_rescoring(rescore)
        if rescore and not all(query.is_words for query in queries):
            raise UsageError("only a query of words alone can be scored again: leave rescore out")
        if regions and table.model.regions is None:
            kinds = " or ".join(kind for kind, family in FAMILIES.items() if family.has_regions)
            raise UsageError(
                f"{table.folder}: no regions are kept in it; index the images into another folder with a model of type "
                f"{kinds}: sightline index PATH --regions --index DIR --model mini-groupvit"
            )
        if not queries or not len(sample):
            return [[] for _ in queries]
        vectors = query_vectors(queries, self.encoder, table, sample)
        if regions:
            from sightline.search.regions import nearest

            ranked = nearest(vectors, table, int(k), allow, self.encoder.for_words(table).profile)
        else:
            depth = min(max(int(k), count), len(scan))
            scores, ids = scan.top(vectors, depth, allow, exact=exact or count > CANDIDATES)
            ranked = [
                rescored(query, self.encoder, table, ids[row], int(k))
                if count and query.is_words
                else Ranked(scores[row, :k], ids[row, :k])
                for row, query in enumerate(queries)
            ]
        found = results(table, ranked)
        if min_score is None:
            return found
        return [[result for result in of_query if result.score >= min_score] for of_query in found]

    def _without_rescoring(self, asked: int | Literal["all"] | None) -> int:
        """How many items are scored again with an export: none, and the logger is told once. Raises UsageError where
        some were asked for."""
        source = self.encoder.source
        if asked is not None:
            raise source.vectors_only("exact scores need")
        if not self._is_told:
            self._is_told = True
            LOGGER.warning(f"{source.name}: an export, so the scores are cosines, and no item is scored again")
        return 0

    def _current(self) -> _Snapshot:
        """The newest version of the table."""
        with self._reading:
            table = self.table.newest()
            if self._snapshot is None or self._snapshot.table is not table:
                ids, matrix = table.vectors()
                scan = Scan(ids, matrix, partial(InvertedLists.of, table, ids, matrix))
                sample = matrix[:: max(1, -(-len(matrix) // SAMPLE))].copy()
                self.table, self._snapshot = table, _Snapshot(table, scan, sample)
            return self._snapshot


def _reopened(table: Table, encoder: LazyEncoder) -> Index:
    index = Index(table)
    index.encoder = encoder
    return index
