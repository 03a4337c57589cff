"""An index opened for searching."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sightline.errors import ModelMismatch, UsageError
from sightline.index.ivf import Lists
from sightline.index.scan import Scan
from sightline.index.table import Table
from sightline.index.uri import to_path
from sightline.search.query import Query

if TYPE_CHECKING:
    from sightline.encoder import Encoder, Words
    from sightline.encoder.rescorer import Rescorer
    from sightline.search.regions import Region

RESCORED = 100
"""Candidates that are scored exactly where cosines are an approximation and nobody says how many."""
_BLOCK = 256
"""Candidates whose rows for exact scores are in memory at a time."""

# Rows, evenly spaced over the table, from which a query of several parts learns how their scores spread.
SAMPLE = 4096


@dataclass(frozen=True)
class Result:
    """One item found. `uri` is an absolute path; `start`, `end` are seconds into a film, None for a picture."""

    rank: int
    score: float
    uri: str
    kind: str
    start: float | None
    end: float | None
    id: int
    region: Region | None = None
    """Where in the picture, if regions were searched."""


def default_folder() -> Path:
    """Where the index lies when nobody says: $SIGHTLINE_INDEX, else "index" in the user's data folder."""
    from platformdirs import user_data_path

    return Path(os.environ.get("SIGHTLINE_INDEX") or user_data_path("sightline", appauthor=False) / "index")


def open_index(
    folder: str | os.PathLike[str] | None = None, model: Encoder | str | os.PathLike[str] | None = None
) -> Index:
    """Open an index for searching: the folder, else `default_folder()`.

    `model` is an encoder, or what `sightline.load` takes; by default the model that built the index is opened, when
    the first query needs it. Raises IndexMissing, IndexTooNew or IndexDamaged, and ModelMismatch at once when the
    given model is not the index's own.
    """
    index = Index(Table.open(Path(folder) if folder is not None else default_folder()), model)
    if model is not None:
        index.check_model()
    return index


