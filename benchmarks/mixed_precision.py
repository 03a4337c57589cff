"""Whether an index in one precision can be searched by queries in another, or be a mixture; and how fast each is made.

python benchmarks/mixed_precision.py CHECKPOINT SHARD.tar [--rounds 0]

The ten nearest images of each caption, compared with those of an index and queries in bfloat16: the mean share that is
found again, and how often the first is. With `--rounds`, indexes are made in turn in each precision, by `sync` with the
model opened before.
"""

import argparse
import json
import tarfile
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import in_turn, ratio, report

from sightline import load
from sightline.encoder.precision import Precision
from sightline.index import Table
from sightline.index.sync import sync
from sightline.search import Index

PRECISIONS: tuple[Precision, ...] = ("bfloat16", "int8", "float32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("shard", type=Path)
    parser.add_argument("--images", type=int, help="only so many")
    parser.add_argument("--rounds", type=int, default=0)
    given = parser.parse_args()
    encoders = {precision: load(given.checkpoint, precision=precision) for precision in PRECISIONS}
    fast = load(given.checkpoint, precision="fast")
    figures: dict[str, Any] = {"fast": f"{fast.precision} for images, {fast.text_precision} for texts"}
    with tempfile.TemporaryDirectory() as scratch:
        photos, captions = unpack(given.shard, Path(scratch) / "photos", given.images)
        half = photos[::2]
        figures |= {"images": len(photos), "captions": len(captions)}
        if given.rounds:
            figures |= rates(
                {name: encoders[name] for name in ("bfloat16", "int8")} | {"fast": fast},
                photos,
                Path(scratch),
                given.rounds,
            )
        else:
            indexes = {name: Path(scratch) / name for name in (*PRECISIONS, "half int8")}
            for precision in PRECISIONS:
                sync(indexes[precision], photos, encoders[precision])
            sync(indexes["half int8"], half, encoders["int8"])
            sync(indexes["half int8"], photos, encoders["bfloat16"])
            right = nearest(indexes["bfloat16"], encoders["bfloat16"], captions)
            for name, index in indexes.items():
                for precision, encoder in encoders.items():
                    found = nearest(index, encoder, captions)
                    again = float(np.mean([len({*a} & {*b}) / len(b) for a, b in zip(found, right, strict=True)]))
                    first = float(np.mean([a[0] == b[0] for a, b in zip(found, right, strict=True)]))
                    figures[f"index {name}, queries {precision}"] = f"{again:.4f} of ten, {first:.4f} of the first"
    report(__file__, figures)


def unpack(shard: Path, folder: Path, most: int | None) -> tuple[list[Path], list[str]]:
    """The images of a shard as files, and their captions."""
    with tarfile.open(shard) as tar:
        tar.extractall(folder, filter="data")
    photos = sorted(folder.glob("*.jpg"))[:most]
    notes = [json.loads(photo.with_suffix(".json").read_text(encoding="utf-8")) for photo in photos]
    return photos, [caption for note in notes for caption in note["captions"]]


def nearest(folder: Path, encoder: Any, captions: list[str]) -> list[list[str]]:
    """Of each caption the ten nearest files."""
    found = Index(Table.open(folder), encoder).search_many(captions, 10)
    return [[result.uri for result in results] for results in found]


def rates(encoders: dict[str, Any], photos: list[Path], scratch: Path, rounds: int) -> dict[str, float]:
    """How many times as fast as in bfloat16 an index is made."""

    def index(encoder: Any, name: str, number: int) -> None:
        sync(scratch / f"{name}-{number}", photos, encoder)

    taken = in_turn({name: partial(index, encoder, name) for name, encoder in encoders.items()}, range(rounds + 1))
    return {f"{name}, times as fast as bfloat16": ratio(taken, "bfloat16", name) for name in encoders}


if __name__ == "__main__":
    main()
