"""Pictures in other color spaces: their signals by the standards' formulas, films with tags, ICC profiles."""

import struct

import av
import numpy as np
from PIL import Image

D65 = (0.3127, 0.3290)
PRIMARIES = {
    1: (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *D65),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *D65),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *D65),
}
"""ITU-T H.273, table 2, those with the white of sRGB."""

CODES = {"pq": 16, "hlg": 18, "linear": 8, "gamma22": 4, "gamma28": 5, "srgb": 13, "bt709": 1, "bt2020_10": 14}


def light(picture):
    """The light of an sRGB picture, (height, width, 3) in 0..1 (IEC 61966-2-1)."""
    x = np.asarray(picture.convert("RGB")) / 255.0
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def in_primaries(light, primaries):
    """BT.709's light in other primaries of the same white (SMPTE RP 177)."""
    there = np.linalg.inv(_to_xyz(PRIMARIES[primaries])) @ _to_xyz(PRIMARIES[1])
    return (light @ there.T).clip(0, 1)


def signal(light, transfer):
    """Light, 1 for white, as a signal of 0..1. Those of BT.709 and BT.2020 are written as sRGB's, as films are made
    for screens; white is at 203 nits in PQ and at 75% in HLG (BT.2408)."""
    if transfer == CODES["pq"]:
        y, m1, m2 = light * 203 / 10000, 2610 / 16384, 2523 / 4096 * 128
        c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
        return ((c1 + c2 * y**m1) / (1 + c3 * y**m1)) ** m2
    if transfer == CODES["hlg"]:
        e = light * 0.265
        high = 0.17883277 * np.log(np.maximum(12 * e - 0.28466892, 1e-9)) + 0.55991073
        return np.where(e <= 1 / 12, np.sqrt(3 * e), high)
    powers = {CODES["linear"]: 1.0, CODES["gamma22"]: 2.2, CODES["gamma28"]: 2.8}
    if transfer in powers:
        return light ** (1 / powers[transfer])
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def luma_and_chroma(picture, primaries, transfer, matrix):
    """(height, width, 3): luma of 0..1 and two planes of color in -0.5..0.5, by H.273's matrix."""
    there = in_primaries(light(picture), primaries)
    if matrix == 14:  # BT.2100, table 7
        cones = there @ (np.array([[1688, 2146, 262], [683, 2951, 462], [99, 309, 3688]]) / 4096).T
        rows = (
            [[3625, -7465, 3840], [9500, -9212, -288]]
            if transfer == 18
            else [[6610, -13613, 7003], [17933, -17390, -543]]
        )
        return signal(cones, transfer) @ (np.array([[2048, 2048, 0], *rows]) / 4096).T
    r, g, b = np.moveaxis(signal(there, transfer), -1, 0)
    if matrix == 8:
        return np.stack([(r + 2 * g + b) / 4, (2 * g - r - b) / 4, (r - b) / 2], axis=-1)
    kr, kb = {1: (0.2126, 0.0722), 5: (0.299, 0.114)}.get(matrix, (0.2627, 0.0593))
    if matrix == 10:  # BT.2020, table 4
        y = signal(there @ np.array([kr, 1 - kr - kb, kb]), transfer)
        blue, red = b - y, r - y
        return np.stack(
            [y, blue / np.where(blue > 0, 1.5820, 1.9404), red / np.where(red > 0, 0.9936, 1.7184)], axis=-1
        )
    y = kr * r + (1 - kr - kb) * g + kb * b
    return np.stack([y, (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))], axis=-1)


def tagged_film(path, picture, primaries=1, transfer=1, matrix=1, *, bits=10, full=False, tags=None, frames=10):
    """A film of the picture, two frames a second, stored in this color space and tagged so, or with `tags`."""
    tags = tags or (primaries, transfer, matrix)
    planes = np.moveaxis(luma_and_chroma(picture, primaries, transfer, matrix), -1, 0)
    top = (1 << bits) - 1
    scale = 1 << (bits - 8)
    luma = planes[0] * top if full else (219 * planes[0] + 16) * scale
    chroma = planes[1:] * top + 128 * scale if full else (224 * planes[1:] + 128) * scale
    stored = [luma, *(halved(plane) for plane in chroma)]
    pixels, kind = {8: ("yuv420p", "u1"), 10: ("yuv420p10le", "<u2"), 12: ("yuv420p12le", "<u2")}[bits]
    codec = "libx265" if bits == 12 else "libx264"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=2)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, pixels
        stream.options = {"crf": "4", "preset": "ultrafast", "x265-params": "log-level=none"}
        context = stream.codec_context
        for target in (context, *(frame := av.VideoFrame(*picture.size, pixels),)):
            target.color_primaries, target.color_trc, target.colorspace = tags
            target.color_range = 2 if full else 1
        for plane, values in zip(frame.planes, stored, strict=True):
            rows = np.zeros((plane.height, plane.line_size // np.dtype(kind).itemsize), kind)
            rows[:, : values.shape[1]] = values.round().clip(0, top)
            plane.update(rows.tobytes())
        for number in range(frames):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def halved(plane):
    """A plane of color at half of the width and height."""
    return plane.reshape(plane.shape[0] // 2, 2, plane.shape[1] // 2, 2).mean((1, 3))


def icc_profile(colorants, gamma, *, space=b"RGB ", version=0x02100000, codes=None):
    """A matrix profile, or with space b"GRAY" one of a curve alone; `codes` are H.273's, as ICC.1:2022's tag "cicp"."""

    def xyz(values):
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(x * 65536) for x in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    if version < 0x04000000:
        text = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"w\0" + b"\0" * 78
    else:
        text = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2, 28) + b"\0w"
    tags = {
        b"desc": text,
        b"cprt": text if version >= 0x04000000 else b"text\0\0\0\0none\0",
        b"wtpt": xyz((0.9642, 1, 0.8249)),
    }
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        tags |= {name: xyz(values) for name, values in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True)}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    if codes:
        tags[b"cicp"] = b"cicp\0\0\0\0" + bytes([*codes, 0, 1])
    offset, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(value))
        body += value + b"\0" * (-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", offset + len(body), b"\0" * 4, version, b"mntr", space, b"XYZ ")
    head += b"\0" * 12 + b"acsp" + b"\0" * 28 + struct.pack(">3i", 63190, 65536, 54061) + b"\0" * 48
    return head + table + body


PROPHOTO = icc_profile(((0.7977, 0.2880, 0), (0.1352, 0.7119, 0), (0.0313, 0.0001, 0.8249)), 1.8)
ADOBE = icc_profile(((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)), 2.2)
_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
DISPLAY_P3 = icc_profile(_P3, 2.2)
DISPLAY_P3_V4 = icc_profile(_P3, 2.2, version=0x04300000)
_SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
SRGB_GAMMA = icc_profile(_SRGB, 2.2)
"""sRGB's colorants with a plain power for its curve: dark colors are others."""
GRAY_18 = icc_profile((), 1.8, space=b"GRAY")


def colorful(width=64, height=48):
    """A picture of smooth colors, all within sRGB, dark to light."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 40 + 180 * x / width, 30 + 190 * y / height
    blue = 60 + 120 * (x + y) / (width + height)
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))


def _to_xyz(primaries):
    x, y, (white_x, white_y) = np.array(primaries[:6:2]), np.array(primaries[1:6:2]), primaries[6:]
    columns = np.array([x, y, 1 - x - y])
    return columns * np.linalg.solve(columns, [white_x / white_y, 1, (1 - white_x - white_y) / white_y])
