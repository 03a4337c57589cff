"""The order of samples: a pure function of the seed and the step."""

from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_WINDOW = 1 << 14
"""Samples that are shuffled among themselves."""


class BatchSampler:
    """Every sample once an epoch; a batch that reaches the end of an epoch goes on with the next.

    `files[i]` is the file that holds sample i. The files are shuffled, then the samples within windows of 16,384 of
    that row. So all that is read in a while lies in a few shards: a disk or a server reads them nearly from end to end,
    and what is read ahead is soon used, where samples from a thousand large tars in turn would make every image a seek
    in a cold file. A window is many batches and several shards, so that a batch is as good as drawn from all. Images in
    files of their own make small windows needless: shuffling the files has already shuffled them.

    No batch holds a sample twice, as its second pair would be a false negative of the first, if there are at least two
    batches of samples: where the next epoch begins with samples that the batch has, these come right after the batch.
    """

    def __init__(self, files: Sequence[Hashable], batch_size: int, seed: int) -> None:
        numbers: dict[Hashable, int] = {}
        self._file = np.array([numbers.setdefault(file, len(numbers)) for file in files], np.int64)
        self._files, self._batch_size, self._seed = len(numbers), batch_size, seed
        self._epoch = lru_cache(maxsize=2)(self._arranged)

    def batch(self, step: int) -> list[tuple[int, int]]:
        """(epoch, number of the sample) of each row of a step's batch."""
        rows: list[tuple[int, int]] = []
        first = step * self._batch_size
        while len(rows) < self._batch_size:
            epoch, start = divmod(first + len(rows), len(self._file))
            samples = self._epoch(epoch)[start : start + self._batch_size - len(rows)]
            rows += [(epoch, int(sample)) for sample in samples]
        return rows

    def _arranged(self, epoch: int) -> NDArray[np.int64]:
        order = self._shuffled(epoch)
        split = epoch * len(order) % self._batch_size  # rows of the last epoch in the batch that this epoch begins in
        if split == 0 or len(order) < 2 * self._batch_size:
            return order
        # The epoch before was rearranged in its first batch's length alone, so its last rows are as they were shuffled.
        head = order[: self._batch_size]
        is_repeated = np.isin(head, self._shuffled(epoch - 1)[-split:])
        fresh, repeated = head[~is_repeated], head[is_repeated]
        rest = self._batch_size - split
        return np.concatenate([fresh[:rest], repeated, fresh[rest:], order[self._batch_size :]])

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self._seed, epoch])
        order = np.argsort(rng.permutation(self._files)[self._file], kind="stable")
        for start in range(0, len(order), _WINDOW):
            rng.shuffle(order[start : start + _WINDOW])
        return order
