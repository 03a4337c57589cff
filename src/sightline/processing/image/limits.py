"""How large a picture may be, and how much may be decoded at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sightline.errors import ImageError

MAX_PIXELS = 1 << 27
"""Pixels that a picture may have once decoded: at 4 bytes each, twice (a conversion), this is 1 GiB."""


def check_size(size: tuple[int, int], limit: int, name: str) -> None:
    """Raises ImageError for a (width, height) of more than `limit` pixels."""
    if size[0] * size[1] > limit:
        raise ImageError(name, f"{size[0]} x {size[1]} pixels are too many (at most {limit / 1e6:.0f} million)")


class PixelBudget:
    """At most `pixels` pixels at a time, however many threads ask. A larger picture waits until it is alone."""

    def __init__(self, pixels: int) -> None:
        self._all = self._free = pixels
        self._changed = threading.Condition()

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        """Waits until `pixels` pixels are free, and takes them while the context lasts."""
        pixels = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()
