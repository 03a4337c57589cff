"""What becomes a row: a picture, or a moment of a film, with the facts of its file."""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from PIL import Image

from sightline.errors import ImageError
from sightline.files import open_file
from sightline.processing.image.reading import open_image
from sightline.processing.image.thumbnail import thumbnail

THUMBNAIL = 192
_DATE, _EXIF = 0x0132, 0x8769  # DateTime, the EXIF directory
_DATES = (0x9003, 0x9004)  # DateTimeOriginal, DateTimeDigitized (Exif 2.32, 4.6.5)
_WHOLE = 64 << 20
"""Files up to this many bytes are read at once; larger ones are hashed in pieces and opened from the disk."""


@dataclass(frozen=True)
class FileFacts:
    """Of the bytes that were read: their number, the file's time in ns, and their hex BLAKE2b-128."""

    size: int
    mtime: int
    hash: str


@dataclass(frozen=True)
class Facts:
    """What is known of an item from its contents: its file, times in seconds in a video, upright size in pixels, time
    taken, small JPEG."""

    file: FileFacts
    start: float | None
    end: float | None
    width: int
    height: int
    taken: datetime | None
    thumbnail: bytes = field(repr=False)


@dataclass(frozen=True, eq=False)
class Item:
    """A picture, or a moment of a video, to be indexed.

    A moment comes with its times in seconds, its `frames` and the facts of its file. `is_last`: no other item of the
    same file follows. `error`: why the file, or the rest of it, cannot be read.
    """

    path: Path
    start: float | None = None
    end: float | None = None
    frames: list[Image.Image] = field(default_factory=list, repr=False)
    file: FileFacts | None = None
    is_last: bool = True
    error: Exception | None = None

    def is_moment(self) -> bool:
        """Whether it is one of a video's; else it is a picture."""
        return self.start is not None


def read(item: Item, short_side: int) -> tuple[Image.Image | list[Image.Image], Facts]:
    """The picture, RGB and upright, or the moment's frames, and the facts; those of a picture are of the bytes decoded.

    Raises ImageError if it is no readable picture or video or changed meanwhile, OSError if the file cannot be had.
    """
    if item.error is not None:
        raise item.error
    if item.file is not None:
        frames = item.frames
        return frames, _facts(item, item.file, frames[len(frames) // 2], None)
    with unchanged(item.path) as (file, size, mtime):
        source = file.read() if size <= _WHOLE else b""
        digest = hash_bytes(source) if source else hash_file(file)
        picture = open_image(source or item.path, short_side=short_side)
    return picture, _facts(item, FileFacts(size, mtime, digest), picture, taken(picture))


def _facts(item: Item, file: FileFacts, picture: Image.Image, taken: datetime | None) -> Facts:
    width, height = picture.info["full_size"]
    return Facts(file, item.start, item.end, width, height, taken, thumbnail(picture, THUMBNAIL, 80))


@contextmanager
def unchanged(path: Path) -> Iterator[tuple[io.BufferedReader, int, int]]:
    """The open file, its size and time. Raises ImageError at the end if it is not the same file any more."""
    with open_file(path) as file:
        before = os.fstat(file.fileno())
        yield file, before.st_size, before.st_mtime_ns
    after = path.stat()
    if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
        raise ImageError(str(path), "it changed while it was being read")


def hash_bytes(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def hash_file(file: io.BufferedReader) -> str:
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def taken(picture: Image.Image) -> datetime | None:
    """When the camera says that it took the picture, in its local time."""
    try:
        exif = picture.getexif()
        details = exif.get_ifd(_EXIF)
        dates = [*(details.get(tag) for tag in _DATES), exif.get(_DATE)]
    except Exception:  # Pillow's parsers raise anything on broken EXIF, which is no reason to lose the picture
        return None
    return next((date for date in map(_date, dates) if date), None)


def _date(text: object) -> datetime | None:
    try:
        return datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
