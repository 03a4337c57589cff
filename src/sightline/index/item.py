"""What becomes a row: a picture, or a moment of a film, with the facts of its file."""

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image

from sightline.errors import ImageError
from sightline.processing.image.reading import open_image

THUMBNAIL = 192
_DATE, _EXIF = 0x0132, 0x8769  # DateTime, the EXIF directory
_DATES = (0x9003, 0x9004)  # DateTimeOriginal, DateTimeDigitized (Exif 2.32, 4.6.5)
_WHOLE = 64 << 20
"""Files up to this many bytes are read at once; larger ones are hashed in pieces and opened from the disk."""


@dataclass(eq=False)
class Item:
    """A picture or a moment to be indexed. `read` fills in what is known only from the contents.

    A moment comes with its times and its `frames`, which `read` hands out and lets go of. `is_last`: no other item of
    the same file follows. `error`: why the file, or the rest of it, cannot be had.
    """

    path: Path
    size: int = 0
    mtime: int = 0
    hash: str = ""
    width: int = 0
    height: int = 0
    taken: datetime | None = None
    thumbnail: bytes = field(default=b"", repr=False)
    start: float | None = None
    end: float | None = None
    frames: list[Image.Image] = field(default_factory=list, repr=False)
    summary: Any = field(default=None, repr=False)
    is_last: bool = True
    error: Exception | None = None

    def is_moment(self) -> bool:
        """Whether it is one of a film's; else it is a picture."""
        return self.start is not None

    def read(self, short_side: int) -> Image.Image | list[Image.Image]:
        """The picture, RGB and upright, or the moment's frames; the facts are those of the bytes that were decoded.

        Raises ImageError if it is no readable picture or film or changed meanwhile, OSError if the file cannot be had.
        """
        if self.error is not None:
            raise self.error
        if self.is_moment():
            frames, self.frames = self.frames, []
            self._show(frames[len(frames) // 2])
            return frames
        with unchanged(self.path) as (file, self.size, self.mtime):
            source = file.read() if self.size <= _WHOLE else b""
            self.hash = hash_bytes(source) if source else hash_file(file)
            picture = open_image(source or self.path, short_side=short_side)
        self.taken = taken(picture)
        self._show(picture)
        return picture

    def keep(self, summary: Any) -> None:
        """Take in what a model says of it beside the vector."""
        self.summary = summary

    def _show(self, picture: Image.Image) -> None:
        self.width, self.height = picture.info["full_size"]
        self.thumbnail = thumbnail(picture)


@contextmanager
def unchanged(path: Path) -> Iterator[tuple[io.BufferedReader, int, int]]:
    """The open file, its size and time. Raises ImageError at the end if it is not the same file any more."""
    with open_file(path) as file:
        before = os.fstat(file.fileno())
        yield file, before.st_size, before.st_mtime_ns
    after = path.stat()
    if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
        raise ImageError(str(path), "it changed while it was being read")


def open_file(path: Path) -> io.BufferedReader:
    """Open a regular file to read; a pipe or a device is refused, not waited for. Raises ImageError, OSError."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ImageError(str(path), "it is not a file")
    return os.fdopen(handle, "rb")


def hash_bytes(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def hash_file(file: io.BufferedReader) -> str:
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def thumbnail(picture: Image.Image) -> bytes:
    """A small JPEG of the picture."""
    small = picture.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return out.getvalue()


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
