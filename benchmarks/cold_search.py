"""`sightline search` from a cold shell against importing torch: whole processes, in turn.

python benchmarks/cold_search.py VOCABULARY [--items 10000] [--rounds 9] [--mini]

An index of random vectors, built by a ViT-B/32 with random weights; VOCABULARY is a folder with `clip-vocab.json` and
`clip-merges.txt`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from measure import in_turn, random_clip, ratio, report

import sightline
from sightline.index import lock
from sightline.index.folder import claim
from sightline.index.schema import ModelRecord, item_schema
from sightline.index.table import Table


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--mini", action="store_true", help="models of the packaged ones' size, to try the program")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model, index = Path(scratch) / "model", Path(scratch) / "index"
        random_clip(model, given.mini, given.vocabulary)
        fill(index, sightline.load(model), given.items)
        command = [str(Path(sys.executable).with_name("sightline")), "search", "--index", str(index)]
        taken = in_turn(
            {
                "sightline search": lambda words: subprocess.check_output([*command, words]),
                "import torch": lambda _: subprocess.check_output([sys.executable, "-c", "import torch"]),
            },
            [f"a dog and {n} cats" for n in range(given.rounds + 1)],
        )
    report(__file__, {"items": given.items, "sightline search against import torch": ratio(taken, *taken)})


def fill(folder: Path, encoder: sightline.Encoder, count: int) -> None:
    """An index of `count` items that have random vectors and thumbnails of 5 kB."""
    rng = np.random.default_rng(0)
    claim(folder)
    with lock.writer(folder, 0):
        table = Table.create(folder, ModelRecord(encoder.name, encoder.fingerprint, encoder.dim, encoder.revision))
        schema, first = item_schema(table.model), table.reserve(count)
        for start in range(first, first + count, 5000):
            ids = range(start, min(start + 5000, first + count))
            vectors = rng.standard_normal((len(ids), encoder.dim), np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            row = {"kind": "image", "size": 1, "mtime": 1, "hash": "0" * 32, "width": 640, "height": 480}
            row |= {"thumbnail": bytes(5000)} | dict.fromkeys(("start", "end", "taken", "caption"))
            rows = [
                row | {"id": i, "uri": f"file:///photos/{i}.jpg", "vector": v}
                for i, v in zip(ids, vectors.astype(np.float16), strict=True)
            ]
            table.append(pa.Table.from_pylist(rows, schema=schema))


if __name__ == "__main__":
    main()
