"""The approximate first pass against exact search, over drawn vectors: recall and time, from which its size is chosen.

    python benchmarks/first_pass.py [ROWS] [--kind {like CLIP,random}] [--json FILE]

"Like CLIP": a cone, a falling spectrum, 5,000 clusters; half of the queries are near a row, half lie in another cone,
as words do. "Random": uniformly random directions, the hardest there is. A table on disk is made of them, `refresh`
builds the lists, and 64 queries are asked one at a time, exactly and not, in turn. Recall is the share of the exact 10
or 100 nearest that were found; the time is the ratio of the medians. Memory: the matrix and a tenth; disk: the same.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from sightline.index import ModelRecord, Scan, Table, ivf
from sightline.index.folder import IVF_FILE
from sightline.index.schema import item_schema
from sightline.vectors import unit

DIM, QUERIES, CHUNK = 512, 64, 65_536


def like_clip(rows: int) -> tuple[Iterator[np.ndarray], np.ndarray]:
    """Chunks of rows, and the queries."""
    rng = np.random.default_rng(5)
    spectrum = np.arange(1, DIM + 1) ** -1.0
    spectrum = np.sqrt(spectrum / spectrum.sum()).astype(np.float32)
    turn = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0].astype(np.float32)
    centre, other = 0.9 * turn[:, 100], 0.9 * turn[:, 200]
    clusters = (rng.standard_normal((5000, DIM), dtype=np.float32) * spectrum) @ turn.T

    def near(rng: np.random.Generator, count: int) -> np.ndarray:
        spread = (rng.standard_normal((count, DIM), dtype=np.float32) * spectrum) @ turn.T
        return unit(0.7 * clusters[rng.integers(0, 5000, count)] + 0.7 * spread + centre)

    some = near(rng, QUERIES)
    noise = (rng.standard_normal((QUERIES, DIM), dtype=np.float32) * spectrum) @ turn.T
    words, pictures = 0.5 * (some - 0.67 * centre) + 0.5 * noise + other, some + 0.3 * noise
    queries = unit(np.where(np.arange(QUERIES)[:, None] % 2, words, pictures))
    return (near(np.random.default_rng([5, lo]), min(CHUNK, rows - lo)) for lo in range(0, rows, CHUNK)), queries


def random(rows: int) -> tuple[Iterator[np.ndarray], np.ndarray]:
    """Chunks of rows, and the queries."""

    def drawn(seed: list[int], count: int) -> np.ndarray:
        return unit(np.random.default_rng(seed).standard_normal((count, DIM), dtype=np.float32))

    return (drawn([6, lo], min(CHUNK, rows - lo)) for lo in range(0, rows, CHUNK)), drawn([7], QUERIES)


def fill(table: Table, chunks: Iterable[np.ndarray]) -> None:
    """Rows that hold little but their ids and vectors; of each thousand, the sizes are 0 to 999 bytes, scattered."""
    schema, first = item_schema(table.model), 0
    for chunk in chunks:
        columns = {
            "id": pa.array(ids := np.arange(first, first + len(chunk))),
            "size": pa.array(ids * 389 % 1000),
            "vector": pa.FixedSizeListArray.from_arrays(
                pa.array(chunk.astype(np.float16).reshape(-1)), table.model.dim
            ),
        }
        for field in schema:
            if field.name not in columns:
                empty = pa.nulls(1, field.type) if field.nullable else pa.array([blank(field.type)], field.type)
                columns[field.name] = empty.take(pa.array(np.zeros(len(chunk), np.int64)))
        table.append(pa.table([columns[name] for name in schema.names], schema=schema))
        first += len(chunk)


def blank(kind: pa.DataType) -> bytes | str | int:
    return b"" if pa.types.is_binary(kind) else "" if pa.types.is_string(kind) else 0


def measure(kind: str, rows: int) -> dict[str, object]:
    chunks, queries = {"like CLIP": like_clip, "random": random}[kind](rows)
    with tempfile.TemporaryDirectory() as folder:
        table = Table.create(folder, ModelRecord("drawn", "0" * 64, DIM))
        fill(table, chunks)
        begin = time.perf_counter()
        ivf.refresh(table)
        build = time.perf_counter() - begin
        size = (Path(folder) / IVF_FILE).stat().st_size
        ids, matrix = table.vectors()
        begin = time.perf_counter()
        first = ivf.InvertedLists.of(table, ids, matrix)
        opened = time.perf_counter() - begin
    assert first is not None
    scan = Scan(ids, matrix, lambda: first)
    times: dict[bool, list[float]] = {True: [], False: []}
    found: dict[tuple[bool, int], list[np.ndarray]] = {}
    for turn in range(-1, QUERIES):
        for exact in (True, False):
            begin = time.perf_counter()
            scan.top(queries[[turn]], 10, exact=exact)
            if turn >= 0:  # the first warms up
                times[exact].append(time.perf_counter() - begin)
                found.setdefault((exact, 10), []).append(scan.top(queries[[turn]], 10, exact=exact)[1][0])
                found.setdefault((exact, 100), []).append(scan.top(queries[[turn]], 100, exact=exact)[1][0])
    share = {k: recall(found[True, k], found[False, k]) for k in (10, 100)}
    ratio = float(np.median(times[False]) / np.median(times[True]))
    scans = np.median(times[True])
    return {
        "vectors": kind, "rows": rows, "recall@10": share[10], "recall@100": share[100], "time": round(ratio, 3),
        "build": round(build / scans), "open": round(opened / scans, 1), "bytes a row": round(size / rows, 1),
    }  # fmt: skip


def recall(truth: list[np.ndarray], found: list[np.ndarray]) -> float:
    return round(float(np.mean([np.isin(right, row).mean() for right, row in zip(truth, found, strict=True)])), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", type=int, default=2_000_000)
    parser.add_argument("--kind", choices=["like CLIP", "random"], default="like CLIP")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    ivf.FIRST_PASS_ROWS = min(ivf.FIRST_PASS_ROWS, arguments.rows)
    result = measure(arguments.kind, arguments.rows)
    for name, value in result.items():
        print(f"{name:12} {value}")
    print("(time: of a search over that of an exact one; build, open: in exact searches)")
    arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
