"""RAW files of cameras, through LibRaw: the picture that the camera has put into them, else a developed one."""

import io
import struct
from importlib.util import find_spec
from typing import Any, BinaryIO, NamedTuple

from PIL import Image, JpegImagePlugin
from PIL.ExifTags import Base

from sightline.distribution import install
from sightline.errors import ImageError

_HAS_RAWPY = find_spec("rawpy") is not None

_MARKS = (
    (0, b"FUJIFILMCCD-RAW"),
    (0, b"IIRO"),
    (0, b"IIRS"),
    (0, b"MMOR"),
    (0, b"IIU\0"),
    (4, b"ftypcrx "),
    (8, b"CR\2"),
    (0, b"\0MRM"),
    (0, b"FOVb"),
)
"""Where a file of RAW says so: Fujifilm, Olympus (3), Panasonic, Canon (2), Minolta, Sigma. All others are TIFFs."""
_PHOTOMETRIC, _COMPRESSION, _SUB_IFDS, _DNG_VERSION = 0x0106, 0x0103, 0x014A, 0xC612
_SENSOR = {32803, 34892}
"""Photometric interpretations of sensors: a mosaic of colors, and linear values (DNG 1.7, TIFF/EP)."""
_CAMERA_COMPRESSIONS = {32767, 32769, 32770, 34713, 65000, 65535}
"""Sony's, Epson's, Samsung's, Nikon's, Kodak's, Pentax'."""
_MAX_ENTRIES = 512
_SMALLEST_PREVIEW = 448
"""Pixels of the short side: of a smaller preview the sensor's own data are developed."""
_ORIENTATIONS = {3: 3, 5: 8, 6: 6}
"""LibRaw's `flip` as EXIF's orientation."""


class RawPicture(NamedTuple):
    """A picture, whose EXIF has the orientation; and the (width, height) of the sensor, not turned."""

    picture: Image.Image
    size: tuple[int, int]


def is_raw(file: BinaryIO, head: bytes) -> bool:
    """Whether the file, which begins with these 16 bytes, is a camera's RAW. The position in the file changes."""
    if any(head[at : at + len(mark)] == mark for at, mark in _MARKS):
        return True
    if head[:4] not in (b"II*\0", b"MM\0*"):
        return False
    order = "<" if head[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack(f"{order}I", head[4:8])
        tags = _tags(file, start, order)
        directories = [tags, *(_tags(file, at, order) for at in tags.get(_SUB_IFDS, ())[:8])]
    except (struct.error, OSError, ValueError):
        return False
    return _DNG_VERSION in tags or any(
        _SENSOR & set(directory.get(_PHOTOMETRIC, ())) or _CAMERA_COMPRESSIONS & set(directory.get(_COMPRESSION, ()))
        for directory in directories
    )


def open_raw(file: BinaryIO, name: str, max_pixels: int) -> RawPicture:
    """The preview in a RAW file, with its orientation in its EXIF; if there is none or a small one, the sensor's data
    developed at half size.

    Raises ImageError, with `name` as the source, also where the package that reads RAW is missing.
    """
    if not _HAS_RAWPY:
        raise ImageError(name, f"a RAW file, which needs the package rawpy: {install('raw')}")
    import rawpy  # an optional package

    file.seek(0)
    try:
        with rawpy.imread(file) as raw:
            size = int(raw.sizes.width), int(raw.sizes.height)
            orientation = _ORIENTATIONS.get(raw.sizes.flip, 1)
            preview = _preview(raw, size, orientation)
            if preview is not None and min(preview.size) >= _SMALLEST_PREVIEW:
                return RawPicture(preview, size)
            if size[0] * size[1] > max_pixels:
                raise ImageError(name, f"{size[0]} x {size[1]} pixels are too many")
            try:
                pixels = raw.postprocess(half_size=True, use_camera_wb=True, user_flip=0)
            except rawpy.LibRawError:
                if preview is None:
                    raise
                return RawPicture(preview, size)
            developed = Image.fromarray(pixels)
            developed.getexif()[Base.Orientation] = orientation
            return RawPicture(developed, size)
    except rawpy.LibRawError as error:
        raise ImageError(name, "a RAW file that is broken, or of a camera that LibRaw does not know") from error


def _preview(raw: Any, size: tuple[int, int], orientation: int) -> Image.Image | None:
    """The JPEG in an open `rawpy.RawPy`, whose sensor has this (width, height)."""
    import rawpy

    try:
        thumb = raw.extract_thumb()
    except rawpy.LibRawError:
        return None
    if thumb.format != rawpy.ThumbFormat.JPEG:
        return None  # a bitmap: small, of the first cameras
    try:
        preview = JpegImagePlugin.jpeg_factory(io.BytesIO(thumb.data), "")
    except Exception:  # Pillow raises anything on broken files
        return None
    # A preview that stands upright already is higher than wide where the sensor is wider than high.
    is_upright = orientation in (6, 8) and (preview.width < preview.height) != (size[0] < size[1])
    preview.getexif()[Base.Orientation] = 1 if is_upright else orientation
    return preview


def _tags(file: BinaryIO, start: int, order: str) -> dict[int, tuple[int, ...]]:
    """The whole numbers in a directory of a TIFF (TIFF 6.0, section 2), by tag; of others nothing."""
    file.seek(start)
    (count,) = struct.unpack(f"{order}H", file.read(2))
    entries = file.read(12 * min(count, _MAX_ENTRIES))
    tags: dict[int, tuple[int, ...]] = {}
    for at in range(0, len(entries) - 11, 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", entries, at)
        code, width = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4), 13: ("I", 4)}.get(kind, ("", 0))
        tags[tag] = ()
        if not code or number > _MAX_ENTRIES:
            continue
        if number * width <= 4:
            tags[tag] = struct.unpack_from(f"{order}{number}{code}", entries, at + 8)
        elif tag == _SUB_IFDS:
            file.seek(struct.unpack_from(f"{order}I", entries, at + 8)[0])
            tags[tag] = struct.unpack(f"{order}{number}{code}", file.read(number * width))
    return tags
