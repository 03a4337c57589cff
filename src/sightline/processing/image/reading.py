"""A picture from wherever it is: a file, bytes, an array, an address. Whatever can't be read is an ImageError."""

import base64
import ctypes
import errno
import io
import math
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

# Importing these registers them with Pillow. No others are used: no PostScript, nothing that runs a program.
from PIL import (  # noqa: F401
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from sightline.distribution import install
from sightline.errors import ImageError
from sightline.processing.image.color import array_to_bytes, array_to_rgb, flatten, to_uint8
from sightline.processing.image.download import download
from sightline.processing.image.reasons import reason, reasons

Source: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any]

_HEIF = find_spec("pillow_heif") is not None
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", *["HEIF"] * _HEIF, "AVIF")

MAX_PIXELS = 1 << 27
"""Pixels that a picture may have once decoded: at 4 bytes each, twice (a conversion), this is 1 GiB."""


class _Room:
    """So many pixels at a time, however many threads ask; who asks for more than there is, has it alone."""

    def __init__(self, pixels: int) -> None:
        self._all = self._free = pixels
        self._changed = threading.Condition()

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        pixels = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


_room = _Room(MAX_PIXELS)
"""For the pictures that are being decoded."""

_ORIENTATION = 0x0112  # EXIF 2.32, 4.6.4 A
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
QUARTERS = {_TURNS[orientation] for orientation in (5, 6, 7, 8)}
"""The turns that exchange width and height."""

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}  # ISO/IEC 23008-12, annex B


def open_image(source: Source, *, orient: bool = True, short_side: int | None = None) -> Image.Image:
    """The picture in `source`, decoded, as "RGB": a path, a file's bytes, a PIL picture or an array.

    Transparency is laid on white, more than 8 bits are scaled to 8, an animation gives its first frame. `orient` turns
    the picture as its EXIF orientation says. `short_side` is the side in pixels that a model will resize the picture's
    short side to: a JPEG is then decoded at 1/2, 1/4 or 1/8, as long as 1.5 times that is left; None decodes all.
    Arrays are (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels, in 0..255 or 0.0..1.0.

    For a file, `info["full_size"]` of the result is its upright (width, height) before any reduction, and `getexif()`
    its EXIF less the orientation that was followed.

    Raises ImageError for whatever can't be read, more than MAX_PIXELS pixels among it.
    """
    if isinstance(source, Image.Image):
        with reasons(name_of(source), source.format):
            source.load()
            return _turned(flatten(to_uint8(source)), _turn(source) if orient else None)
    if isinstance(source, np.ndarray):
        with reasons(name_of(source), None):
            return Image.fromarray(array_to_bytes(array_to_rgb(source))[0])
    with _decoded(source, name_of(source), short_side) as (picture, full_size):
        turn = _turn(picture) if orient else None
        exif = _exif(picture, turn)
        rgb = _turned(flatten(to_uint8(picture)), turn)
        rgb.info = {"full_size": full_size[::-1] if turn in QUARTERS else full_size, "exif": exif}
        return rgb


def load_image(image: str | os.PathLike[str] | Image.Image, timeout: float | None = None) -> Image.Image:
    """A path, an http(s) address, a data URI, base64 or a PIL picture to "RGB", as the reference's `load_image` does.

    The picture is turned as its EXIF orientation says and goes through PIL's `convert("RGB")`. Unlike `open_image`,
    that drops transparency instead of laying it on white, and clips more than 8 bits instead of scaling them.
    `timeout` is in seconds, for each answer of a server. Addresses are trusted: don't pass on strangers'.

    Raises ImageError.
    """
    if isinstance(image, Image.Image):
        with reasons(name_of(image), image.format):
            image.load()
            return _turned(image.convert("RGB"), _turn(image))
    source: str | os.PathLike[str] | bytes = image
    if isinstance(image, str) and re.match("https?://", image, re.IGNORECASE):
        source = download(image, timeout)
    elif isinstance(image, str) and (image.startswith("data:") or not os.path.lexists(image)):
        source = _from_base64(image) or image
    with _decoded(source, name_of(image), None) as (picture, _):
        return _turned(picture.convert("RGB"), _turn(picture))


@contextmanager
def _decoded(
    source: str | os.PathLike[str] | bytes, name: str, short_side: int | None
) -> Iterator[tuple[ImageFile, tuple[int, int]]]:
    """The picture with its pixels, in the file's own mode, and the full size that the file declares."""
    with io.BytesIO(source) if isinstance(source, bytes) else open_file(Path(source), name) as file:
        head = file.read(16)
        if not head:
            raise ImageError(name, "empty file")
        with reasons(name, None):
            picture = _recognise(file, head, name)
        with reasons(name, picture.format):
            full_size = picture.size
            # At a reduced scale only what is decoded counts, but a hostile file can make the decoder keep coefficients
            # of the whole picture: twice the limit (200-megapixel phones) is enough.
            reduced = isinstance(picture, JpegImagePlugin.JpegImageFile) and short_side is not None
            _check_size(full_size, MAX_PIXELS * 2 if reduced else MAX_PIXELS, name)
            if reduced and short_side is not None:
                side = max(math.ceil(short_side * 1.5), 1)
                picture.draft(None, (side, side))
                _check_size(picture.size, MAX_PIXELS, name)
            whole = math.prod(full_size)  # such a file's decoder may keep more than what it gives
            with _room.take(whole if whole > MAX_PIXELS else math.prod(picture.size)):
                picture.load()
                yield picture, full_size


