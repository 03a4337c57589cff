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
from sightline.search.presence import is_missing

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

    def exists(self) -> bool:
        """Whether the file is still there; True also where the system does not let us look."""
        return not is_missing(self.uri)

    def __repr__(self) -> str:
        times = "" if self.start is None or self.end is None else f", start={self.start:.2f}, end={self.end:.2f}"
        box = "" if self.region is None else f", box={self.region.box}"
        return f"Result(rank={self.rank}, score={self.score:.4f}, uri={self.uri!r}{times}{box})"


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
