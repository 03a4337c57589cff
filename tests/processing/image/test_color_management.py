"""A picture has the same colors in whatever space it is stored, and profiles that say nothing change nothing."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms

from sightline.processing.image.reading import load_image, open_image
from support.colors import (
    ADOBE,
    CODES,
    DISPLAY_P3,
    DISPLAY_P3_V4,
    GRAY_18,
    PROPHOTO,
    SRGB_GAMMA,
    colorful,
    icc_profile,
    in_primaries,
    light,
    signal,
)

pillow_heif = pytest.importorskip("pillow_heif")
pytest.importorskip("pillow_jxl")
pillow_heif.register_heif_opener()

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
PROFILES = {"prophoto": PROPHOTO, "adobe": ADOBE, "p3": DISPLAY_P3, "p3 v4": DISPLAY_P3_V4, "gamma": SRGB_GAMMA}


def stored(profile, picture=None, mode="RGB"):
    """The picture's pixels in the profile's space."""
    other = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.profileToProfile(picture or colorful(), SRGB, other, renderingIntent=1, outputMode=mode)


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def error(shown, picture=None):
    """The mean difference to the picture, in levels."""
    return np.abs(np.asarray(shown, float) - np.asarray(picture or colorful())).mean()


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 97, "subsampling": 0}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("AVIF", {"quality": 98, "subsampling": "4:4:4"}),
        ("HEIF", {"quality": 98, "chroma": 444}),
        ("MPO", {"quality": 97, "subsampling": 0, "save_all": True}),
    ],
)
def test_profiles_in_all_formats(name, kind, options):
    profile = PROFILES[name]
    file = encoded(stored(profile), kind, icc_profile=profile, **options)
    before = error(load_image_of(file))
    shown = open_image(file)
    assert error(shown) < 3.5 < before or name == "gamma", (error(shown), before)
    assert "icc_profile" not in shown.info
    assert error(open_image(shown), shown) == 0


def load_image_of(file):
    return load_image(Image.open(io.BytesIO(file)))


def test_load_image_takes_pixels_as_they_are_stored():
    file = encoded(stored(PROPHOTO), icc_profile=PROPHOTO)
    assert np.array_equal(load_image_of(file), stored(PROPHOTO))


def test_open_pictures_too():
    picture = Image.open(io.BytesIO(encoded(stored(PROPHOTO), icc_profile=PROPHOTO)))
    shown = open_image(picture)
    assert error(shown) < 3
    assert error(open_image(shown), shown) == 0


@pytest.mark.parametrize(
    "profile",
    [
        *(b"", b"x", PROPHOTO[:100], PROPHOTO[:300], PROPHOTO[:-40], b"\0" * 500, b"\xff" * 500, GRAY_18),
        PROPHOTO[:128] + b"\xff\xff\xff\xff" + PROPHOTO[132:],
        PROPHOTO[:12] + b"prtr" + PROPHOTO[16:20] + b"\0" * 300,
        PROPHOTO + b"\0" * (1 << 23),
        SRGB.tobytes(),
    ],
    ids=range(12),
)
def test_profiles_that_change_nothing(profile):
    file = encoded(colorful(), "TIFF", icc_profile=profile)  # Pillow reads no PNG with a profile of 8 MiB
    assert error(open_image(file)) == 0


def test_a_broken_profile_is_told_once(caplog):
    broken = PROPHOTO[:200] + b"told once"
    for _ in range(2):
        assert error(open_image(encoded(colorful(), "TIFF", icc_profile=broken))) == 0
    assert [record.getMessage() for record in caplog.records] == [
        "a color profile of 209 bytes is broken: colors of images with it are taken as stored"
    ]


def test_a_profile_of_rgb_in_a_gray_file_changes_nothing():
    gray = colorful().convert("L")
    assert error(open_image(encoded(gray, icc_profile=PROPHOTO)), gray.convert("RGB")) == 0


@pytest.mark.parametrize(("deep", "opacity"), [(False, None), (False, 255), (True, None)])
def test_gray_profiles(deep, opacity):
    gray = colorful().convert("L")
    linear = light(gray.convert("RGB"))[..., 0]
    values = linear ** (1 / 1.8)
    there = Image.fromarray(
        (values * 65535).round().astype(np.uint16) if deep else (values * 255).round().astype(np.uint8)
    )
    if opacity is not None:
        there.putalpha(opacity)
    file = encoded(there, icc_profile=GRAY_18)
    assert error(open_image(file), gray.convert("RGB")) < (2 if not deep else 4)


def test_16_bits_a_channel():
    values = signal(in_primaries(light(colorful()), 12), CODES["srgb"])
    file = png16(values, (b"iCCP", b"p3\0\0" + zlib.compress(DISPLAY_P3)))
    assert error(open_image(file)) < 3


def test_lab():
    lab = ImageCms.profileToProfile(colorful(), SRGB, ImageCms.createProfile("LAB"), outputMode="LAB")
    assert error(open_image(encoded(lab, "TIFF"))) < 2


def test_palettes_and_transparency():
    there = stored(PROPHOTO)
    palette = there.quantize(256)
    assert error(open_image(encoded(palette, icc_profile=PROPHOTO))) < 5
    there.putalpha(128)
    on_white = Image.blend(Image.new("RGB", there.size, "white"), colorful(), 128 / 255)
    assert error(open_image(encoded(there, icc_profile=PROPHOTO)), on_white) < 2


def test_cmyk():
    """With a profile whose tables are those of a simple press: Pillow's own conversion is what stays without one."""
    cmyk = colorful().convert("CMYK")
    plain = open_image(encoded(cmyk, "JPEG", quality=98))
    assert error(plain, cmyk.convert("RGB")) < 3
    shown = open_image(encoded(cmyk, "TIFF", icc_profile=press_profile()))
    # The press turns each ink into a gray of its own: all that matters is that the profile was followed.
    assert error(shown, cmyk.convert("RGB")) > 5


