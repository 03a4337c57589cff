"""The formats of pictures that can be read, a picture's format by its contents, and why it can't be read."""

import ctypes
import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

# Importing these registers them with Pillow. No others are used: no PostScript, nothing that runs a program.
from PIL import (  # noqa: F401
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from sightline.distribution import install
from sightline.errors import ImageError
from sightline.files import open_file, wrong_content
from sightline.processing.image.jxl import HAS_JXL, is_jxl, jxl_size, register_jxl

MAX_PIXELS = 1 << 27
"""Pixels that a picture may have once decoded: at 4 bytes each, twice (a conversion), this is 1 GiB."""

_HAS_HEIF = find_spec("pillow_heif") is not None
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", *["HEIF"] * _HAS_HEIF, "AVIF", "JPEG2000", *["JXL"] * HAS_JXL)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}  # ISO/IEC 23008-12, annex B

_ANIMATION_HEAD = _JXL_HEAD = 1 << 16
_WEBP_ANIMATION = 2


def recognize(file: BinaryIO, head: bytes, name: str) -> ImageFile:
    """The picture in `file`, not yet decoded, by its contents, of which `head` are the first 16 bytes.

    `Image.open` isn't used: its limit is on the full size, and it hides the reason of a failure. Raises ImageError
    with `name` as the source.
    """
    _silence_pillow()
    if _HAS_HEIF:
        _register_heif()
    if is_jxl(head):
        return _open_jxl(file, name)
    failure: tuple[Exception, str] | None = None
    for format_name in _FORMATS:
        factory, accepts = Image.OPEN.get(format_name, (None, None))
        if factory is None or accepts is None or accepts(head) is not True:
            continue
        file.seek(0)
        if format_name == "TIFF":
            _silence_libtiff()
        try:
            return factory(file, "")
        except Exception as error:
            if format_name == "PNG" and "too large" in str(error):  # Pillow gives a picture up for that
                with suppress(Exception):
                    return factory(_without_compressed_chunks(file), "")
            failure = failure or (error, format_name)
    if not _HAS_HEIF and _is_heif(head):
        raise ImageError(name, f"HEIC needs the package pillow-heif: {install('heif')}")
    if failure:
        raise ImageError(name, _failure_reason(*failure)) from failure[0]
    file.seek(0)
    reason = wrong_content(file.read(512)) or f"not an image (by its contents none of {', '.join(_FORMATS)})"
    raise ImageError(name, reason)


def _without_compressed_chunks(file: BinaryIO) -> BinaryIO:
    """A PNG less its profile and its texts, which may be far larger than they look."""
    file.seek(0)
    kept = io.BytesIO()
    kept.write(file.read(8))
    while len(head := file.read(8)) == 8:
        body = file.read(int.from_bytes(head[:4]) + 4)
        if head[4:] not in (b"iCCP", b"zTXt", b"iTXt"):
            kept.write(head + body)
    kept.seek(0)
    return kept


def _open_jxl(file: BinaryIO, name: str) -> ImageFile:
    """A JPEG XL, which the plugin decodes on opening it: its size is looked at first."""
    if not HAS_JXL:
        raise ImageError(name, f"JPEG XL needs the package pillow-jxl-plugin: {install('jxl')}")
    register_jxl()
    file.seek(0)
    with failures_as_image_errors(name, "JXL"):
        width, height = jxl_size(file.read(_JXL_HEAD))
    if width * height > MAX_PIXELS:
        raise ImageError(name, f"{width} x {height} pixels are too many (at most {MAX_PIXELS / 1e6:.0f} million)")
    file.seek(0)
    try:
        return Image.OPEN["JXL"][0](file, "")
    except MemoryError:
        raise
    except Exception as error:  # its text speaks of how to build the library
        raise ImageError(name, "JPEG XL, broken or cut short") from error


def image_format(head: bytes) -> str | None:
    """The format, by Pillow's name, of the picture that begins with these 16 bytes; None if it is no known picture."""
    if _is_heif(head):
        return "HEIF"
    if is_jxl(head):
        return "JXL"
    known = ((format_name, Image.OPEN.get(format_name, (None, None))[1]) for format_name in _FORMATS)
    return next((format_name for format_name, accepts in known if accepts is not None and accepts(head) is True), None)


def is_animation(source: Path | bytes) -> bool:
    """Whether the file looks like an animated image by its first bytes. Never raises: what cannot be read is none."""
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open_file(source) as file:
            head = file.read(_ANIMATION_HEAD)
    except Exception:  # reading the image will say what is wrong
        return False
    if head.startswith(b"\x89PNG"):
        return b"acTL" in head.partition(b"IDAT")[0]
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
        return len(head) > 20 and bool(head[20] & _WEBP_ANIMATION)
    return head.startswith(b"GIF8") or (head[4:8] == b"ftyp" and b"avis" in head[8:64])


@contextmanager
def failures_as_image_errors(name: str, format_name: str | None) -> Iterator[None]:
    """Turns every exception into an ImageError: Pillow and its libraries raise nearly anything on broken files.

    `name` is the error's source, `format_name` the picture's format if it is known.
    """
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(name, _failure_reason(error, format_name)) from error


def _failure_reason(error: Exception, format_name: str | None) -> str:
    """What the exception says about a picture of this format (None: unknown), without the picture's name."""
    what = format_name or "image"
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "too many pixels"
    if isinstance(error, OSError) and error.errno:
        return f"can't be read ({error.strerror})"
    text = re.sub(r" for \w+\.\w+$", "", str(error).strip().split("\n")[0].rstrip("."))
    if re.search("truncated|end of|unexpected eof|too short|insufficient", text, re.IGNORECASE):
        return f"{what} cut short"
    # Only sentences are for people: a key, a code or a repr is left out.
    is_sentence = isinstance(error, OSError | SyntaxError | ValueError | RuntimeError) and " " in text
    is_sentence = is_sentence and not re.search(r"b'|[<{]", text)
    return f"broken or unusual {what}" + (f" ({text[:100]})" if is_sentence else "")


def _is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


@cache
def _register_heif() -> None:
    from pillow_heif import register_heif_opener  # an optional package, and slow to import

    register_heif_opener()


_METADATA_WARNINGS = (None, UserWarning, re.compile(r"PIL\."), 0)
"""As an entry of `warnings.filters`."""


_NO_LOG = logging.NullHandler()


def _silence_pillow() -> None:
    """Pillow warns of odd metadata, which no caller can act on. Its warning of decompression bombs stays. Added once
    and left: taking it away again would disturb other threads that change the filters meanwhile."""
    logging.getLogger("PIL").addHandler(_NO_LOG)  # else Python writes its errors to standard error
    if not any(entry[1:] == _METADATA_WARNINGS for entry in warnings.filters):
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@cache
def _silence_libtiff() -> None:
    """libtiff writes lines about broken files to standard error, amid whatever is shown on the terminal. Pillow has no
    switch for that; its packages carry the library beside them. Where it isn't found, it keeps writing."""
    folder = Path(Image.__file__).parent
    for path in (*folder.parent.glob("[pP]illow.libs/libtiff*"), *folder.glob(".dylibs/libtiff*")):
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(str(path))
            for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
                set_handler = getattr(library, name)
                set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
                set_handler(None)
