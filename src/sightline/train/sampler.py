"""The order of samples: a pure function of the seed and the step."""

from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_WINDOW = 1 << 14
"""Samples that are shuffled among themselves."""


class Order:
    """Every sample once an epoch; a batch that reaches the end of one goes on with the next.

    `files[i]` is the file that sample i lies in. The files are shuffled, then the samples within windows of 16,384 of
    that row. So all that is read in a while lies in a few shards: a disk or a server gives them nearly from one end to
    the other, and what is read ahead is soon used, where samples from a thousand large tars in turn would make every
    picture a seek in a cold file. A window is many batches and several shards, so that a batch is as good as drawn from
    all. Pictures in files of their own make small windows needless: shuffling the files has already shuffled them.

    No batch holds a sample twice, as a pair of its own would be a wrong answer to it, if there are at least two batches
    of samples: where the next epoch begins with some that the batch has, these come right after the batch.
    """

    def __init__(self, files: Sequence[Hashable], batch: int, seed: int) -> None:
        numbers: dict[Hashable, int] = {}
        self._file = np.array([numbers.setdefault(file, len(numbers)) for file in files], np.int64)
        self._files, self._batch, self._seed = len(numbers), batch, seed
        self._epoch = lru_cache(maxsize=2)(self._arranged)

    def batch(self, step: int) -> list[tuple[int, int]]:
        """(epoch, number of the sample) of each row of a step's batch."""
        rows: list[tuple[int, int]] = []
        place = step * self._batch
        while len(rows) < self._batch:
            epoch, start = divmod(place + len(rows), len(self._file))
            some = self._epoch(epoch)[start : start + self._batch - len(rows)]
            rows += [(epoch, int(number)) for number in some]
        return rows

    def _arranged(self, epoch: int) -> NDArray[np.int64]:
        order = self._shuffled(epoch)
        split = epoch * len(order) % self._batch  # rows of the batch which this epoch goes on with
        if split == 0 or len(order) < 2 * self._batch:
            return order
        # The last rows of the epoch before. Its own rearrangement ends before them: it is in the first batch's length.
        there = np.isin(order[: self._batch], self._shuffled(epoch - 1)[-split:])
        head = order[: self._batch]
        fresh, repeated = head[~there], head[there]
        rest = self._batch - split
        return np.concatenate([fresh[:rest], repeated, fresh[rest:], order[self._batch :]])

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self._seed, epoch])
        order = np.argsort(rng.permutation(self._files)[self._file], kind="stable")
        for start in range(0, len(order), _WINDOW):
            rng.shuffle(order[start : start + _WINDOW])
        return order
