"""The metadata of an image, from its header and the files beside it."""

import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from PIL.ExifTags import Base
from PIL.ImageFile import ImageFile
from PIL.IptcImagePlugin import getiptcinfo
from PIL.PngImagePlugin import PngStream

from sightline.files import open_file
from sightline.processing.image.formats import image_format, recognize
from sightline.processing.image.jxl import is_jxl
from sightline.processing.image.raw import is_raw
from sightline.processing.metadata.containers import Header, read_boxes, read_raw_header
from sightline.processing.metadata.dates import dated, parse_date
from sightline.processing.metadata.exif import read_exif
from sightline.processing.metadata.motion import motion_id
from sightline.processing.metadata.record import NOTHING, Metadata, merge
from sightline.processing.metadata.sidecar import with_sidecars
from sightline.processing.metadata.values import MAX_INTEGER, caption_text, clean, decode, unique
from sightline.processing.metadata.xmp import Packet, read_xmp

_ANIMATED = {"PNG", "WEBP", "GIF", "AVIF"}
"""The frames of other formats are pages of a document, or pictures of their own."""
_MAX_GIF_HEAD = 1 << 18
_IPTC_CHARSET, _UTF8 = (1, 90), b"\x1b%G"
_TITLE, _KEYWORD, _DATE, _TIME, _CAPTION = (2, 5), (2, 25), (2, 55), (2, 60), (2, 120)
_PNG_CHUNKS = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")


def read_image_metadata(path: Path, data: bytes | None = None) -> Metadata:
    """What the header of an image says, and the files beside it: .xmp files, and Google Takeout's .json files.

    `data` is the file's content, if the caller has it in memory; otherwise the file is read. Pixels are not decoded.
    The formats are those that `open_image` reads. Never raises: what cannot be read is None. Pillow does not give the
    IPTC of PNG and of Photoshop's resources in TIFF, nor the number of frames of HEIF: they are left out. AVIF's
    orientation is that of its container.

    Of several statements the first counts, in this order: for the date, the place and what the camera says EXIF, XMP,
    IPTC, PNG's "Creation Time" (its tIME is the time of the last change), the .xmp file, Takeout; for what people write
    (title, caption, keywords, rating) the .xmp file, Takeout, XMP, IPTC, EXIF, since files beside an image are written
    after it. `pair_id` is a Live Photo's, else that of the video within a motion photo.
    """
    header = NOTHING
    with suppress(Exception), open_file(path) if data is None else io.BytesIO(data) as file:
        header = _read(file, path)
    return with_sidecars(path, header)


def _read(file: BinaryIO, path: Path) -> Metadata:
    """Each part is read for itself, so that a broken part loses no other."""
    head = file.read(16)
    if is_raw(file, head):
        return _read_header(read_raw_header(file, head))
    if is_jxl(head) or image_format(head) == "JPEG2000":
        return _read_header(read_boxes(file))
    picture = recognize(file, head, str(path))
    exif = xmp = iptc = texts = NOTHING
    packet = motion = frames = None
    with suppress(Exception):
        if picture.format == "PNG":
            picture.info.update(_read_chunks(file))
            texts = _read_texts(picture.info)
    with suppress(Exception):
        exif = read_exif(_exif(picture))
    with suppress(Exception):
        packet = Packet(_gif_xmp(file) if picture.format == "GIF" else picture.info["xmp"])
        xmp = read_xmp(packet)
    with suppress(Exception):
        iptc = _read_iptc(picture)
    with suppress(Exception):
        motion = motion_id(file, packet)
    with suppress(Exception):
        frames = _count_frames(picture)
    record = merge((exif, xmp, iptc, texts), (xmp, iptc, exif, texts))
    return replace(record, pair_id=record.pair_id or motion, frames=frames)


def _read_header(header: Header) -> Metadata:
    exif = xmp = NOTHING
    with suppress(Exception):
        exif = read_exif(header.exif)
    with suppress(Exception):
        xmp = read_xmp(Packet(header.xmp or b""))
    return merge((exif, xmp), (xmp, exif))


def _exif(picture: ImageFile) -> Image.Exif:
    """`getexif` as all formats have it: PNG's would decode the pixels. pillow_heif turns the orientation to upright."""
    exif = Image.Image.getexif(picture)
    if orientation := picture.info.get("original_orientation"):
        exif[Base.Orientation] = orientation
    return exif


def _read_chunks(file: BinaryIO) -> dict[str | tuple[int, int], Any]:
    """PNG's EXIF, XMP and texts. Those behind the pixels Pillow reads by itself only after decoding."""
    stream = PngStream(file)
    file.seek(8)
    kind = b""
    with suppress(Exception):  # at the file's end
        while kind != b"IEND":
            kind, start, length = stream.read()
            if kind in _PNG_CHUNKS:
                with suppress(Exception):
                    stream.call(kind, start, length)
            file.seek(start + length + 4)
    return stream.im_info


def _read_texts(info: Mapping[Any, Any]) -> Metadata:
    """PNG's texts (third edition, 11.3.3.1)."""
    texts = {str(name).lower(): text for name, text in info.items()}
    return Metadata(
        **dated(parse_date(texts.get("creation time")), "png"),
        title=clean(texts.get("title")),
        caption=caption_text(texts.get("description")),
        caption_source="png",
    )


def _gif_xmp(file: BinaryIO) -> bytes:
    """The XMP of a GIF, which Pillow passes over: an application block, then 258 bytes with falling values."""
    file.seek(0)
    return file.read(_MAX_GIF_HEAD).partition(b"XMP DataXMP")[2].partition(b"\1\xff\xfe\xfd")[0]


def _read_iptc(picture: ImageFile) -> Metadata:
    """IPTC-IIM (version 4.2) of JPEG and TIFF."""
    fields = getiptcinfo(picture) or {}

    def texts(key: tuple[int, int]) -> list[str]:
        """Where UTF-8 is declared, a text that the field's length limit cut within a character loses that character."""
        values = fields.get(key) or b""
        raws = [raw or b"" for raw in values] if isinstance(values, list) else [values]
        is_utf8 = fields.get(_IPTC_CHARSET) == _UTF8
        return [raw.decode("utf-8", "ignore") if is_utf8 else decode(raw) for raw in raws]

    date, time, caption = texts(_DATE)[0], texts(_TIME)[0], texts(_CAPTION)[0]
    return Metadata(
        **dated(parse_date(f"{date}T{time}" if time else date), "iptc"),
        keywords=unique(texts(_KEYWORD)),
        title=clean(texts(_TITLE)[0]),
        caption=caption_text(caption),
        caption_source="iptc",
    )


def _count_frames(picture: ImageFile) -> int | None:
    """The frames of an animation; None for a still image."""
    frames = getattr(picture, "n_frames", 1) if picture.format in _ANIMATED else 1
    return frames if 1 < frames <= MAX_INTEGER else None
