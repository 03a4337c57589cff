"""How much do two steps lose against scoring everything, and what do they cost? X-CLIP on drawn videos.

    python benchmarks/two_steps.py [--model mini-xclip] [--videos 1000] [--queries 1000]

Videos that the model has not seen, all with different captions, become an index as `sightline index` makes it, and each
caption is searched: by cosines alone, with the nearest 100 scored again, with all scored again. Printed are how many of
the first 10 the three have in common, how often the caption's own video comes first, and the time of each over that of
cosines alone, in turn in one process.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from measure import in_turn, ratio, report

import sightline
from sightline import scenes
from sightline.index import ModelRecord, Table
from sightline.index.schema import item_schema
from sightline.scenes.videos import SECONDS
from sightline.search import open_index

SEED, RESCORED, K = 20_261_122, 100, 10


def index(folder: Path, model: sightline.Encoder, drawn: list[scenes.SceneVideo]) -> None:
    record = ModelRecord(model.name, model.fingerprint, model.dim, model.revision, model.rescoring)
    table, rows = Table.create(folder, record), []
    stream = model.stream(
        range(len(drawn)),
        lambda i: (drawn[i].frames(model.frames, model.size_hint), None),
        lambda i: True,
        extras=True,
    )
    for i, _, vector, extras in stream:
        assert isinstance(vector, np.ndarray)
        assert extras is not None
        rows.append(
            {
                "id": i, "uri": f"/videos/{i}.mp4", "kind": "moment", "start": 0.0, "end": SECONDS, "size": 1,
                "mtime": 0, "hash": f"{i:032x}", "width": 224, "height": 224, "moments": 1,
                "vector": vector.astype(np.float16), "rescoring": extras.ravel(),
            }
        )  # fmt: skip
        if len(rows) == 256 or i == len(drawn) - 1:
            table.append(pa.Table.from_pylist(rows, schema=item_schema(record)))
            rows = []


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", default="mini-xclip")
    arguments.add_argument("--videos", type=int, default=1000)
    arguments.add_argument("--queries", type=int, default=1000)
    given = arguments.parse_args()
    model = sightline.load(given.model)
    drawn = scenes.distinct_videos(given.videos, SEED)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        index(Path(folder), model, drawn)
        print(f"{given.videos} videos drawn and indexed in {time.monotonic() - began:.0f} s", flush=True)
        opened = open_index(folder, model)
        found: dict[str, list[list[int]]] = {"cosines": [], "100 again": [], "all again": []}

        def compare(outputs: dict[str, list[sightline.Result]]) -> None:
            for name, results in outputs.items():
                found[name].append([result.id for result in results])

        chosen = list(range(min(given.queries, len(drawn))))
        again = {"cosines": 0, "100 again": RESCORED, "all again": "all"}
        searches = {
            name: lambda i, count=count: opened.search(drawn[i].caption, K, rescore=count)
            for name, count in again.items()
        }
        taken = in_turn(searches, [0, *chosen], compare)
    everything = {name: ids[1:] for name, ids in found.items()}  # the first was the warm-up
    figures: dict[str, object] = {"model": given.model, "videos": given.videos, "queries": len(chosen)}
    figures["rows for exact scores, bytes a moment"] = 2 * model.rescoring * model.dim
    for name, ids in everything.items():
        figures[f"{name}: own video first"] = statistics.mean(ids[i][0] == i for i in chosen)
        shared = [len(set(mine) & set(full)) / K for mine, full in zip(ids, everything["all again"], strict=True)]
        figures[f"{name}: overlap at {K} with all"] = statistics.mean(shared)
        figures[f"{name}: least overlap at {K} with all"] = min(shared)
        figures[f"{name}: times the time of cosines"] = ratio(taken, name, "cosines")
    report(__file__, figures)


if __name__ == "__main__":
    main()
