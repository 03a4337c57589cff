"""Hostile files among good photos: what is indexed, what is skipped and why, and do the good ones' vectors change?

    python benchmarks/hard_neighbours.py PHOTOS HARD CHECKPOINT [N]

N photos (default 100) are indexed alone, then among every file below HARD; both indexes are compared row by row.
"""

import collections
import re
import resource
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

import sightline
from sightline.index import Table
from sightline.index.sync import sync
from sightline.index.uri import to_path

photos, hard, checkpoint = map(Path, sys.argv[1:4])
count = int(sys.argv[4]) if len(sys.argv) > 4 else 100
encoder = sightline.load(checkpoint)


def vectors(folder: Path) -> dict[str, np.ndarray]:
    ids, matrix = Table.open(folder).vectors()
    rows = Table.open(folder).rows(ids, ["uri"])
    return {to_path(row["uri"]).name: vector for row, vector in zip(rows, matrix, strict=True)}


with tempfile.TemporaryDirectory() as temporary:
    alone, mixed = Path(temporary) / "alone", Path(temporary) / "mixed"
    alone.mkdir()
    shutil.copytree(hard, mixed, symlinks=True)
    for i, photo in enumerate(sorted(photos.iterdir())[:count]):
        shutil.copy(photo, alone / f"good-{photo.name}")
        places = sorted(p for p in mixed.rglob("*") if p.is_dir()) or [mixed]
        shutil.copy(photo, places[i % len(places)] / f"good-{photo.name}")
    sync(Path(temporary) / "a", [alone], encoder)
    summary = sync(Path(temporary) / "b", [mixed], encoder)
    reference, found = vectors(Path(temporary) / "a"), vectors(Path(temporary) / "b")
    assert set(reference) <= set(found), "a good photo is missing"
    same = sum(np.array_equal(reference[name], found[name]) for name in reference)

reasons = collections.Counter(re.sub(r"\(.*\)|\d[\d,. x]*", "...", reason) for _, reason in summary.skipped)
print(f"{summary.added} added ({len(reference)} of them the good photos), {len(summary.skipped)} skipped:")
for reason, n in reasons.most_common():
    print(f"  {n:4}  {reason}")
print(f"good photos whose vector is the same, bit for bit: {same} of {len(reference)}")
print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
