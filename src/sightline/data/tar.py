"""Files inside a tar, read in place.

A tar is gone through once to learn where each file lies; from then on reading a file is one seek. Compressed tars are
refused, since nothing in them can be sought.
"""

import tarfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sightline.data.left_out import LeftOut
from sightline.errors import DataError
from sightline.files import wrong_content

_BLOCK = 512


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


def members(path: Path, left_out: LeftOut) -> Iterator[Member]:
    """The regular files in a tar, without reading their content, hard links to them among these. Other links, sparse
    files and what systems put beside files go to `left_out`. Tars written one after the other are all read.

    Raises `DataError` for a file that is no tar, is compressed, damaged or cut short.
    """
    try:
        with path.open("rb") as file:
            yield from _members(path, file, left_out)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error


def members_by_name(paths: Sequence[Path], left_out: LeftOut) -> dict[str, Member | None]:
    """The files in tars by their names and by the last parts of these, composed (NFC); None for a name that several
    files have."""
    by_name: dict[str, Member | None] = {}
    for path in paths:
        for member in members(path, left_out):
            whole = str(PurePosixPath(unicodedata.normalize("NFC", member.name)))
            for name in {whole, PurePosixPath(whole).name}:
                by_name[name] = None if name in by_name else member
    return by_name


def _members(path: Path, file: BinaryIO, left_out: LeftOut) -> Iterator[Member]:
    offsets: dict[str, tuple[int, int]] = {}
    for info in _headers(path, file, left_out):
        name = info.name
        if is_beside(name):
            left_out.add("files that macOS or tar put beside others (._NAME, __MACOSX, PaxHeaders)", f"{path}/{name}")
        elif info.isreg() and not info.issparse():
            offsets[name] = info.offset_data, info.size
            yield Member(path, name, info.offset_data, info.size)
        elif info.islnk() and info.linkname in offsets:
            yield Member(path, name, *offsets[info.linkname])
        elif info.issparse():
            left_out.add("sparse files in a tar: pack them without --sparse", f"{path}/{name}")
        elif info.issym() or info.islnk():
            left_out.add("links in a tar: pack the files themselves (tar --dereference)", f"{path}/{name}")
        elif not info.isdir():
            left_out.add("in a tar that are no files", f"{path}/{name}")


def is_beside(name: str) -> bool:
    """Whether a name in a tar is of the files in which macOS and some tars keep what tells more of others."""
    *folders, last = name.split("/")
    return last.startswith("._") or any(part == "__MACOSX" or part.startswith("PaxHeader") for part in folders)


def _headers(path: Path, file: BinaryIO, left_out: LeftOut) -> Iterator[tarfile.TarInfo]:
    """The headers of a tar, and of those that were appended to it (`cat a.tar b.tar`)."""
    size, start = path.stat().st_size, 0
    while True:
        file.seek(start)
        end = -1
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for info in tar:
                    if info.size < 0 or info.offset_data <= end:
                        raise DataError(f"{path}: damaged ({info.name} lies where it can't); fetch it again")
                    end = info.offset_data
                    if info.offset_data + info.size > size:
                        raise DataError(
                            f"{path}: cut short in the middle of {info.name}; fetch it again or leave it out"
                        )
                    yield info
                stopped = tar.offset
        except (tarfile.TarError, ValueError, OverflowError, RecursionError, MemoryError, OSError) as error:
            if start == 0 and (content := wrong_content(path)) is not None:
                raise DataError(f"{path}: {content}") from error
            what = "cut short" if "unexpected end" in str(error) else f"no tar, or a damaged one ({error})"
            raise DataError(f"{path}: {what}; fetch it again or leave it out") from error
        file.seek(stopped)
        block = file.read(_BLOCK)
        if any(block) and len(block) < _BLOCK:
            raise DataError(f"{path}: cut short at byte {stopped}; fetch it again or leave it out")
        if not block:
            left_out.remark(f"{path} has no end mark: if it was fetched, see that it is whole")
            return
        if (following := _next_content(file, stopped)) is None:
            return
        if following == stopped:
            raise DataError(f"{path}: damaged at byte {stopped}; fetch it again or leave it out")
        start = following


def _next_content(file: BinaryIO, offset: int) -> int | None:
    """The offset of the first block from `offset` on that is not empty; None if there is none."""
    file.seek(offset)
    while chunk := file.read(_BLOCK << 8):
        if content := len(chunk.lstrip(b"\0")):
            return offset + (len(chunk) - content) // _BLOCK * _BLOCK
        offset += len(chunk)
    return None
