"""EXIF and XMP out of files that Pillow does not read them from: cameras' RAW, JPEG XL and JPEG 2000."""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from PIL.ExifTags import IFD
from PIL.Image import Exif

_MAX_BYTES = 1 << 24
"""Of a file, in which headers are looked for, and of a box."""
_MAX_BOXES = 64
_TIFFS = (b"II*\0", b"MM\0*")
_RAF_PREVIEW = 84
"""Where a RAF says where its JPEG is."""
_JP2_EXIF = b"JpgTiffExif->JP2"
_JP2_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""Identifiers of boxes "uuid"; XMP's is that of ISO 16684-3."""


class Header(NamedTuple):
    """`exif` is empty and `xmp` None where the file has none."""

    exif: Exif
    xmp: bytes | None = None


def read_raw_header(file: BinaryIO, head: bytes) -> Header:
    """The EXIF of a camera's RAW, by its makers' layouts. Raises what Pillow raises for broken EXIF."""
    file.seek(0)
    data = file.read(_MAX_BYTES)
    exif = Exif()
    if head[4:12] == b"ftypcrx ":  # Canon's CR3: a box for each directory
        main, details, place = (_directory_in(data, name) for name in (b"CMT1", b"CMT2", b"CMT4"))
        exif.update(main)
        exif.get_ifd(IFD.Exif).update(details)
        exif.get_ifd(IFD.GPSInfo).update(place)
    elif head.startswith(b"FUJIFILM"):
        (start,) = struct.unpack_from(">I", data, _RAF_PREVIEW)
        at = data.find(b"Exif\0\0", start, start + 64)
        exif.load(data[at : at + (1 << 16)] if at >= 0 else b"")
    else:  # a TIFF, which Olympus and Panasonic give marks of their own
        exif.load(b"Exif\0\0" + (b"II*\0" if data[:2] == b"II" else b"MM\0*") + data[4:])
    xmp = exif.get(0x02BC)
    return Header(exif, xmp if isinstance(xmp, bytes) else None)


def read_boxes(file: BinaryIO) -> Header:
    """EXIF and XMP in the boxes of a JPEG XL or JPEG 2000 (JPEG XL: ISO/IEC 18181-2). Compressed ones are left out."""
    exif, xmp = Exif(), None
    for kind, data in _boxes(file):
        if kind == b"Exif":
            # A number says where the EXIF begins; some programs leave the number out.
            skipped = 0 if data[:4] in _TIFFS else 4 + int.from_bytes(data[:4], "big")
            exif.load(b"Exif\0\0" + data[skipped:].removeprefix(b"Exif\0\0"))
        elif kind == b"xml ":
            xmp = xmp or data
        elif kind == b"uuid" and data.startswith(_JP2_EXIF):
            exif.load(b"Exif\0\0" + data[len(_JP2_EXIF) :])
        elif kind == b"uuid" and data.startswith(_JP2_XMP):
            xmp = data[len(_JP2_XMP) :]
    return Header(exif, xmp)


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The name and the content of each box that may hold metadata."""
    file.seek(0)
    for _ in range(_MAX_BOXES):
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        length -= 8
        if length == 1 - 8:
            length = int.from_bytes(file.read(8), "big") - 16
        is_wanted = kind in (b"Exif", b"xml ", b"uuid")
        if is_wanted and (0 <= length <= _MAX_BYTES or length == -8):
            yield kind, file.read(length if length >= 0 else _MAX_BYTES)
        elif length >= 0:
            file.seek(length, 1)
        else:
            return


def _directory_in(data: bytes, name: bytes) -> dict[int, object]:
    """The fields of a TIFF's directory in the first box of this name."""
    at = data.find(name)
    if at < 4:
        return {}
    (length,) = struct.unpack_from(">I", data, at - 4)
    exif = Exif()
    exif.load(b"Exif\0\0" + data[at + 4 : at - 4 + length])
    return dict(exif)
