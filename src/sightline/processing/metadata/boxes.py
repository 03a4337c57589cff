"""HEIF and AVIF: the boxes of ISO/IEC 14496-12, and the items of ISO/IEC 23008-12."""

import io
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"}
_MAX_META = 1 << 22
_MAX_ITEM = 1 << 24
_MAX_BOXES = 4096


@dataclass
class Parts:
    exif: bytes = b""
    xmp: bytes = b""
    frames: int = 1
    video: tuple[int, int] | None = None
    """Where the video of a motion photo begins and ends."""


def is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _BRANDS


def read_heif(file: BinaryIO) -> Parts:
    parts = Parts()
    for kind, start, end in _boxes(file, 0, file.seek(0, io.SEEK_END)):
        with suppress(Exception):
            if kind == b"meta":
                parts.exif, parts.xmp = _read_items(file, start + 4, min(end, start + _MAX_META))
            elif kind == b"moov":
                parts.frames = _count_frames(file, start, end)
            elif kind == b"mpvd":
                parts.video = start, end
    return parts


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes from `start` to `end`: their types, and where their contents begin and end."""
    for _ in range(_MAX_BOXES):
        file.seek(start)
        head = file.read(16)
        if start + 8 > end or len(head) < 8:
            return
        size, kind = struct.unpack_from(">I4s", head)
        content = start + 8
        if size == 1:
            size, content = int.from_bytes(head[8:]), start + 16
        stop = start + size if size else end
        if not content <= stop <= end:
            return
        yield kind, content, stop
        start = stop


def _read_items(file: BinaryIO, start: int, end: int) -> tuple[bytes, bytes]:
    """The items with EXIF and with XMP."""
    found = {kind: (first, last) for kind, first, last in _boxes(file, start, end)}
    kinds = _item_kinds(file, *found[b"iinf"])
    file.seek(found[b"iloc"][0])
    places = _item_places(file.read(found[b"iloc"][1] - found[b"iloc"][0]))
    data_start = found.get(b"idat", (0, 0))[0]
    contents = {b"Exif": b"", b"mime": b""}
    for item, kind in kinds.items():
        in_data, extents = places.get(item, (False, []))
        if kind in contents and sum(length for _, length in extents) <= _MAX_ITEM:
            for offset, length in extents:
                file.seek(offset + data_start * in_data)
                contents[kind] += file.read(length)
    return contents[b"Exif"], contents[b"mime"]


def _item_kinds(file: BinaryIO, start: int, end: int) -> dict[int, bytes]:
    """The type of each item ("iinf" and "infe"); of the "mime" ones only XMP."""
    file.seek(start)
    version = file.read(4)[0]
    kinds = {}
    for kind, first, last in _boxes(file, start + (8 if version else 6), end):
        file.seek(first)
        entry = file.read(last - first)
        if kind == b"infe" and entry[0] >= 2:
            wide = 2 if entry[0] == 2 else 4
            number, item_kind = int.from_bytes(entry[4 : 4 + wide]), entry[6 + wide : 10 + wide]
            if item_kind != b"mime" or b"\0application/rdf+xml" in entry[10 + wide :]:
                kinds[number] = item_kind
    return kinds


def _item_places(box: bytes) -> dict[int, tuple[bool, list[tuple[int, int]]]]:
    """For each item of "iloc" whether its offsets count from the "idat" box, and its (offset, length)s."""
    cursor = io.BytesIO(box)

    def take(size: int) -> int:
        return int.from_bytes(cursor.read(size))

    version = take(1)
    take(3)
    sizes = take(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    places = {}
    for _ in range(min(take(wide), len(box))):
        item = take(wide)
        method = take(2) & 15 if version else 0
        take(2)
        base = take(base_size)
        extents = []
        for _ in range(min(take(2), len(box))):
            take(index_size if version else 0)
            offset = take(offset_size)
            extents.append((base + offset, take(length_size)))
        places[item] = (method == 1, extents)
    return places


def _count_frames(file: BinaryIO, start: int, end: int) -> int:
    """The samples of the first track ("moov/trak/mdia/minf/stbl/stsz")."""
    for name in (b"trak", b"mdia", b"minf", b"stbl", b"stsz"):
        start, end = next((first, last) for kind, first, last in _boxes(file, start, end) if kind == name)
    file.seek(start + 8)
    return max(int.from_bytes(file.read(4)), 1)
