"""Every file below a folder: decoded, or why not; and the most memory that any of it took.

    python benchmarks/hard_files.py FOLDER [SHORT_SIDE]

SHORT_SIDE is the side that a model resizes to: JPEGs are then decoded at a smaller scale. Without it, exactly.
"""

import argparse
import collections
import re
import resource
import time
from pathlib import Path

from sightline.errors import ImageError
from sightline.processing.image.reading import open_image
from sightline.processing.suffixes import is_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("short_side", nargs="?", type=int)
    given = parser.parse_args()
    folder, short_side = given.folder, given.short_side
    start, decoded, slowest = peak(), 0, (0.0, folder)
    reasons: collections.Counter[str] = collections.Counter()
    for path in sorted(path for path in folder.rglob("*") if not path.is_dir()):
        before, began = peak(), time.perf_counter()
        try:
            picture = open_image(path, short_side=short_side)
            decoded += 1
            said = f"{picture.width} x {picture.height}"
        except ImageError as error:
            reasons[re.sub(r"\d+", "N", error.reason)] += 1
            said = error.reason
        slowest = max(slowest, (time.perf_counter() - began, path))
        more = f", {peak() - before:.0f} MB more than any before" if peak() - before > 20 else ""
        other = "" if is_image(path) else ", not indexed by its suffix"
        print(f"{path.relative_to(folder)}: {said}{other}{more}")
    print(f"\n{decoded} decoded, {reasons.total()} not:")
    for reason, count in reasons.most_common():
        print(f"  {count:4}  {reason}")
    print(f"peak memory {peak():.0f} MB, {start:.0f} MB of it before the first file")
    print(f"the longest took {slowest[0]:.2f} s: {slowest[1].relative_to(folder)}")


def peak() -> float:
    """Megabytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
