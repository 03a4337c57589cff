"""The directories of a TIFF file, of which EXIF is made (TIFF 6.0, section 2; BigTIFF)."""

import math
import struct
from typing import BinaryIO

_CODES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q"}
_RATIONALS = {5: "I", 10: "i"}
_SIZES = {kind: struct.calcsize(code) for kind, code in _CODES.items()} | dict.fromkeys(_RATIONALS, 8)

MAX_BYTES = 1 << 24
"""A longer field counts as absent."""
MAX_OFFSET = 1 << 62
_MAX_FIELDS = 4096
_MAX_NUMBERS = 16


class Directory:
    """The fields of one directory by their tags. Values are read when they are asked for."""

    def __init__(self, file: BinaryIO, order: str, offset: int, big: bool = False) -> None:
        """`order`: "<" or ">", the order of bytes. Offsets count from the beginning of `file`."""
        self.order = order
        self._file, self._big = file, big
        file.seek(offset)
        size = 8 if big else 2
        (count,) = struct.unpack(order + ("Q" if big else "H"), file.read(size))
        entry = struct.Struct(order + ("HHQ8s" if big else "HHI4s"))
        entries = file.read(min(count, _MAX_FIELDS) * entry.size)
        entries = entries[: len(entries) // entry.size * entry.size]
        self._fields = {tag: (kind, count, inline) for tag, kind, count, inline in entry.iter_unpack(entries)}

    def raw(self, tag: int) -> bytes:
        """The field's bytes, in the file's order; empty where the field is absent."""
        kind, count, inline = self._fields.get(tag, (0, 0, b""))
        size = _SIZES.get(kind, 0) * count
        if size <= len(inline):
            return bytes(inline[:size])
        (offset,) = struct.unpack(self.order + ("Q" if self._big else "I"), inline)
        if size > MAX_BYTES or offset > MAX_OFFSET:
            return b""
        self._file.seek(offset)
        return self._file.read(size)

    def numbers(self, tag: int) -> list[float]:
        """The first 16 at most. A fraction whose denominator is 0 is nan."""
        kind = self._fields.get(tag, (0,))[0]
        size = _SIZES.get(kind)
        if size is None:
            return []
        raw = self.raw(tag)
        count = min(len(raw) // size, _MAX_NUMBERS)
        if kind in _CODES:
            return list(struct.unpack_from(f"{self.order}{count}{_CODES[kind]}", raw))
        parts = struct.unpack_from(f"{self.order}{2 * count}{_RATIONALS[kind]}", raw)
        return [upper / lower if lower else math.nan for upper, lower in zip(parts[::2], parts[1::2], strict=True)]

    def number(self, tag: int) -> float | None:
        """The first number of the field; None if there is none, or it is not finite."""
        numbers = self.numbers(tag)
        return numbers[0] if numbers and math.isfinite(numbers[0]) else None

    def directory(self, tag: int) -> "Directory | None":
        """The directory at the offset that the field holds."""
        offset = self.number(tag)
        try:
            return None if offset is None else Directory(self._file, self.order, int(offset), self._big)
        except (struct.error, ValueError, OverflowError, OSError):
            return None


def first_directory(file: BinaryIO) -> Directory:
    """Raises ValueError, KeyError or struct.error if `file` is no TIFF."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    (version,) = struct.unpack_from(order + "H", head, 2)
    if version not in (42, 43):
        raise ValueError("no TIFF")
    big = version == 43
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
    return Directory(file, order, offset, big)
