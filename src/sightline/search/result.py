"""What a search returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sightline.index.table import Table
from sightline.index.uri import to_path

if TYPE_CHECKING:
    from sightline.search.regions import Region


@dataclass(frozen=True)
class Result:
    """An item of the index. `uri` is an absolute path; `start`, `end` are seconds into a video, None for an image."""

    rank: int
    score: float
    uri: str
    kind: str
    start: float | None
    end: float | None
    id: int
    region: Region | None = None
    """Where in the image the score was reached, if regions were searched."""


class Ranked(NamedTuple):
    """A query's best items, best first: scores and ids, (k,) each, and the region of each if regions were searched."""

    scores: NDArray[np.float32]
    ids: NDArray[np.int64]
    regions: Sequence[Region] | None = None


def results(table: Table, ranked: Sequence[Ranked]) -> list[list[Result]]:
    """The results of each query; the table is read once for all."""
    columns = ["id", "uri", "kind", "start", "end"]
    rows = iter(table.rows(np.concatenate([query.ids for query in ranked]), columns))
    return [
        [
            Result(
                rank, float(score), str(to_path(row["uri"])), row["kind"], row["start"], row["end"], row["id"], region
            )
            for rank, (score, region, row) in enumerate(
                zip(query.scores, query.regions or repeat(None), rows, strict=False), 1
            )
        ]
        for query in ranked
    ]
