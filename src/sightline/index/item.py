"""What becomes a row: an image, or a moment of a video, with the facts of its file."""

import hashlib
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from PIL import Image

from sightline.errors import ImageError
from sightline.files import open_file
from sightline.index.walk import time_of
from sightline.processing.image.thumbnail import perceptual_hash, thumbnail
from sightline.processing.metadata import Metadata, read_image_metadata

if TYPE_CHECKING:
    from sightline.encoder import Encoder

THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 192, 80
_READ_AT_ONCE = 64 << 20
"""Files up to this many bytes are read at once; larger ones are hashed in pieces and opened from the disk."""


@dataclass(frozen=True)
class FileFacts:
    """Of the bytes that were read: their number, the file's time in ns, and their hex BLAKE2b-128."""

    size: int
    mtime: int
    hash: str


@dataclass(frozen=True)
class Facts:
    """What is known of an item besides its vector: its file, times in seconds in a video, upright size in pixels, what
    the header says, a small JPEG and its perceptual hash."""

    file: FileFacts
    metadata: Metadata
    start: float | None
    end: float | None
    width: int
    height: int
    thumbnail: bytes = field(repr=False)
    phash: int


class Item(ABC):
    """An image, or a moment of a video, to be indexed. `end`: the second at which the moment ends. `is_last`: no other
    item of the same file follows."""

    path: Path
    end: float | None
    is_last: bool
    is_video: ClassVar[bool]

    @abstractmethod
    def read(self, encoder: "Encoder") -> tuple[Image.Image | list[Image.Image], Facts]:
        """The image, RGB and upright, or the moment's frames, and the facts.

        Raises ImageError if it is no readable image or video or changed meanwhile, OSError if it cannot be opened.
        """


@dataclass(frozen=True, eq=False)
class ImageItem(Item):
    """An image file, opened and decoded when it is read; the facts are those of the bytes that were decoded."""

    path: Path
    end, is_last, is_video = None, True, False

    def read(self, encoder: "Encoder") -> tuple[Image.Image, Facts]:
        with unchanged(self.path) as (file, size, mtime):
            data = file.read() if size <= _READ_AT_ONCE else b""
            digest = hashlib.blake2b(data, digest_size=16).hexdigest() if data else hash_file(file)
            image = encoder.open_image(data or self.path)
            metadata = read_image_metadata(self.path, data or None)
        return image, facts_of(FileFacts(size, mtime, digest), metadata, image)


def facts_of(
    file: FileFacts, metadata: Metadata, image: Image.Image, start: float | None = None, end: float | None = None
) -> Facts:
    """The facts of an image, or of a moment with this frame in its middle."""
    width, height = image.info["full_size"]
    small = thumbnail(image, THUMBNAIL_SIDE, THUMBNAIL_QUALITY)
    return Facts(file, metadata, start, end, width, height, small, perceptual_hash(small))


@contextmanager
def unchanged(path: Path) -> Iterator[tuple[io.BufferedReader, int, int]]:
    """The open file, its size and time. Raises ImageError at the end if size or time is another by then; the inode
    number does not count, since some network mounts give another one at each look."""
    with open_file(path) as file:
        before = os.fstat(file.fileno())
        size, time = before.st_size, time_of(before)
        yield file, size, time
    after = path.stat()
    if (size, time) != (after.st_size, time_of(after)):
        raise ImageError(str(path), "it changed while it was being read")


def hash_file(file: io.BufferedReader) -> str:
    """Hex BLAKE2b-128 of what the file holds."""
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
