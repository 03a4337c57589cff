"""The metadata of an image, from its header and the files beside it."""

import io
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from sightline.processing.metadata.exif import read_exif
from sightline.processing.metadata.header import Header, read_header
from sightline.processing.metadata.iptc import read_iptc
from sightline.processing.metadata.motion import motion_id
from sightline.processing.metadata.record import NOTHING, Metadata, merge
from sightline.processing.metadata.sidecar import with_sidecars
from sightline.processing.metadata.values import caption_text, clean
from sightline.processing.metadata.xmp import Packet, read_xmp


def read_image_metadata(path: Path, data: bytes | None = None) -> Metadata:
    """What the header of an image says, and the files beside it: .xmp files, and Google Takeout's .json files.

    `data` is the file's content, if the caller has it in memory; otherwise the header is read from the disk. Never
    raises: what cannot be read is None. The formats are JPEG, PNG, WebP, GIF, TIFF, HEIF and AVIF.

    Of several statements the first counts, in this order: for the date, the place and what the camera says EXIF, XMP,
    IPTC, the .xmp file, Takeout; for what people write (title, caption, keywords, rating) the .xmp file, Takeout,
    XMP, IPTC, EXIF, since files beside an image are written after it. `pair_id` is a Live Photo's, else that of the
    video within a motion photo.
    """
    header = NOTHING
    with suppress(Exception):
        if data is not None:
            header = _read(io.BytesIO(data))
        elif path.is_file():  # opening a pipe would wait
            with path.open("rb") as file:
                header = _read(file)
    return with_sidecars(path, header)


def _read(file: BinaryIO) -> Metadata:
    header = read_header(file)
    exif = iptc = xmp = NOTHING
    packet = motion = None
    with suppress(Exception):
        if header.exif is not None:
            exif = read_exif(header.exif)
    with suppress(Exception):
        if header.xmp:
            packet = Packet(header.xmp)
            xmp = read_xmp(packet)
    with suppress(Exception):
        if header.iptc:
            iptc = read_iptc(header.iptc)
    with suppress(Exception):
        motion = motion_id(file, header, packet)
    png = _read_texts(header)
    record = merge((exif, xmp, iptc, png), (xmp, iptc, exif, png))
    frames = header.frames if header.frames > 1 else None
    if motion is None and frames is None:
        return record
    return replace(record, pair_id=record.pair_id or motion, frames=frames)


def _read_texts(header: Header) -> Metadata:
    """PNG's texts (third edition, 11.3.3.1)."""
    caption = caption_text(header.texts.get("description"))
    title = clean(header.texts.get("title"))
    if caption is title is None:
        return NOTHING
    return Metadata(title=title, caption=caption, caption_source="png" if caption else None)
