"""`python indexer.py INDEX DELAY PATH ...`: one run of `sync` that can be killed: small commits, frequent merges.

The model takes DELAY seconds for each picture after the first. Says "begun" with the first one. Exit status 3: locked.
"""

import importlib
import sys
import time
from pathlib import Path

from sightline.errors import IndexLocked
from sightline.index import batch
from support.encoders import FakeEncoder

sync_module = importlib.import_module("sightline.index.sync")
table_module = importlib.import_module("sightline.index.table")
batch._BATCH = 10
sync_module._AMENDED = 5
table_module._SMALL_FRAGMENTS = 6
table_module._FRAGMENT_ROWS = 100


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
        if progress.stage == "encoding" and not begun:
            begun.append(progress)
            print("begun", flush=True)

    try:
        sync_module.sync(index, [Path(path) for path in paths], SlowEncoder(float(delay)), tell, wait=len(paths) - 1)
    except IndexLocked as error:
        print(error)
        sys.exit(3)


if __name__ == "__main__":
    main(*sys.argv[1:])
