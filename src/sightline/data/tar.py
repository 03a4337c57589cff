"""Files inside a tar, read in place.

A tar is gone through once to learn where each file lies; from then on reading a file is one seek. Compressed tars are
refused, since nothing in them can be sought.
"""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sightline.errors import DataError

_BLOCK = 512
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a tar: `size` bytes from `offset` on."""

    path: Path
    name: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Its bytes, by one seek. Raises `DataError` if the tar has changed since it was gone through."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as error:
            raise DataError(f"{self}: can't be read ({error.strerror or error})") from error
        if len(content) < self.size:
            raise DataError(f"{self}: the tar is shorter than it was; fetch it again and start anew")
        return content

    def __str__(self) -> str:
        return f"{self.path}/{self.name}"


def members(path: Path) -> Iterator[Member]:
    """The regular files in a tar, without reading their content.

    Raises `DataError` for a file that is no tar, is compressed, damaged or cut short.
    """
    try:
        with path.open("rb") as file:
            yield from _members(path, file)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error


def members_by_name(paths: Sequence[Path]) -> dict[str, Member | None]:
    """The files in tars by their names and by the last parts of these; None for a name that several files have."""
    by_name: dict[str, Member | None] = {}
    for path in paths:
        for member in members(path):
            whole = str(PurePosixPath(member.name))
            for name in {whole, PurePosixPath(whole).name}:
                by_name[name] = None if name in by_name else member
    return by_name


def _members(path: Path, file: Any) -> Iterator[Member]:
    size = path.stat().st_size
    head = file.read(8)
    for magic, kind in _COMPRESSED.items():
        if head.startswith(magic):
            raise DataError(f"{path}: compressed ({kind}); unpack it to a plain tar, in which samples can be found")
    file.seek(0)
    end = -1
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                if info.size < 0 or info.offset_data <= end:
                    raise DataError(f"{path}: damaged ({info.name} lies where it can't); fetch it again")
                end = info.offset_data
                if info.offset_data + info.size > size:
                    raise DataError(f"{path}: cut short in the middle of {info.name}; fetch it again or leave it out")
                if info.isreg() and not info.issparse():
                    yield Member(path, info.name, info.offset_data, info.size)
            file.seek(tar.offset)
            after = file.read(_BLOCK)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, MemoryError, OSError) as error:
        raise DataError(f"{path}: no tar, or a damaged one ({error}); fetch it again or leave it out") from error
    if len(after) < _BLOCK:
        raise DataError(f"{path}: cut short (a tar ends with empty blocks, and this one does not); fetch it again")
    if any(after):
        raise DataError(f"{path}: damaged at byte {tar.offset}; fetch it again or leave it out")
