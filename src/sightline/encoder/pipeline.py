"""Work in several threads: results in order, memory bounded."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar, cast

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = 1.0
"""Seconds that closing waits for an item that is being made. In an hour of black film it takes minutes to find a
moment: a user who stops the program should not have to wait for it."""


def ordered_map(
    work: Callable[[T], R], items: Iterable[T], pool: ThreadPoolExecutor, ahead: int
) -> Generator[tuple[T, R]]:
    """`(item, work(item))` in the order of `items`, of which at most `ahead` are taken before the caller needs them.

    What `work` raises is raised here. Closing the iterator shuts the pool down and ends its threads.
    """
    source = iter(items)
    waiting: deque[tuple[T, Future[R]]] = deque()
    with pool:
        try:
            for item in islice(source, ahead):
                waiting.append((item, pool.submit(work, item)))
            while waiting:
                item, future = waiting.popleft()
                result = future.result()
                for following in islice(source, 1):
                    waiting.append((following, pool.submit(work, following)))
                yield item, result
        finally:
            for _, future in waiting:
                future.cancel()


def ahead(items: Iterable[T], most: int, *, patience: float = PATIENCE) -> Generator[T]:
    """The items, in order, made by another thread, which keeps up to `most` of them ready.

    What making them raises is raised here. Closing the iterator ends the thread; where the item that it is making takes
    longer than `patience` seconds, closing returns without waiting, and the thread ends when the item is made.
    """
    source, end = iter(items), object()
    waiting: deque[Future[T | object]] = deque()
    maker = ThreadPoolExecutor(1, "sightline-ahead")
    try:
        waiting.extend(maker.submit(next, source, end) for _ in range(most))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(maker.submit(next, source, end))
            yield cast(T, item)
    finally:
        running = [future for future in waiting if not future.cancel()]
        late = wait(running, patience).not_done
        maker.shutdown(wait=not late)


def batches(items: Iterable[T], size: int, weigh: Callable[[T], int] = lambda item: 1) -> Iterator[list[T]]:
    """Lists of items, in order, which weigh at most `size` together; an item that weighs more has a list to itself."""
    batch: list[T] = []
    weight = 0
    for item in items:
        if batch and weight + weigh(item) > size:
            yield batch
            batch, weight = [], 0
        batch.append(item)
        weight += weigh(item)
        if weight >= size:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch
