"""The parts of an image file that hold metadata: EXIF, XMP, IPTC. Pixels are passed over."""

import io
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from sightline.processing.metadata.boxes import is_heif, read_heif
from sightline.processing.metadata.iptc import find_iptc
from sightline.processing.metadata.tiff import first_directory

_MAX_PART = 1 << 24
"""A part with more bytes is not read."""


@dataclass
class Header:
    """Parts that the file lacks are empty."""

    exif: BinaryIO | None = None
    """A TIFF file."""
    xmp: bytes = b""
    iptc: bytes = b""
    texts: dict[str, str] = field(default_factory=dict)
    """PNG's, by their keywords in lower case."""
    frames: int = 1
    video: tuple[int, int] | None = None
    """Where the video of a motion photo in HEIF begins and ends."""


def read_header(file: BinaryIO) -> Header:
    """What can be read of it: a broken file loses only the parts from the break on."""
    header = Header()
    file.seek(0)
    head = file.read(16)
    for is_format, read in _FORMATS:
        if is_format(head):
            with suppress(Exception):
                file.seek(0)
                read(file, header)
            break
    return header


def _read_jpeg(file: BinaryIO, header: Header) -> None:
    """Markers up to the first scan (ITU-T T.81, annex B)."""
    exif, photoshop = b"", b""
    file.seek(2)
    while True:
        marker = file.read(4)
        while marker[:2] == b"\xff\xff":  # fill bytes
            marker = marker[1:] + file.read(1)
        if len(marker) < 4 or marker[0] != 0xFF or marker[1] in (0xD9, 0xDA):
            break
        size = int.from_bytes(marker[2:]) - 2
        if marker[1] not in (0xE1, 0xED):
            file.seek(size, io.SEEK_CUR)
            continue
        segment = file.read(size)
        if segment.startswith(b"Exif\0\0"):  # EXIF that is too long for one segment goes on in the next
            exif += segment[6:]
        elif segment.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            header.xmp = header.xmp or segment[29:]
        elif segment.startswith(b"Photoshop 3.0\0"):
            photoshop += segment[14:]
    _set_exif(header, exif)
    header.iptc = find_iptc(photoshop)


def _read_png(file: BinaryIO, header: Header) -> None:
    """Chunks up to the end, since EXIF and texts may follow the pixels (PNG, third edition, 5.3)."""
    file.seek(8)
    while len(start := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", start)
        if kind in (b"eXIf", b"iTXt", b"tEXt", b"zTXt", b"acTL") and size <= _MAX_PART:
            with suppress(Exception):
                _read_chunk(kind, file.read(size), header)
            file.seek(4, io.SEEK_CUR)
        elif kind == b"IEND":
            break
        else:
            file.seek(size + 4, io.SEEK_CUR)


def _read_chunk(kind: bytes, chunk: bytes, header: Header) -> None:
    if kind == b"eXIf":
        _set_exif(header, chunk)
    elif kind == b"acTL":
        frames = int.from_bytes(chunk[:4])
        header.frames = frames if frames < 1 << 31 else 1  # PNG's integers have 31 bits
    else:
        name, _, rest = chunk.partition(b"\0")
        encoding = "latin-1"
        if kind == b"iTXt":
            compressed, (_, _, rest), encoding = rest[:1] == b"\1", rest[2:].split(b"\0", 2), "utf-8"
        else:
            compressed, rest = kind == b"zTXt", rest[kind == b"zTXt" :]
        if compressed:
            rest = zlib.decompressobj().decompress(rest, _MAX_PART)
        _set_text(header, name.decode("latin-1").lower(), rest, encoding)


def _set_text(header: Header, name: str, raw: bytes, encoding: str) -> None:
    if name == "xml:com.adobe.xmp":
        header.xmp = header.xmp or raw
    elif name.startswith("raw profile type "):  # ImageMagick's: a name, a length and hexadecimal digits, each in lines
        profile = bytes.fromhex("".join(raw.decode("ascii").split()[2:]))
        if name.endswith((" iptc", " 8bim")):
            header.iptc = header.iptc or find_iptc(profile) or profile
        elif profile.startswith(b"http://ns.adobe.com/xap/1.0/\0") or name.endswith(" xmp"):
            header.xmp = header.xmp or profile.removeprefix(b"http://ns.adobe.com/xap/1.0/\0")
        else:
            _set_exif(header, profile)
    else:
        header.texts.setdefault(name, raw.decode(encoding, "replace"))


def _read_webp(file: BinaryIO, header: Header) -> None:
    """The chunks of the RIFF container (RFC 9649, 2.3)."""
    file.seek(12)
    frames = 0
    while len(start := file.read(8)) == 8:
        kind, size = struct.unpack("<4sI", start)
        if kind in (b"EXIF", b"XMP ") and size <= _MAX_PART:
            part = file.read(size)
            if kind == b"EXIF":
                _set_exif(header, part)
            else:
                header.xmp = part
            size %= 2
        frames += kind == b"ANMF"
        file.seek(size + size % 2, io.SEEK_CUR)
        header.frames = max(frames, 1)


def _read_gif(file: BinaryIO, header: Header) -> None:
    """The blocks of GIF89a. XMP is in an application block, followed by 258 bytes that let readers pass over it."""
    file.seek(10)
    file.seek(2 + _palette(file.read(1)[0]), io.SEEK_CUR)
    frames = 0
    while kind := file.read(1):
        if kind == b",":
            file.seek(8, io.SEEK_CUR)
            file.seek(_palette(file.read(1)[0]) + 1, io.SEEK_CUR)
            _skip_blocks(file)
            frames += 1
            header.frames = frames
        elif kind != b"!":
            break
        elif file.read(1) == b"\xff" and file.read(file.read(1)[0]) == b"XMP DataXMP":
            start = file.tell()
            _skip_blocks(file)
            end = file.tell()
            file.seek(start)
            header.xmp = file.read(min(end - start, _MAX_PART)).rpartition(b"\1\xff\xfe\xfd")[0]
            file.seek(end)
        else:
            _skip_blocks(file)


def _palette(flags: int) -> int:
    """Bytes of the palette that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skip_blocks(file: BinaryIO) -> None:
    while size := file.read(1)[0]:
        file.seek(size, io.SEEK_CUR)


def _read_tiff(file: BinaryIO, header: Header) -> None:
    header.exif = file
    main = first_directory(file)
    header.xmp = main.raw(0x02BC)
    header.iptc = main.raw(0x83BB) or find_iptc(main.raw(0x8649))


def _read_heif(file: BinaryIO, header: Header) -> None:
    parts = read_heif(file)
    header.xmp, header.frames, header.video = parts.xmp, parts.frames, parts.video
    # 4 bytes say how many follow before the TIFF (ISO/IEC 23008-12, A.2.1)
    _set_exif(header, parts.exif[4 + int.from_bytes(parts.exif[:4]) :])


def _set_exif(header: Header, data: bytes) -> None:
    data = data.removeprefix(b"Exif\0\0")
    if data and header.exif is None:
        header.exif = io.BytesIO(data)


_FORMATS: tuple[tuple[Callable[[bytes], bool], Callable[[BinaryIO, Header], None]], ...] = (
    (lambda head: head.startswith(b"\xff\xd8"), _read_jpeg),
    (lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"), _read_png),
    (lambda head: head.startswith(b"RIFF") and head[8:12] == b"WEBP", _read_webp),
    (lambda head: head.startswith((b"GIF87a", b"GIF89a")), _read_gif),
    (lambda head: head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")), _read_tiff),
    (is_heif, _read_heif),
)
