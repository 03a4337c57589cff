"""Exact search over random vectors: time over the limit measured in the same run, and every answer checked.

    python benchmarks/exact_search.py [ROWS] [DIM] [--rounds 7] [--json FILE]

One query is answered by `Scan.top`, 64 by `Index.search_many` over a table on disk, conditions and results included.
Limits: for one query, reading the float16 matrix once with a thread per core; for 64, torch's product of the same
matrix in bfloat16 with the queries (with a fresh result, and into memory that is already there). A filtered search is
held against the same search without a filter. Ratios are of medians, rounds alternate. Memory: three times the matrix;
disk: the matrix and a tenth.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from first_pass import fill

from sightline.index import ModelRecord, Scan, Table
from sightline.search import Index, Query

K, QUERIES, CORES = 10, 64, os.cpu_count() or 1
FILTERS = {"0.1%": "size < 1", "10.0%": "size < 100", "90.0%": "size < 900"}
"""Conditions by the part of the rows that fulfil them."""


class DrawnEncoder:
    """The text "3" has the vector of query 3."""

    name, revision, fingerprint = "drawn", None, "0" * 64

    def __init__(self, queries: np.ndarray) -> None:
        self._queries = queries

    def encode_text(self, texts: list[str]) -> np.ndarray:
        return self._queries[[int(text) for text in texts]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("dim", nargs="?", type=int, default=512)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    pool = ThreadPoolExecutor(CORES)
    matrix = units(pool, arguments.rows, arguments.dim, 0)
    queries = units(pool, QUERIES, arguments.dim, 1).astype(np.float32)
    ids = np.arange(arguments.rows)
    scan = Scan(ids, matrix)
    wide, narrow = torch.from_numpy(matrix).to(torch.bfloat16), torch.from_numpy(queries).to(torch.bfloat16)
    product = torch.empty(len(matrix), QUERIES, dtype=torch.bfloat16)
    folder = tempfile.TemporaryDirectory()
    table = Table.create(folder.name, ModelRecord("drawn", DrawnEncoder.fingerprint, arguments.dim))
    fill(table, np.array_split(matrix, max(1, len(matrix) // 65536)))
    index = Index(table, DrawnEncoder(queries))  # type: ignore[arg-type]
    texts = [Query(str(number)) for number in range(QUERIES)]
    allowed = {share: table.ids_where(where) for share, where in FILTERS.items()}

    work: dict[str, Callable[[], object]] = {
        "read": partial(read, pool, matrix),
        "product": lambda: wide @ narrow.T,
        "product, memory there": lambda: torch.mm(wide, narrow.T, out=product),
        "open": lambda: Scan(ids, matrix),
    }
    one, many = "1 query", f"{QUERIES} queries"
    work[one], work[many] = partial(scan.top, queries[:1], K), partial(index.search_many, texts, K)
    for share, where in FILTERS.items():
        work[f"{one}, {share} allowed"] = partial(scan.top, queries[:1], K, allowed[share])
        work[f"{many}, {share} allowed"] = partial(index.search_many, texts, K, where)

    wrong = 0
    for condition, allow in [(None, ids), *((where, allowed[share]) for share, where in FILTERS.items())]:
        right = reference(matrix, queries, allow)
        found = [scan.top(queries[:1], K, None if condition is None else allow)[1][0].tolist()]
        found += [[result.id for result in results] for results in index.search_many(texts, K, condition)]
        wrong += sum(set(mine) != best for mine, best in zip(found, [right[0], *right], strict=True))
    print(f"{wrong} answers of {4 * (1 + QUERIES)} differ from the reference\n")

    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(arguments.rounds + 1):
        for name, call in work.items():
            begin = time.perf_counter()
            call()
            if turn:  # the first round warms up
                times[name].append(time.perf_counter() - begin)
    folder.cleanup()
    medians = {name: float(np.median(seconds)) for name, seconds in times.items()}

    rows: list[tuple[str, str, float]] = [("open", "read", 0.0), (one, "read", 2.0), (many, "product", 1.5)]
    rows += [(many, "product, memory there", 1.5)]
    rows += [(name, name.split(",")[0], 1.0) for name in work if "allowed" in name]
    result = [
        {"what": what, "limit": limit, "ratio": round(medians[what] / medians[limit], 3), "bar": bar or None}
        for what, limit, bar in rows
    ]
    for row in result:
        print(
            f"{row['what']:24} {row['ratio']:6.2f} x {row['limit']:24} {'bar ' + str(row['bar']) if row['bar'] else ''}"
        )
    arguments.json.write_text(
        json.dumps(
            {"rows": arguments.rows, "dim": arguments.dim, "cores": CORES, "wrong": wrong, "results": result}, indent=1
        )
    )
    return int(wrong > 0)


def units(pool: ThreadPoolExecutor, n: int, dim: int, seed: int) -> np.ndarray:
    out = np.empty((n, dim), np.float16)

    def fill(start: int) -> None:
        rows = np.random.default_rng([seed, start]).standard_normal(out[start : start + 65536].shape, dtype=np.float32)
        out[start : start + 65536] = rows / np.linalg.norm(rows, axis=1, keepdims=True)

    list(pool.map(fill, range(0, n, 65536)))
    return out


def read(pool: ThreadPoolExecutor, matrix: np.ndarray) -> None:
    words = np.array_split(matrix.reshape(-1).view(np.uint64), CORES)
    list(pool.map(np.bitwise_xor.reduce, words))


def reference(matrix: np.ndarray, queries: np.ndarray, allowed: np.ndarray) -> list[set[int]]:
    """The best K of the allowed rows of each query: float32 chooses 4 * K, float64 ranks them."""
    best = [np.empty(0, np.int64) for _ in queries]
    for start in range(0, len(allowed), 65536):
        rows = allowed[start : start + 65536]
        scores = queries @ matrix[rows].astype(np.float32).T
        take = min(4 * K, len(rows))
        for i, row in enumerate(scores):
            best[i] = np.concatenate([best[i], rows[np.argpartition(-row, take - 1)[:take]]])
    exact = [
        matrix[rows].astype(np.float64) @ query.astype(np.float64) for rows, query in zip(best, queries, strict=True)
    ]
    return [set(rows[np.argsort(-scores)[:K]].tolist()) for rows, scores in zip(best, exact, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
