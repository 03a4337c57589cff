"""JPEG XL through its plugin for Pillow: registered when it is needed, and the size told before anything is decoded."""

import struct
from functools import cache
from importlib.util import find_spec

HAS_JXL = find_spec("pillow_jxl") is not None

_CODESTREAM, _CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
_HEADER = 18
"""Bytes in which the size is."""
_RATIOS = {1: (1, 1), 2: (6, 5), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def is_jxl(head: bytes) -> bool:
    """Whether a file that begins with these bytes is JPEG XL."""
    return head.startswith((_CODESTREAM, _CONTAINER))


@cache
def register_jxl() -> None:
    """Make Pillow read JPEG XL."""
    from pillow_jxl import JpegXLImagePlugin  # an optional package

    JpegXLImagePlugin.DECODE_THREADS = 0  # pictures are decoded side by side already


def jxl_size(data: bytes) -> tuple[int, int]:
    """(width, height) in the header (ISO/IEC 18181-1, annex D), of a file's first bytes. The plugin decodes a picture
    to tell its size. Raises ValueError."""
    codestream = _codestream(data) if data.startswith(_CONTAINER) else data[:_HEADER]
    if codestream[:2] != _CODESTREAM:
        raise ValueError("JPEG XL cut short")
    bits = _Bits(codestream[2:])
    is_small = bits.take(1)
    height = _side(bits, is_small)
    ratio = bits.take(3)
    if ratio:
        across, down = _RATIOS[ratio]
        return height * across // down, height
    return _side(bits, is_small), height


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("JPEG XL cut short")
        taken = self._bits % (1 << count)
        self._bits, self._left = self._bits >> count, self._left - count
        return taken


def _side(bits: _Bits, is_small: int) -> int:
    if is_small:
        return 8 * (bits.take(5) + 1)
    return 1 + bits.take((9, 13, 18, 30)[bits.take(2)])


def _codestream(data: bytes) -> bytes:
    """The first bytes of the codestream in a container: in the box "jxlc", or in parts in boxes "jxlp"."""
    at, codestream = 0, b""
    while at + 8 <= len(data) and len(codestream) < _HEADER:
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            (length,), head = struct.unpack_from(">Q", data, at + 8), 16
        end = at + length if length else len(data)
        if kind in (b"jxlc", b"jxlp"):
            codestream += data[at + head + 4 * (kind == b"jxlp") : end][:_HEADER]
        if end < at + head:
            break
        at = end
    return codestream
