"""Tiny files of cameras' RAW, made by hand: a sensor's mosaic and a JPEG beside it in a DNG (DNG 1.4 of Adobe)."""

import io
import struct

import numpy as np

BYTE, ASCII, SHORT, LONG, RATIONAL, SIGNED = 1, 2, 3, 4, 5, 10
_SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, SIGNED: 8}


def dng(picture, preview=None, orientation=1, date="2024:05:06 07:08:09", model="Tester"):
    """A DNG of the picture (whose sides are even): its mosaic in 16 bits, and `preview` as its JPEG."""
    mosaic = _mosaic(picture)
    blobs = {"mosaic": mosaic.astype("<u2").tobytes()}
    sensor = [
        (0x00FE, LONG, [0]),
        (0x0100, LONG, [picture.width]),
        (0x0101, LONG, [picture.height]),
        (0x0102, SHORT, [16]),
        (0x0103, SHORT, [1]),
        (0x0106, SHORT, [32803]),
        (0x0111, LONG, ["mosaic"]),
        (0x0115, SHORT, [1]),
        (0x0116, LONG, [picture.height]),
        (0x0117, LONG, [len(blobs["mosaic"])]),
        (0x828D, SHORT, [2, 2]),
        (0x828E, BYTE, [0, 1, 1, 2]),
        (0xC61A, SHORT, [0]),
        (0xC61D, SHORT, [65535]),
    ]
    main = [
        (0x010F, ASCII, b"Sightline\0"),
        (0x0110, ASCII, model.encode() + b"\0"),
        (0x0112, SHORT, [orientation]),
        (0x0132, ASCII, date.encode() + b"\0"),
        (0xC612, BYTE, [1, 4, 0, 0]),
        (0xC613, BYTE, [1, 1, 0, 0]),
        (0xC614, ASCII, b"Sightline Tester\0"),
        (0xC621, SIGNED, [(int(10_000 * x), 10_000) for x in (3.24, -1.54, -0.5, -0.97, 1.88, 0.04, 0.06, -0.2, 1.06)]),
        (0xC628, RATIONAL, [(1, 1)] * 3),
        (0xC65A, SHORT, [21]),
    ]
    if preview is None:
        return _tiff(main + sensor, [], blobs)
    buffer = io.BytesIO()
    preview.save(buffer, "JPEG", quality=95)
    blobs["preview"] = buffer.getvalue()
    shown = [
        (0x00FE, LONG, [1]),
        (0x0100, LONG, [preview.width]),
        (0x0101, LONG, [preview.height]),
        (0x0102, SHORT, [8, 8, 8]),
        (0x0103, SHORT, [7]),
        (0x0106, SHORT, [6]),
        (0x0111, LONG, ["preview"]),
        (0x0115, SHORT, [3]),
        (0x0116, LONG, [preview.height]),
        (0x0117, LONG, [len(blobs["preview"])]),
        (0x014A, LONG, ["directory"]),
    ]
    return _tiff(main + shown, sensor, blobs)


def _mosaic(picture):
    """Red, green, green and blue of each 2 x 2 pixels, as light."""
    light = (np.asarray(picture.convert("RGB")) / 255.0) ** 2.2 * 65535
    mosaic = light[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = light[::2, ::2, 0], light[1::2, 1::2, 2]
    return mosaic


def _tiff(main, second, blobs):
    """A little-endian TIFF of one directory, or of two; texts among the numbers stand for where something is."""
    places, at = {}, 8
    for name, data in blobs.items():
        places[name] = at
        at += len(data) + len(data) % 2
    body = b"".join(data + b"\0" * (len(data) % 2) for data in blobs.values())
    if second:
        places["directory"] = at
        directory = _directory(second, at, places)
        body, at = body + directory, at + len(directory)
    return struct.pack("<2sHI", b"II", 42, at) + body + _directory(main, at, places)


def _directory(entries, start, places):
    entries = sorted(entries)
    after = start + 2 + 12 * len(entries) + 4
    table, extra = struct.pack("<H", len(entries)), b""
    for tag, kind, given in entries:
        numbers = [places.get(value, value) if isinstance(value, str) else value for value in given]
        if kind in (RATIONAL, SIGNED):
            data = b"".join(struct.pack("<ii" if kind == SIGNED else "<II", *pair) for pair in numbers)
        else:
            data = struct.pack(f"<{len(numbers)}{ {BYTE: 'B', ASCII: 'B', SHORT: 'H', LONG: 'I'}[kind] }", *numbers)
        table += struct.pack("<HHI", tag, kind, len(data) // _SIZES[kind])
        if len(data) <= 4:
            table += data.ljust(4, b"\0")
        else:
            table += struct.pack("<I", after + len(extra))
            extra += data + b"\0" * (len(data) % 2)
    return table + b"\0" * 4 + extra