def _recognise(file: BinaryIO, head: bytes, name: str) -> ImageFile:
    """The format by the contents. `Image.open` isn't used: its limit is on the full size, and it hides the reason."""
    _silence_warnings()
    if _HEIF:
        _register_heif()
    failure: tuple[Exception, str] | None = None
    for plugin in _FORMATS:
        factory, accepts = Image.OPEN[plugin]
        if accepts is None or accepts(head) is not True:
            continue
        file.seek(0)
        if plugin == "TIFF":
            _silence_libtiff()
        try:
            return factory(file, "")
        except Exception as error:
            failure = failure or (error, plugin)
    if not _HEIF and _is_heif(head):
        raise ImageError(name, f"HEIC needs one more package: {install('heif')}")
    if failure:
        raise ImageError(name, reason(*failure)) from failure[0]
    known = ", ".join(_FORMATS)
    raise ImageError(name, f"not a picture (by its contents none of {known})")


def picture_format(head: bytes) -> str | None:
    """The format of the picture that begins with these 16 bytes, if any."""
    if _is_heif(head):
        return "HEIF"
    known = ((plugin, Image.OPEN.get(plugin, (None, None))[1]) for plugin in _FORMATS)
    return next((plugin for plugin, accepts in known if accepts is not None and accepts(head) is True), None)


def _is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _check_size(size: tuple[int, int], limit: int, name: str) -> None:
    if size[0] * size[1] > limit:
        raise ImageError(name, f"{size[0]} x {size[1]} pixels are too many (at most {limit / 1e6:.0f} million)")


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """How to set the picture upright. EXIF that can't be read says nothing. To be asked after `load` (TIFF, PNG)."""
    try:
        return _TURNS.get(cast(Any, picture.getexif().get(_ORIENTATION)))
    except Exception:
        return None


def _turned(picture: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    if turn is None:
        return picture
    picture = picture.transpose(turn)
    picture.info = {}  # its orientation, in EXIF or XMP, is no longer true
    return picture


def _exif(picture: Image.Image, turn: Image.Transpose | None) -> bytes:
    if turn is None and isinstance(picture.info.get("exif"), bytes):
        return cast(bytes, picture.info["exif"])
    try:
        exif = picture.getexif()
        exif.pop(_ORIENTATION, None)
        return exif.tobytes() if len(exif) else b""
    except Exception:
        return b""


def _from_base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(re.sub(r"\s", "", text.removeprefix("data:").partition(",")[2] or text), validate=True)
    except ValueError:
        return None


def open_file(path: Path, name: str) -> BinaryIO:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe would make us wait for ever
            raise ImageError(name, "a folder, not a file" if stat.S_ISDIR(mode) else "not a file but a pipe or device")
        return path.open("rb")
    except FileNotFoundError as error:
        raise ImageError(name, "a link to nothing" if path.is_symlink() else "no such file") from error
    except PermissionError as error:
        raise ImageError(name, "no permission to read it") from error
    except OSError as error:
        why = "a loop of links" if error.errno == errno.ELOOP else (error.strerror or "can't be opened").lower()
        raise ImageError(name, why) from error
    except ValueError as error:
        raise ImageError(name, "no name that a file can have") from error


def name_of(source: Source) -> str:
    if isinstance(source, bytes):
        return f"a picture of {len(source)} bytes"
    if isinstance(source, np.ndarray):
        return f"an array of shape {source.shape}"
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "")) or "a picture"
    text = os.fsencode(source).decode("utf-8", "replace")
    return (text if len(text) <= 4096 else f"{text[:60]}...") or "an empty name"


def _silence_warnings() -> None:
    """Pillow warns of odd metadata, which no caller can act on. Its warning of decompression bombs stays.

    Added once and left: taking it away again would disturb other threads that change the filters meanwhile.
    """
    if not any(entry[1:] == _QUIET for entry in warnings.filters):
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@cache
def _silence_libtiff() -> None:
    """libtiff writes lines of its own about broken files to standard error, amid whatever is shown there.

    Pillow has no switch for that; its packages carry the library beside them. Where it isn't found, it speaks on.
    """
    place = Path(Image.__file__).parent
    for library in (*place.parent.glob("[pP]illow.libs/libtiff*"), *place.glob(".dylibs/libtiff*")):
        with suppress(OSError, AttributeError):
            opened = ctypes.CDLL(str(library))
            for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
                handler = getattr(opened, name)
                handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
                handler(None)


_QUIET = (None, UserWarning, re.compile(r"PIL\."), 0)


@cache
def _register_heif() -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()
