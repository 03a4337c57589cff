"""RAW, JPEG XL and JPEG 2000: read where their packages are there, named with what to install where they are not."""

import io
import logging
import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from sightline.distribution import install
from sightline.errors import ImageError
from sightline.processing.image import formats, raw
from sightline.processing.image.jxl import jxl_size
from sightline.processing.image.raw import is_raw
from sightline.processing.image.reading import open_image
from sightline.processing.metadata import read_image_metadata
from sightline.processing.suffixes import IMAGE_SUFFIXES, RAW_SUFFIXES, is_image
from support.colors import colorful
from support.raw import dng

rawpy = pytest.importorskip("rawpy")
pytest.importorskip("pillow_jxl")

JPEG_ORIENTATIONS = {
    1: None,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_270,
    8: Image.Transpose.ROTATE_90,
}


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def error(shown, picture):
    return np.abs(np.asarray(shown, float) - np.asarray(picture)).mean()


@pytest.mark.parametrize("orientation", JPEG_ORIENTATIONS)
def test_the_preview_of_raw_upright(orientation):
    preview = colorful(900, 600)
    turn = JPEG_ORIENTATIONS[orientation]
    data = dng(Image.new("RGB", (1200, 800)), preview, orientation)
    assert rawpy.imread(io.BytesIO(data)).extract_thumb().format == rawpy.ThumbFormat.JPEG
    shown = open_image(data)
    upright = preview.transpose(turn) if turn is not None else preview
    assert error(shown, upright) < 2
    assert shown.info["full_size"] == ((1200, 800) if orientation in (1, 3) else (800, 1200))
    assert open_image(data, orient=False).size == (900, 600)
    assert open_image(data, short_side=100).size in ((225, 150), (150, 225))


@pytest.mark.parametrize("orientation", JPEG_ORIENTATIONS)
@pytest.mark.parametrize("preview", [None, (160, 106)])
def test_raw_without_a_large_preview_is_developed(orientation, preview):
    picture = colorful(192, 128)
    data = dng(picture, None if preview is None else colorful(*preview), orientation)
    shown = open_image(data)
    turn = JPEG_ORIENTATIONS[orientation]
    half = picture.resize((96, 64), Image.Resampling.BOX)
    assert error(shown, half.transpose(turn) if turn is not None else half) < 25  # LibRaw makes it brighter
    assert shown.info["full_size"] == ((192, 128) if orientation in (1, 3) else (128, 192))


def test_what_raw_says(tmp_path):
    path = tmp_path / "IMG_1.DNG"
    path.write_bytes(dng(colorful(), orientation=6, date="2024:05:06 07:08:09", model="Model 7"))
    record = read_image_metadata(path)
    assert (record.taken.isoformat(), record.camera_model, record.orientation) == ("2024-05-06T07:08:09", "Model 7", 6)


def test_olympus_and_fujifilm_say_it_too(tmp_path):
    plain = dng(colorful())
    (tmp_path / "a.orf").write_bytes(b"IIRO" + plain[4:])
    assert read_image_metadata(tmp_path / "a.orf").camera_make == "Sightline"
    exif = Image.Exif()
    exif[0x010F] = "Fuji"
    jpeg = encoded(colorful(), "JPEG", exif=exif)
    (tmp_path / "a.raf").write_bytes(
        b"FUJIFILMCCD-RAW ".ljust(84, b"0") + struct.pack(">II", 100, len(jpeg)) + b"0" * 8 + jpeg
    )
    assert read_image_metadata(tmp_path / "a.raf").camera_make == "Fuji"


def test_canon_cr3_says_it_in_boxes(tmp_path):
    def box(name, fields):
        exif = Image.Exif()
        exif.update(fields)
        data = exif.tobytes()[6:]
        return struct.pack(">I4s", 8 + len(data), name) + data

    boxes = box(b"CMT1", {0x0110: "EOS R"}) + box(b"CMT2", {0x9003: "2024:05:06 07:08:09", 0x8827: 400})
    data = struct.pack(">I8s", 24, b"ftypcrx ") + b"\0" * 12 + boxes
    (tmp_path / "a.cr3").write_bytes(data)
    record = read_image_metadata(tmp_path / "a.cr3")
    assert (record.camera_model, record.iso, record.taken.year) == ("EOS R", 400, 2024)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP"])
def test_other_files_are_no_raw(kind):
    data = encoded(colorful(), kind)
    assert not is_raw(io.BytesIO(data), data[:16])
    large = encoded(colorful(), "TIFF", compression="tiff_lzw")
    assert not is_raw(io.BytesIO(large), large[:16])


@pytest.mark.parametrize("name", ["a.cr2", "a.NEF", "a.dng", "a.jxl", "a.jp2", "a.J2K", "a.jpx", "a.avif"])
def test_they_are_listed(name):
    assert is_image(name)
    assert IMAGE_SUFFIXES > RAW_SUFFIXES


def test_without_their_packages_they_are_named(monkeypatch):
    monkeypatch.setattr(raw, "_HAS_RAWPY", False)
    monkeypatch.setattr(formats, "HAS_JXL", False)
    with pytest.raises(ImageError, match="rawpy.*" + re.escape(install("raw"))):
        open_image(dng(colorful()))
    with pytest.raises(ImageError, match="pillow-jxl-plugin.*" + re.escape(install("jxl"))):
        open_image(JXL)


