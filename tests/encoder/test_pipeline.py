"""Work on threads, in order and in bounded memory."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, strategies as st

from sightline.encoder.pipeline import ahead, batches, ordered_map
from support.examples import examples


@examples(30)
@given(st.integers(0, 40), st.integers(1, 4), st.integers(1, 10), st.randoms(use_true_random=False))
def test_in_order_and_in_bounded_memory(n: int, threads: int, ahead: int, random) -> None:
    taken = 0
    delays = [random.random() * 0.002 for _ in range(n)]

    def source():
        nonlocal taken
        for i in range(n):
            taken += 1
            yield i

    def work(i: int) -> int:
        time.sleep(delays[i])
        return i * i

    for seen, (item, result) in enumerate(ordered_map(work, source(), ThreadPoolExecutor(threads), ahead)):
        assert (item, result) == (seen, seen * seen)
        assert taken <= seen + 1 + ahead
    assert taken == n


def test_what_work_raises_comes_out_and_threads_end() -> None:
    def work(i: int) -> int:
        if i == 3:
            raise ZeroDivisionError
        return i

    results = []
    with pytest.raises(ZeroDivisionError):
        results.extend(item for item, _ in ordered_map(work, range(100), ThreadPoolExecutor(2, "sightline-encode"), 8))
    assert not [t for t in threading.enumerate() if t.name.startswith("sightline-encode")]


def test_closing_early_ends_the_threads() -> None:
    stream = ordered_map(lambda i: i, range(1000), ThreadPoolExecutor(2, "sightline-encode"), 8)
    assert next(stream) == (0, 0)
    stream.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("sightline-encode")]


def test_batches() -> None:
    assert list(batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(batches([], 3)) == []
    assert list(batches([1, 1, 3, 2, 5, 1], 4, lambda weight: weight)) == [[1, 1], [3], [2], [5], [1]]


def test_a_full_batch_does_not_wait_for_what_follows() -> None:
    def endless():
        yield from (1, 2)
        pytest.fail("taken too early")

    assert next(batches(endless(), 2)) == [1, 2]


@examples(20)
@given(st.integers(0, 20), st.integers(1, 5))
def test_ahead_keeps_order_and_bounds(n: int, most: int) -> None:
    taken = []

    def source():
        for i in range(n):
            taken.append(i)
            yield i

    for seen, item in enumerate(ahead(source(), most)):
        assert item == seen
        assert len(taken) <= seen + 1 + most
    assert taken == list(range(n))
    assert not [t for t in threading.enumerate() if t.name.startswith("sightline-ahead")]


def test_what_making_an_item_raises_comes_out_in_its_place() -> None:
    def source():
        yield from (0, 1)
        raise ZeroDivisionError

    stream = ahead(source(), 4)
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(stream)
    assert not [t for t in threading.enumerate() if t.name.startswith("sightline-ahead")]


def test_a_slow_maker_is_not_waited_for() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def source():
        try:
            yield 0
            go_on.wait()
            yield 1
        finally:
            ended.set()

    stream = ahead(source(), 3, patience=0.01)
    assert next(stream) == 0
    stream.close()
    go_on.set()
    del stream
    assert ended.wait(30), "the source is closed when its last item is made"


def test_closing_ahead_early_ends_its_thread() -> None:
    stream = ahead(range(1000), 3)
    assert next(stream) == 0
    stream.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("sightline-ahead")]
