"""`python indexer.py INDEX DELAY PATH ...`: one run of `sync` that can be killed: small commits, frequent merges.

The model takes DELAY seconds for each image after the first. Says "begun" with the first one, or when it begins to
upgrade. Exit status 3: locked.
"""

import sys
import time
from pathlib import Path

from sightline.errors import IndexLocked
from sightline.index import Limits
from sightline.index.sync import sync
from support.encoders import FakeEncoder

LIMITS = Limits(batch_rows=10, copied_rows=5, upgraded_rows=4, small_fragments=6, fragment_rows=100)


class SlowEncoder(FakeEncoder):
    def __init__(self, delay):
        super().__init__()
        self.delay, self.begun = delay, False

    def _encode(self, picture):
        time.sleep(self.delay * self.begun)
        self.begun = True
        return super()._encode(picture)


def main(index, delay, *paths):
    begun = []

    def tell(progress):
        if progress.stage in ("upgrading", "encoding") and not begun:
            begun.append(progress)
            print("begun", flush=True)

    try:
        encoder, wait = SlowEncoder(float(delay)), len(paths) - 1
        sync(index, [Path(path) for path in paths], encoder, tell, wait=wait, limits=LIMITS)
    except IndexLocked as error:
        print(error)
        sys.exit(3)


if __name__ == "__main__":
    main(*sys.argv[1:])
