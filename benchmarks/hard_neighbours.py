"""Hostile files among good photos: what is indexed, what is skipped and why, and do the good ones' vectors change?

    python benchmarks/hard_neighbours.py PHOTOS HARD CHECKPOINT [N]

N photos (default 100) are indexed alone, then among every file below HARD; both indexes are compared row by row.
"""

import argparse
import collections
import re
import resource
import shutil
import tempfile
from pathlib import Path

import numpy as np

import sightline
from sightline.index import Table
from sightline.index.sync import sync
from sightline.index.uri import to_path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("hard", type=Path)
    parser.add_argument("checkpoint")
    parser.add_argument("count", nargs="?", type=int, default=100)
    given = parser.parse_args()
    encoder = sightline.load(given.checkpoint)
    with tempfile.TemporaryDirectory() as temporary:
        alone, mixed = Path(temporary) / "alone", Path(temporary) / "mixed"
        alone.mkdir()
        shutil.copytree(given.hard, mixed, symlinks=True)
        for i, photo in enumerate(sorted(given.photos.iterdir())[: given.count]):
            shutil.copy(photo, alone / f"good-{photo.name}")
            places = sorted(p for p in mixed.rglob("*") if p.is_dir()) or [mixed]
            shutil.copy(photo, places[i % len(places)] / f"good-{photo.name}")
        sync(Path(temporary) / "a", [alone], encoder)
        report = sync(Path(temporary) / "b", [mixed], encoder)
        reference, found = vectors(Path(temporary) / "a"), vectors(Path(temporary) / "b")
        assert set(reference) <= set(found), "a good photo is missing"
        same = sum(np.array_equal(reference[name], found[name]) for name in reference)

    reasons = collections.Counter(re.sub(r"\(.*\)|\d[\d,. x]*", "...", reason) for _, reason in report.skipped)
    print(f"{report.added} added ({len(reference)} of them the good photos), {len(report.skipped)} skipped:")
    for reason, n in reasons.most_common():
        print(f"  {n:4}  {reason}")
    print(f"good photos whose vector is the same, bit for bit: {same} of {len(reference)}")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def vectors(folder: Path) -> dict[str, np.ndarray]:
    ids, matrix = Table.open(folder).vectors()
    rows = Table.open(folder).rows(ids, ["uri"])
    return {to_path(row["uri"]).name: vector for row, vector in zip(rows, matrix, strict=True)}


if __name__ == "__main__":
    main()
