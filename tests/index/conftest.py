"""A folder of pictures, an index, an encoder that is watched."""

import pytest

from support.encoders import FakeEncoder
from support.images import draw


@pytest.fixture
def photos(tmp_path):
    """A folder with eight pictures, two of them a folder deeper."""
    folder = tmp_path / "photos"
    for seed in range(8):
        draw(folder / ("deep" if seed > 5 else ".") / f"{seed}.png", seed)
    return folder


@pytest.fixture
def index(tmp_path):
    """Where the index of a test lies."""
    return tmp_path / "index"


@pytest.fixture
def encoder():
    """A FakeEncoder that remembers in `seen` which files it was asked to encode."""
    return WatchedEncoder()


class WatchedEncoder(FakeEncoder):
    def __init__(self, **options):
        super().__init__(**options)
        self.seen = []

    def stream(self, items, read, *more, **named):
        def watched(item):
            self.seen.append(item.path.name)
            return read(item)

        return super().stream(items, watched, *more, **named)
