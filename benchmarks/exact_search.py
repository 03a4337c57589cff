"""Exact search over random vectors: time over the limit measured in the same run, and every answer checked.

    python benchmarks/exact_search.py [ROWS] [DIM] [--rounds 7] [--json FILE]

Limits: for one query, reading the float16 matrix once with a thread per core; for 64, torch's product of the same
matrix in bfloat16 with the queries (with a fresh result, and into memory that is already there). A filtered search is
held against the same search without a filter. Ratios are of medians, rounds alternate. Memory: twice the matrix.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sightline.index import Scan

K, CORES = 10, os.cpu_count() or 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("dim", nargs="?", type=int, default=512)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    pool = ThreadPoolExecutor(CORES)
    matrix = units(pool, arguments.rows, arguments.dim, 0)
    queries = units(pool, 64, arguments.dim, 1).astype(np.float32)
    ids = np.arange(arguments.rows)
    scan = Scan(ids, matrix)
    wide, narrow = torch.from_numpy(matrix).to(torch.bfloat16), torch.from_numpy(queries).to(torch.bfloat16)
    there = torch.empty(len(matrix), 64, dtype=torch.bfloat16)
    draw = np.random.default_rng(2).random(len(matrix))
    filters = {share: np.flatnonzero(draw < share) for share in (0.001, 0.1, 0.9)}

    work: dict[str, Callable[[], object]] = {
        "read": partial(read, pool, matrix),
        "product": lambda: wide @ narrow.T,
        "product, memory there": lambda: torch.mm(wide, narrow.T, out=there),
        "open": lambda: Scan(ids, matrix),
    }
    for count in (1, 64):
        work[f"top {count}"] = partial(scan.top, queries[:count], K)
        for share, allow in filters.items():
            work[f"top {count}, {share:.1%} allowed"] = partial(scan.top, queries[:count], K, allow)

    wrong = 0
    for share, allow in {1.0: ids, **filters}.items():
        right = reference(matrix, queries, allow)
        for count in (1, 64):
            found = scan.top(queries[:count], K, None if share == 1 else allow)[1]
            wrong += sum(set(row.tolist()) != wanted for row, wanted in zip(found, right, strict=False))
    print(f"{wrong} answers of {4 * 65} differ from the reference\n")

    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(arguments.rounds + 1):
        for name, call in work.items():
            begin = time.perf_counter()
            call()
            if turn:  # the first round warms up
                times[name].append(time.perf_counter() - begin)
    medians = {name: float(np.median(seconds)) for name, seconds in times.items()}

    rows: list[tuple[str, str, float]] = [("open", "read", 0.0), ("top 1", "read", 2.0), ("top 64", "product", 1.5)]
    rows += [("top 64", "product, memory there", 1.5)]
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
