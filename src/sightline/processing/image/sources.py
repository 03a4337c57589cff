"""What a picture can be read from: names for messages, files opened, addresses downloaded, text decoded."""

import base64
import errno
import os
import re
import time
import urllib.error
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.errors import ImageError
from sightline.files import open_file

MAX_BYTES = 256 << 20
SECONDS = 60.0
_CHUNK = 1 << 16

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[Any]
"""A path, an image file's bytes, an open file, a PIL picture, or an array of pixels; also a torch tensor of pixels."""


def is_image_source(source: object) -> bool:
    """Whether it is of a type that an image can be read from."""
    known = isinstance(source, str | os.PathLike | bytes | bytearray | memoryview | Image.Image)
    return known or hasattr(source, "read") or is_pixels(source)


def is_pixels(source: object) -> TypeGuard[NDArray[Any]]:
    """Whether it is an array or a tensor: torch itself need not be imported."""
    return isinstance(source, np.ndarray) or (hasattr(source, "detach") and hasattr(source, "ndim"))


def pixel_array(pixels: Any) -> NDArray[Any]:
    """An array as it is; a tensor, on whatever device, as an array."""
    if isinstance(pixels, np.ndarray):
        return pixels
    tensor = pixels.detach().cpu()
    array: NDArray[Any] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return array


def is_address(source: object) -> bool:
    """Whether it is a text that names something on the web, or holds a picture itself, and no file."""
    return isinstance(source, str) and re.match(r"(https?|ftp|s3|gs)://|data:", source, re.IGNORECASE) is not None


def file_bytes(file: BinaryIO) -> bytes:
    """All bytes of an open file, from its beginning where it can go back. Raises ImageError."""
    with suppress(OSError, ValueError, AttributeError):
        file.seek(0)
    try:
        data: bytes | str = file.read()
    except UnicodeDecodeError:
        data = ""
    except (OSError, ValueError) as error:
        raise ImageError(source_name(file), f"can't be read ({error})") from error
    if isinstance(data, str):
        raise ImageError(source_name(file), 'the file is open as text: open it with "rb"')
    return data


def source_name(source: Any) -> str:
    """What messages call the source: a path as text, else what it is."""
    if isinstance(source, bytes | bytearray | memoryview):
        return f"an image of {len(source)} bytes"
    if is_pixels(source):
        return f"{'an array' if isinstance(source, np.ndarray) else 'a tensor'} of shape {tuple(source.shape)}"
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "")) or "an image"
    if hasattr(source, "read"):
        return f"the open file {source.name}" if isinstance(getattr(source, "name", None), str) else "an open file"
    text = os.fsencode(source).decode("utf-8", "replace")
    return (text if len(text) <= 4096 else f"{text[:60]}...") or "an empty name"


def open_source(path: Path, name: str) -> BinaryIO:
    """The file, opened to read. Raises ImageError, with `name` as the source, for whatever can't be opened."""
    try:
        return open_file(path)
    except ImageError as error:
        raise ImageError(name, error.reason) from error
    except FileNotFoundError as error:
        raise ImageError(name, "a link to nothing" if path.is_symlink() else "no such file") from error
    except PermissionError as error:
        raise ImageError(name, "no permission to read it") from error
    except OSError as error:
        reason = "a loop of links" if error.errno == errno.ELOOP else (error.strerror or "can't be opened").lower()
        raise ImageError(name, reason) from error
    except ValueError as error:
        raise ImageError(name, "no name that a file can have") from error


def decode_base64(text: str) -> bytes | None:
    """The bytes of a data URI or of plain base64; None if the text is neither."""
    try:
        return base64.b64decode(re.sub(r"\s", "", text.removeprefix("data:").partition(",")[2] or text), validate=True)
    except ValueError:
        return None


def download(address: str, timeout: float | None = None) -> bytes:
    """The bytes at an http(s) address: at most MAX_BYTES, within SECONDS, `timeout` seconds for each wait.

    Redirections are followed to http(s) only. The address is trusted: a program that takes addresses from strangers
    must make sure that they don't point into its private network. Raises ImageError.
    """
    deadline = time.monotonic() + SECONDS
    data = bytearray()
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "sightline", "Accept": "image/*,*/*"})
        with _opener().open(request, timeout=timeout or SECONDS) as answer:
            while chunk := answer.read1(_CHUNK):
                data += chunk
                if len(data) > MAX_BYTES:
                    raise ImageError(address, f"more than {MAX_BYTES >> 20} MiB")
                if time.monotonic() > deadline:
                    raise ImageError(address, f"not there after {SECONDS:.0f} seconds")
            missing = answer.length
    except ImageError:
        raise
    except urllib.error.HTTPError as error:
        with error:
            raise ImageError(address, f"the server says {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise ImageError(address, f"can't be fetched ({error.reason})") from error
    except TimeoutError as error:
        raise ImageError(address, "the server does not answer") from error
    except (OSError, HTTPException, ValueError) as error:
        raise ImageError(address, f"can't be fetched ({error})") from error
    if missing:
        raise ImageError(address, "the connection broke off")
    return bytes(data)


def _opener() -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()  # not `build_opener`: that one also opens file: and ftp:
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener
