"""IPTC-IIM (version 4.2), as Photoshop keeps it in JPEG and TIFF."""

import struct
from collections.abc import Iterator

from sightline.processing.metadata.dates import parse_date
from sightline.processing.metadata.record import Metadata
from sightline.processing.metadata.values import caption_text, clean, decode, unique

_CHARSET, _UTF8 = (1, 90), b"\x1b%G"
_TITLE, _KEYWORD, _DATE, _TIME, _CAPTION = (2, 5), (2, 25), (2, 55), (2, 60), (2, 120)
_RESOURCE = 0x0404


def read_iptc(data: bytes) -> Metadata:
    fields: dict[tuple[int, int], list[bytes]] = {}
    for key, value in _fields(data):
        fields.setdefault(key, []).append(value)
    is_utf8 = fields.get(_CHARSET, [b""])[0].strip() == _UTF8

    def texts(key: tuple[int, int]) -> list[str]:
        """Where UTF-8 is declared, a text that the field's length limit cut within a character loses that character."""
        return [raw.decode("utf-8", "ignore") if is_utf8 else decode(raw) for raw in fields.get(key, [])]

    def first(key: tuple[int, int]) -> str:
        return next(iter(texts(key)), "")

    moment = parse_date(f"{first(_DATE)}T{first(_TIME)}" if first(_TIME) else first(_DATE))
    caption = caption_text(first(_CAPTION))
    return Metadata(
        taken=moment and moment.time,
        taken_offset=moment and moment.offset,
        taken_source="iptc" if moment else None,
        keywords=unique(texts(_KEYWORD)),
        title=clean(first(_TITLE)),
        caption=caption,
        caption_source="iptc" if caption else None,
    )


def _fields(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    at = 0
    while at + 5 <= len(data) and data[at] == 0x1C:
        record, number, size = struct.unpack_from(">BBH", data, at + 1)
        at += 5
        if size & 0x8000:  # the size of the size
            extended = size & 0x7FFF
            size = int.from_bytes(data[at : at + extended])
            at += extended
        yield (record, number), data[at : at + size]
        at += size


def find_iptc(data: bytes) -> bytes:
    """IPTC among Photoshop's image resources ("8BIM" blocks); empty if there is none."""
    at = 0
    while data[at : at + 4] == b"8BIM" and at + 12 <= len(data):
        (code,) = struct.unpack_from(">H", data, at + 4)
        at += 6 + (data[at + 6] // 2 + 1) * 2  # a name with its length, padded to an even number of bytes
        size = int.from_bytes(data[at : at + 4])
        if code == _RESOURCE:
            return data[at + 4 : at + 4 + size]
        at += 4 + size + size % 2
    return b""