class Index:
    """Answers queries over one table. Vectors are read at the first query and again whenever the table changed.

    Usable from several threads: each query is answered from one version of the table.
    """

    def __init__(self, table: Table, model: Encoder | str | os.PathLike[str] | None = None) -> None:
        self.table = table
        self._brought = self._encoder = None if isinstance(model, str | os.PathLike) else model
        self._name, self._revision = table.model.name, table.model.revision
        if isinstance(model, str | os.PathLike):
            self._name, self._revision = os.fspath(model), None
        self._words: Words | None = None
        self._rescorer: Rescorer | None = None
        self._opened: tuple[Table, Scan, NDArray[np.float16]] | None = None
        self._reading = Lock()

    def __len__(self) -> int:
        return self.table.count()

    def encoder(self) -> Encoder:
        """The model, opened when first asked for; raises ModelMismatch where it is not the one that built the index."""
        if self._encoder is None:
            from sightline.encoder import load

            self._encoder = load(self._name, revision=self._revision)
        self._check(self._encoder)
        return self._encoder

    def check_model(self) -> None:
        """Raises ModelMismatch where the model is not the one that built the index."""
        if self._brought is not None:
            self.encoder()
        else:
            self._named()  # a name needs no torch to be told apart

    def _for(self, query: Query) -> Any:
        """What encodes the query. Words alone need no torch, unless the caller has brought an encoder."""
        if query.images or self._brought is not None:
            return self.encoder()
        words = self._named()
        return words if words.usable else self.encoder()

    def _named(self) -> Words:
        """The model of the name that is known, as far as it needs no torch; raises what `encoder` raises."""
        if self._words is None:
            from sightline.encoder import Words

            self._words = Words(self._name, revision=self._revision)
        self._check(self._words)
        return self._words

    def _check(self, model: Encoder | Words) -> None:
        if model.fingerprint != self.table.model.fingerprint:
            raise ModelMismatch(
                f"{self.table.folder}: built by the model {self.table.model.name}, and the weights or the "
                f"preprocessing of {model.name} as it is now are not the same; search with the one that built "
                "it, or index the files into another folder with this one (sightline index --index DIR --model ...); "
                "is that one gone, delete the index and make it again"
            )

    def search(
        self,
        query: str | Query | os.PathLike[str] | Any,
        k: int = 10,
        where: str | None = None,
        *,
        exact: bool = False,
        rescore: int | Literal["all"] | None = None,
        regions: bool = False,
    ) -> list[Result]:
        """The k items nearest to the query, best first; equal scores in the order of indexing.

        `query` is words (a string), a picture (a Path, bytes, a PIL picture, an array), a film (its Path) or a Query of
        several. An item is a picture or a moment of a film. `where`
        is an SQL condition on the table's columns ("width > height and taken > timestamp '2020-01-01'"): k of the
        items that fulfil it are found, as many as there are. Scores are cosines, computed in float32.

        From four million items on, an approximate first pass serves searches for up to 100 without a condition. Of
        drawn vectors like CLIP's it missed one in a hundred of the ten nearest. `exact` looks at every item, as smaller
        tables always do.

        With a model for which a text reads differently for each film (X-CLIP), cosines only choose candidates for a
        query of words: the `rescore` nearest (100 if None, and at least k) are scored again as the whole model scores
        them; "all" leaves no other out, 0 keeps to cosines.

        With `regions` an item's score is that of the region in it that comes nearest, which the result tells; the index
        must have been built to keep them. Raises UsageError for an empty query, k below 1, a condition that does not
        parse, `rescore` where there is nothing to score again, or `regions` where none are kept.
        """
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise UsageError(f"k is {k!r}: ask for at least 1 result")
        asked = Query.of(query)
        table, scan, sample = self._current()
        allow = None if where is None else table.ids_where(where)
        if not len(sample):
            return []
        # What cannot be had is said before a model is opened.
        count = self._candidates(asked, table, k, rescore)
        if regions and table.model.regions is None:
            raise UsageError(
                f"{table.folder}: no regions are kept in it; index the pictures into another folder with a GroupViT: "
                "sightline index PATH --regions --index DIR --model mini-groupvit"
            )
        encoder = self._for(asked)
        vector = asked.vector(encoder, sample)
        if regions:
            return self._by_regions(encoder, vector, table, int(k), allow)
        scores, ids = scan.top(vector[None], min(count or int(k), len(scan)), allow, exact=exact or count > RESCORED)
        if count:
            scores, ids = self._rescored(encoder, asked.texts, table, ids[0], int(k))
        return _results(table, scores[0], ids[0], [None] * len(ids[0]))

    def _by_regions(
        self, encoder: Any, vector: NDArray[np.float32], table: Table, k: int, allow: NDArray[np.int64] | None
    ) -> list[Result]:
        from sightline.search.regions import nearest, regions_of

        scores, ids = nearest(table, vector, k, allow)
        return _results(table, scores, ids, regions_of(table, ids, vector, encoder.profile))

    def _candidates(self, query: Query, table: Table, k: int, rescore: int | Literal["all"] | None) -> int:
        """How many are to be scored again; 0: none."""
        words_alone = not query.images and not query.avoid
        if rescore is None:
            return max(k, RESCORED) if _is_rescored(table) and words_alone else 0
        if rescore != "all" and (isinstance(rescore, bool) or not isinstance(rescore, int | np.integer) or rescore < 0):
            raise UsageError(f'rescore is {rescore!r}: say how many, or "all"')
        if not rescore:
            return 0
        if not _is_rescored(table):
            raise UsageError(
                f"{table.folder}: nothing is kept in it to score again; only X-CLIP's texts read differently for each "
                "film: leave rescore out"
            )
        if not words_alone:
            raise UsageError("only a query of words alone can be scored again: leave rescore out")
        return table.count() if rescore == "all" else max(k, int(rescore))

    def _rescored(
        self, encoder: Any, texts: Sequence[str], table: Table, ids: NDArray[np.int64], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The best k of these rows by exact scores, the mean over the texts: (1, k) each."""
        if self._rescorer is None:
            from sightline.encoder.rescorer import Rescorer

            self._rescorer = Rescorer(encoder)
        asked, ids, dim = encoder.embed_text(texts), np.sort(ids), table.model.dim
        scores = np.empty(len(ids), np.float32)
        for start in range(0, len(ids), _BLOCK):
            rows = table.take(ids[start : start + _BLOCK], ["vector", "rescoring"])
            vectors, extras = (
                rows.column(name).combine_chunks().flatten().to_numpy() for name in ("vector", "rescoring")
            )
            cosines = self._rescorer.cosines(asked, vectors.reshape(-1, dim), extras.reshape(len(rows), -1, dim))
            scores[start : start + _BLOCK] = cosines.mean(axis=1)
        best = np.lexsort((ids, -scores))[:k]
        return scores[best][None], ids[best][None]

    def _current(self) -> tuple[Table, Scan, NDArray[np.float16]]:
        """The table as it is now, the scan over it, and the sample of its vectors."""
        with self._reading:
            table = self.table.newest()
            if self._opened is None or self._opened[0] is not table:
                ids, matrix = table.vectors()
                scan = Scan(ids, matrix, partial(Lists.of, table, ids, matrix))
                sample = matrix[:: max(1, -(-len(matrix) // SAMPLE))].copy()
                self.table, self._opened = table, (table, scan, sample)
            return self._opened


def _is_rescored(table: Table) -> bool:
    """Whether rows for exact scores are kept in it."""
    return table.model.rescoring > 0


def _results(table: Table, scores: Any, ids: NDArray[np.int64], regions: Sequence[Region | None]) -> list[Result]:
    rows = table.rows(ids, ["id", "uri", "kind", "start", "end"])
    return [
        Result(
            rank=rank,
            score=float(score),
            uri=str(to_path(row["uri"])),
            kind=row["kind"],
            start=row["start"],
            end=row["end"],
            id=row["id"],
            region=region,
        )
        for rank, (score, row, region) in enumerate(zip(scores, rows, regions, strict=True), 1)
    ]
