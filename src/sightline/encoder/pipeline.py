"""Work in several threads: in order, in bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar, cast

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE = 1.0
"""Seconds. In an hour of film that is black it takes minutes to find a moment; somebody who stops should not wait."""


def ordered_map(
    work: Callable[[T], R], items: Iterable[T], pool: ThreadPoolExecutor, ahead: int
) -> Generator[tuple[T, R]]:
    """`(item, work(item))` in the order of `items`, of which at most `ahead` are taken before they are asked for.

    What `work` raises comes out here. The pool is used up: closing the iterator leaves no thread behind.
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


def ahead(items: Iterable[T], most: int) -> Generator[T]:
    """The items, in order, made by another thread, which keeps up to `most` of them ready.

    What making them raises comes out here. Closing the iterator leaves no thread behind, unless an item takes longer
    than _PATIENCE to make: then the thread ends with that item, and nobody waits for it.
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
        late = wait(running, _PATIENCE).not_done
        maker.shutdown(wait=not late)


def batches(items: Iterable[T], size: int, weigh: Callable[[T], int] = lambda item: 1) -> Iterator[list[T]]:
    """Lists of items, in order, each as many as weigh at most `size` together; one alone may weigh more."""
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