def test_reduced_jpegs_are_converted_after_decoding():
    big = colorful(1024, 768)
    file = encoded(stored(PROPHOTO, big), "JPEG", quality=97, icc_profile=PROPHOTO)
    shown = open_image(file, short_side=100)
    assert shown.size == (256, 192)
    assert shown.info["full_size"] == (1024, 768)
    assert error(shown, big.resize((256, 192), Image.Resampling.BOX)) < 3


def test_other_formats_are_reduced_before_they_are_converted():
    big = colorful(1024, 768)
    shown = open_image(encoded(stored(PROPHOTO, big), icc_profile=PROPHOTO), short_side=100)
    assert shown.size == (205, 154)
    assert shown.info["full_size"] == (1024, 768)
    assert open_image(encoded(big), short_side=100).size == (1024, 768)


def test_many_threads():
    files = [encoded(stored(p), icc_profile=p) for p in (PROPHOTO, ADOBE, DISPLAY_P3)] * 20
    with ThreadPoolExecutor(8) as pool:
        shown = list(pool.map(lambda file: np.asarray(open_image(file)), files))
    for i, picture in enumerate(shown):
        assert np.array_equal(picture, shown[i % 3])


@pytest.mark.parametrize("mark", ["R03", "ColorSpace"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_adobe_rgb_by_exif_alone(mark, kind):
    exif = Image.Exif()
    details = exif.get_ifd(0x8769)
    details[0xA001] = 0xFFFF if mark == "R03" else 2
    if mark == "R03":
        details[0xA005] = {1: "R03"}
    file = encoded(stored(ADOBE), kind, exif=exif, **({"quality": 97, "subsampling": 0} if kind == "JPEG" else {}))
    assert error(open_image(file)) < 2
    srgb = encoded(
        colorful(),
        kind,
        exif=exif,
        icc_profile=SRGB.tobytes(),
        **({"quality": 97, "subsampling": 0} if kind == "JPEG" else {}),
    )
    assert error(open_image(srgb)) < 2


def test_srgb_by_exif_is_left():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 1
    exif.get_ifd(0x8769)[0xA005] = {1: "R98"}
    assert error(open_image(encoded(colorful(), exif=exif))) == 0


def png16(values, *chunks):
    """A PNG of three channels of 16 bits, (height, width, 3) in 0..1, with chunks (name, data) before the pixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width, _ = values.shape
    levels = (values.clip(0, 1) * 65535).round().astype(">u2").reshape(height, -1)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in levels))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    middle = b"".join(chunk(*given) for given in chunks)
    return b"\x89PNG\r\n\x1a\n" + head + middle + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("primaries", "transfer"), [(9, "pq"), (9, "hlg"), (12, "pq"), (12, "srgb"), (9, "bt2020_10"), (1, "linear")]
)
def test_png_cicp(primaries, transfer):
    code = CODES[transfer]
    values = signal(in_primaries(light(colorful()), primaries), code)
    cicp = (b"cICP", bytes([primaries, code, 0, 1]))
    for others in ([], [(b"iCCP", b"p3\0\0" + zlib.compress(DISPLAY_P3))], [(b"gAMA", struct.pack(">I", 100_000))]):
        assert error(open_image(png16(values, *others, cicp))) < 3


def test_png_cicp_of_srgb_and_cut_short_changes_nothing():
    values = np.asarray(colorful()) / 255
    assert error(open_image(png16(values, (b"cICP", bytes([1, 13, 0, 1]))))) == 0
    assert error(open_image(png16(values, (b"cICP", bytes([2, 2, 0, 1]))))) == 0


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
@pytest.mark.parametrize(("primaries", "transfer"), [(9, "pq"), (9, "hlg"), (12, "srgb")])
def test_avif_and_heic_by_nclx(kind, primaries, transfer):
    code = CODES[transfer]
    values = signal(in_primaries(light(colorful()), primaries), code)
    there = Image.fromarray((values * 255).round().astype(np.uint8))
    options = {"subsampling": "4:4:4"} if kind == "AVIF" else {"chroma": 444}
    file = encoded(there, kind, quality=98, **options)
    at = file.index(b"colrnclx") + 8
    shown = open_image(file[:at] + struct.pack(">HH", primaries, code) + file[at + 4 :])
    assert error(shown) < 4


def test_hdr_by_a_profile_that_names_its_codes():
    values = signal(in_primaries(light(colorful()), 9), CODES["pq"])
    profile = icc_profile(((0.67, 0.28, 0), (0.17, 0.67, 0.03), (0.12, 0.05, 0.79)), 2.2, codes=(9, CODES["pq"]))
    assert error(open_image(png16(values, (b"iCCP", b"pq\0\0" + zlib.compress(profile))))) < 3


ADOBE_CHRM = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


@pytest.mark.parametrize(
    ("gamma", "chromaticities", "profile"),
    [(100_000, None, None), (55_556, None, None), (45_455, ADOBE_CHRM, ADOBE), (None, ADOBE_CHRM, ADOBE)],
)
def test_png_gamma_and_chromaticities(gamma, chromaticities, profile):
    values = light(colorful()) ** (gamma / 100_000) if profile is None else np.asarray(stored(profile)) / 255
    chunks = [(b"gAMA", struct.pack(">I", gamma))] if gamma else []
    if chromaticities:
        chunks.append((b"cHRM", struct.pack(">8I", *(round(x * 100_000) for x in chromaticities))))
    assert error(open_image(png16(values, *chunks))) < 3
    with_srgb = png16(np.asarray(colorful()) / 255, (b"sRGB", b"\0"), *chunks)
    assert error(open_image(with_srgb)) == 0


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"gAMA", struct.pack(">I", 45_455))],
        [(b"gAMA", struct.pack(">I", 0))],
        [(b"gAMA", struct.pack(">I", 1))],
        [(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))],
        [(b"cHRM", struct.pack(">8I", *[0] * 8))],
        [(b"cHRM", struct.pack(">8I", *[50000] * 8))],
        [(b"gAMA", struct.pack(">I", 45_455)), (b"cHRM", struct.pack(">8I", *[4_000_000_000] * 8))],
    ],
)
def test_png_gamma_that_changes_nothing(chunks):
    assert error(open_image(png16(np.asarray(colorful()) / 255, *chunks))) == 0


def press_profile():
    """A profile of CMYK whose table "A2B0" (lut8, ICC.1:2022, 10.11) has a color for each of the 16 corners."""
    corners = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    lab = bytes(
        value
        for c, m, y, k in corners
        for value in (max(255 - 80 * (c + m + y) // 1 - 200 * k, 0) if c + m + y < 4 else 0, 128, 128)
    )
    identity = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table += identity * 4 + lab + identity * 3
    table += b"\0" * (-len(table) % 4)
    desc = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"w\0" + b"\0" * 78
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    body = {b"desc": desc, b"wtpt": white, b"cprt": b"text\0\0\0\0none\0\0\0\0", b"A2B0": table}
    offset, index, data = 128 + 4 + 12 * len(body), struct.pack(">I", len(body)), b""
    for name, value in body.items():
        index += name + struct.pack(">II", offset + len(data), len(value))
        data += value + b"\0" * (-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", offset + len(data), b"\0" * 4, 0x02400000, b"prtr", b"CMYK", b"Lab ")
    head += b"\0" * 12 + b"acsp" + b"\0" * 28 + struct.pack(">3i", 63190, 65536, 54061) + b"\0" * 48
    return head + index + data
