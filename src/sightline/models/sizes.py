"""A picture's size as scripts read and change it."""

from typing import Any

from sightline.errors import UsageError

_SIDES = ("height", "width", "shortest_edge")
_UNUSED = ("longest_edge", "max_height", "max_width", "min_pixels", "max_pixels")
"""Sides by which the reference can measure, and Sightline does not; they read as None, as there."""


class SizeDict(dict[str, int]):
    """Pixels by side, `size["height"]` or `size.height`: height and width, or the shortest edge alone.

    A side that is not given reads as None. Raises UsageError where a side is set to what is no number of pixels.
    """

    def __init__(self, *sides: Any, **more: int) -> None:
        super().__init__()
        for name, pixels in dict(*sides, **more).items():
            if pixels is not None:
                self[name] = pixels

    def __setitem__(self, name: str, pixels: int) -> None:
        if name not in _SIDES:
            raise UsageError(f"a size has no side {name!r}; there is {', '.join(_SIDES)}")
        if isinstance(pixels, bool) or not isinstance(pixels, int) or pixels < 1:
            raise UsageError(f"{name} is {pixels!r}, expected a number of pixels")
        super().__setitem__(name, pixels)

    def __missing__(self, name: str) -> None:
        if name not in (*_SIDES, *_UNUSED):
            raise KeyError(name)

    def __getattr__(self, name: str) -> int | None:
        if name not in (*_SIDES, *_UNUSED):
            raise AttributeError(f"a size has no side {name!r}; there is {', '.join(_SIDES)}")
        return self.get(name)

    def __setattr__(self, name: str, pixels: int) -> None:
        self[name] = pixels
