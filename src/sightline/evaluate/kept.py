"""Vectors kept between evaluations: images that a model has encoded once are not encoded again.

An entry is a file of the vectors of a data set's images and videos. Its name is a hash of all that decides their bits:
the model's fingerprint, precision, device and batch, the code of this program and the versions of what decodes and
computes, and the bytes of each image's or video's file.
"""

import hashlib
import json
import os
import struct
import time
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.data import Item
from sightline.distribution import VERSION
from sightline.encoder.encoder import Encoder
from sightline.encoder.source import Vectors
from sightline.errors import SightlineError
from sightline.files import replacing

_ROOMS = "encoder", "models", "nn", "processing"
"""Of this program, those whose code decides the vectors."""
_LIBRARIES = "numpy", "pillow", "av", "pillow-heif", "pillow-jxl-plugin", "rawpy"
_DAY = 86_400
_DAMAGED = (
    OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, RuntimeError, MemoryError,
    zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip
"""What reading a file raises that is damaged anywhere."""
LIMIT = 2 << 30
"""Bytes of all entries; beyond that those that were not used for the longest time go."""


@dataclass(frozen=True)
class Entry:
    """The positions (n,) of the samples that could be read, ascending, their `vectors` (n, D) and `rescoring` (n, rows,
    D) or None, and for each other sample, by its position, why not."""

    readable: NDArray[np.int64]
    vectors: Vectors
    rescoring: NDArray[np.float16] | None
    reasons: dict[int, str]


class KeptVectors:
    """Entries in a folder, which need not exist. `taken` counts the images and videos whose vectors came from there."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder, self.limit, self.taken = folder, limit, 0

    @classmethod
    def of_user(cls) -> "KeptVectors | None":
        """Those in the user's cache; None where the user has no such folder."""
        import platformdirs

        try:
            return cls(platformdirs.user_cache_path("sightline") / "vectors")
        except RuntimeError:  # no home
            return None

    def find(self, key: str) -> Entry | None:
        """The entry; None if there is none, or if it is damaged."""
        file = self.folder / f"{key}.npz"
        try:
            with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
                rescoring = arrays["rescoring"] if arrays["rescoring"].size else None
                reasons = {int(at): str(why) for at, why in json.loads(arrays["reasons"].tobytes()).items()}
                entry = Entry(arrays["readable"], arrays["vectors"], rescoring, reasons)
        except _DAMAGED:
            return None
        if not len(entry.readable) == len(entry.vectors) > 0:
            return None
        with suppress(OSError):
            os.utime(file)
        self.taken += len(entry.vectors)
        return entry

    def keep(self, key: str, entry: Entry) -> None:
        """Writes the entry, whole or not at all. Where that cannot be done, nothing is kept."""
        arrays: dict[str, Any] = {
            "readable": entry.readable,
            "vectors": entry.vectors,
            "rescoring": np.empty(0, np.float16) if entry.rescoring is None else entry.rescoring,
            "reasons": np.frombuffer(json.dumps(entry.reasons).encode(), np.uint8),
        }
        if sum(array.nbytes for array in arrays.values()) > self.limit:
            return
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self.folder / f"{key}.npz") as temporary, temporary.open("wb") as file:
                np.savez(file, **arrays)
            self._prune()

    def _prune(self) -> None:
        """Deletes the entries that were used least recently, until the others are within the limit; and what a process
        that was killed has left half-written."""
        for left in self.folder.glob(".*.npz.*"):
            if left.stat().st_mtime < time.time() - _DAY:
                left.unlink(missing_ok=True)
        files = [(file.stat(), file) for file in self.folder.glob("*.npz")]
        total = sum(stat.st_size for stat, _ in files)
        for stat, file in sorted(files, key=lambda each: each[0].st_mtime_ns):
            if total <= self.limit:
                return
            file.unlink(missing_ok=True)
            total -= stat.st_size


def key_of(encoder: Encoder, samples: Sequence[Item], project: bool) -> str:
    """The name of the entry of these samples."""
    run = [
        encoder.fingerprint, encoder.precision, str(encoder.device), encoder.batch, project, VERSION, code_hash(),
        *encoder.engine.versions, *map(_version, _LIBRARIES),
    ]  # fmt: skip
    digest = hashlib.blake2b(json.dumps(run).encode(), digest_size=16)
    for sample in samples:
        digest.update(_content_hash(sample) + bytes([sample.is_video]))
    return digest.hexdigest()


@cache
def code_hash() -> str:
    """A hash of the code that decides the vectors: a change of it need not come with a new version."""
    digest = hashlib.blake2b(digest_size=16)
    for room in _ROOMS:
        for file in sorted((Path(__file__).parents[1] / room).rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _version(name: str) -> str | None:
    """Of a library; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _content_hash(sample: Item) -> bytes:
    """Of the bytes of a sample's file; of one that cannot be opened, of the error."""
    try:
        content = sample.content()
        if isinstance(content, bytes):
            return hashlib.blake2b(content, digest_size=16).digest()
        with content.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except (OSError, SightlineError) as error:
        return hashlib.blake2b(str(error).encode(errors="replace"), digest_size=16).digest()