JXL = b"\xff\x0a" + bytes.fromhex("31070013880200 3c81060c00000000b59f20".replace(" ", ""))


@pytest.mark.parametrize("size", [(8, 8), (40, 80), (300, 200), (1920, 1080), (257, 3)])
@pytest.mark.parametrize("container", [False, True])
def test_jpeg_xl(size, container):
    picture = colorful(*size)
    data = encoded(picture, "JXL", lossless=True, effort=1, use_container=container)
    assert jxl_size(data) == size
    shown = open_image(data)
    assert np.array_equal(np.asarray(shown), np.asarray(picture))
    assert shown.info["full_size"] == size


def test_a_large_jpeg_xl_is_not_decoded():
    data = encoded(Image.new("RGB", (300, 200)), "JXL", effort=1)
    large = bytearray(data)
    # 60,000 x 60,000, each as 1 + 18 bits (annex D): not small, height, ratio 0, width.
    bits = 0 | 2 << 1 | 59_999 << 3 | 0 << 21 | 2 << 24 | 59_999 << 26
    large[2:8] = bits.to_bytes(6, "little")
    with pytest.raises(ImageError, match="60000 x 60000 pixels are too many"):
        open_image(bytes(large))


def test_exif_of_jpeg_xl_and_what_it_does_not_turn(tmp_path):
    exif = Image.Exif()
    exif[0x0110], exif[0x0112], exif[0x0132] = "Model 8", 6, "2024:05:06 07:08:09"
    path = tmp_path / "a.jxl"
    colorful().save(path, exif=exif.tobytes(), use_container=True)
    assert open_image(path).size == (64, 48)
    record = read_image_metadata(path)
    assert (record.camera_model, record.taken.isoformat()) == ("Model 8", "2024-05-06T07:08:09")


@pytest.mark.parametrize("suffix", [".jp2", ".j2k", ".jpx"])
def test_jpeg_2000(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    colorful().save(path, "JPEG2000", no_jp2=suffix == ".j2k")
    assert np.array_equal(np.asarray(open_image(path)), np.asarray(colorful()))
    read_image_metadata(path)


def test_exif_of_jpeg_2000(tmp_path):
    exif = Image.Exif()
    exif[0x0110] = "Model 9"
    data = encoded(colorful(), "JPEG2000")
    content = b"JpgTiffExif->JP2" + exif.tobytes()[6:]
    at = data.index(b"jp2c") - 4
    with_exif = data[:at] + struct.pack(">I4s", 8 + len(content), b"uuid") + content + data[at:]
    (tmp_path / "a.jp2").write_bytes(with_exif)
    assert read_image_metadata(tmp_path / "a.jp2").camera_model == "Model 9"
    assert np.array_equal(np.asarray(open_image(tmp_path / "a.jp2")), np.asarray(colorful()))


KINDS = {
    ".dng": dng(colorful(), colorful(32, 24)),
    ".jxl": encoded(colorful(), "JXL", effort=1),
    ".jp2": encoded(colorful(), "JPEG2000"),
}


def outcome(source):
    """What `open_image` gives or says."""
    try:
        return open_image(source).mode
    except ImageError as error:
        return str(error)


@pytest.mark.parametrize("suffix", KINDS)
def test_broken_files_are_named(tmp_path, suffix):
    whole = KINDS[suffix]
    path = tmp_path / f"a{suffix}"
    for length in range(1, len(whole), len(whole) // 12):
        path.write_bytes(whole[:length])
        read_image_metadata(path)
        assert "vendored" not in outcome(path)


@given(st.sampled_from(sorted(KINDS)), st.data())
@settings(max_examples=60)
def test_changed_bytes_are_an_image_or_an_image_error(suffix, data):
    changed = bytearray(KINDS[suffix])
    for _ in range(data.draw(st.integers(1, 8))):
        changed[data.draw(st.integers(0, min(len(changed), 400) - 1))] = data.draw(st.integers(0, 255))
    assert outcome(bytes(changed))


def test_a_nan_that_signals_is_no_warning():
    bits = np.full((4, 4), 0x3F000000, np.uint32)
    bits[0, 0] = 0x7F800001
    assert open_image(Image.fromarray(bits.view(np.float32))).getpixel((0, 0)) == (0, 0, 0)


def test_pillows_log_stays_silent():
    with pytest.raises(ImageError):
        open_image(b"no image")
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("PIL").handlers)


def test_a_view_of_bytes_with_gaps_is_read():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(buffer, "PNG")
    spread = bytes(byte for value in buffer.getvalue() for byte in (value, 0))
    assert open_image(memoryview(spread)[::2]).getpixel((0, 0)) == (255, 0, 0)


def test_an_empty_name():
    with pytest.raises(ImageError, match="an empty name: no file has it"):
        open_image("")


@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt"])
def test_a_png_is_not_given_up_for_a_large_profile_or_text(kind):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(buffer, "PNG")
    png, content = buffer.getvalue(), kind + b"x\0\0" + zlib.compress(bytes(3 << 20))
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    assert open_image(png[:33] + chunk + png[33:]).getpixel((0, 0)) == (255, 0, 0)
