"""The second step of a search with a model whose texts read differently for each video, such as X-CLIP.

There the cosines of the vectors choose candidates, and the candidates are scored again as the whole model scores them.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sightline.errors import UsageError
from sightline.index.table import Table
from sightline.models import FAMILIES
from sightline.search.lazy_encoder import LazyEncoder
from sightline.search.query import Query
from sightline.search.result import Ranked

CANDIDATES = 100
"""Candidates of a query unless the caller says how many."""
BLOCK = 256
"""Candidates whose rows are in memory at a time."""


def candidates(table: Table, k: int, rescore: int | Literal["all"] | None) -> int:
    """How many items are scored again for a query of words, at least k; 0 where cosines are the scores.

    Raises UsageError for a `rescore` that is neither a count nor "all", and for one above 0 where the table keeps
    nothing to score again.
    """
    is_rescored = table.model.rescoring > 0
    if rescore is None:
        return max(k, CANDIDATES) if is_rescored else 0
    if rescore != "all" and (isinstance(rescore, bool) or not isinstance(rescore, int | np.integer) or rescore < 0):
        raise UsageError(f'rescore is {rescore!r}: say how many, or "all"')
    if not rescore:
        return 0
    if not is_rescored:
        kinds = " or ".join(kind for kind, family in FAMILIES.items() if family.is_rescored)
        raise UsageError(
            f"{table.folder}: nothing is kept in it to score again, which only an index made with a model of type "
            f"{kinds} keeps: leave rescore out"
        )
    return table.count() if rescore == "all" else max(k, int(rescore))


def rescored(
    query: Query, encoder: LazyEncoder, table: Table, ids: NDArray[np.int64], k: int, *, block: int = BLOCK
) -> Ranked:
    """The k best of these items by exact scores, each the mean over the query's texts."""
    texts = encoder.for_words(table).embed_text(query.texts)
    ids, dim = np.sort(ids), table.model.dim
    scores = np.empty(len(ids), np.float32)
    for start in range(0, len(ids), block):
        rows = table.take(ids[start : start + block], ["vector", "rescoring"])
        vectors, kept = (rows.column(name).combine_chunks().flatten().to_numpy() for name in ("vector", "rescoring"))
        cosines = encoder.rescorer.cosines(texts, vectors.reshape(-1, dim), kept.reshape(len(rows), -1, dim))
        scores[start : start + block] = cosines.mean(axis=1)
    best = np.lexsort((ids, -scores))[:k]
    return Ranked(scores[best], ids[best])
