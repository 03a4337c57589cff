"""Whatever is handed in is a picture or an ImageError with a reason for people."""

import base64
import io
import os
import re
import struct
import subprocess
import sys
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image, ImageOps, PngImagePlugin
from transformers.image_utils import load_image as their_load_image

from sightline.distribution import install
from sightline.errors import ImageError
from sightline.processing.image import formats, reading as images
from sightline.processing.image.color import to_rgb
from sightline.processing.image.reading import PixelBudget, load_image, open_image
from sightline.processing.suffixes import IMAGE_SUFFIXES
from support.examples import examples

pillow_heif = pytest.importorskip("pillow_heif")
pillow_heif.register_heif_opener()

FORMATS = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "AVIF": ".avif",
    "GIF": ".gif",
    "TIFF": ".tif",
    "BMP": ".bmp",
    "HEIF": ".heic",
}
ORIENTATION, DATE = 0x0112, 0x0132
# What an upright picture looks like in the file that carries each orientation: EXIF 2.32, 4.6.4 A.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def scene(width=96, height=64):
    """Four fields of different colors: no turn or flip leaves it as it is."""
    array = np.zeros((height, width, 3), np.uint8)
    array[: height // 2, : width // 2] = (220, 40, 30)
    array[: height // 2, width // 2 :] = (30, 200, 60)
    array[height // 2 :, : width // 2] = (40, 60, 210)
    array[height // 2 :, width // 2 :] = (230, 220, 60)
    return Image.fromarray(array)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def corners(image):
    width, height = image.size
    return [image.getpixel((x, y)) for y in (height // 8, height * 7 // 8) for x in (width // 8, width * 7 // 8)]


def same_scene(image, tolerance=24):
    return np.abs(np.array(corners(image)) - np.array(corners(scene()))).max() <= tolerance


def exif_bytes(orientation):
    exif = Image.Exif()
    exif[ORIENTATION], exif[DATE] = orientation, "2020:02:02 20:20:20"
    return exif.tobytes()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_from_a_path_and_from_bytes(kind, tmp_path):
    data = encoded(scene(), kind)
    path = tmp_path / f"picture{FORMATS[kind]}"
    path.write_bytes(data)
    for source in (path, str(path), data):
        image = open_image(source)
        assert image.mode == "RGB"
        assert image.size == image.info["full_size"] == (96, 64)
        assert same_scene(image)
    assert FORMATS[kind] in IMAGE_SUFFIXES


@pytest.mark.parametrize("kind", FORMATS)
def test_the_contents_count_not_the_suffix(kind, tmp_path):
    path = tmp_path / "picture.txt"
    path.write_bytes(encoded(scene(), kind))
    assert same_scene(open_image(path))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_cut_anywhere_is_a_picture_or_a_reason(kind):
    data = encoded(scene(), kind)
    for end in [*range(1, 40), *range(40, len(data), max(len(data) // 40, 1))]:
        try:
            open_image(data[:end])
        except ImageError as error:
            assert_for_people(error.reason)
    with pytest.raises(ImageError):
        open_image(data[: len(data) // 2])


@examples(400)
@given(
    kind=st.sampled_from(sorted(FORMATS)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12),
    head=st.booleans(),
)
def test_a_file_with_wrong_bytes_is_a_picture_or_a_reason(kind, changes, head):
    data = bytearray(WHOLE[kind])
    reach = min(len(data), 64) if head else len(data)
    for place, byte in changes:
        data[int(place * reach)] = byte
    try:
        assert open_image(bytes(data), short_side=16).mode == "RGB"
    except ImageError as error:
        assert_for_people(error.reason)


WHOLE = {
    kind: encoded(scene(), kind, **({} if kind in ("GIF", "BMP") else {"exif": exif_bytes(6)})) for kind in FORMATS
}


def assert_for_people(reason):
    assert 5 < len(reason) < 200
    assert not re.search(r"\b(Error|Exception|Traceback)\b|0x[0-9a-f]{5}|b'|<class|\n", reason), reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", STORED)
def test_orientation_is_followed_unless_told_otherwise(kind, orientation):
    stored = scene() if STORED[orientation] is None else scene().transpose(STORED[orientation])
    data = encoded(stored, kind, exif=exif_bytes(orientation))
    image = open_image(data)
    assert image.size == image.info["full_size"] == (96, 64)
    assert same_scene(image)
    assert open_image(image).size == (96, 64), "what was followed is gone"
    assert same_scene(open_image(image))
    assert same_scene(load_image(io_image(data)))
    if kind not in ("TIFF", "HEIF"):  # Pillow's own readers turn these
        flat = open_image(data, orient=False)
        assert flat.size == flat.info["full_size"] == stored.size
        np.testing.assert_array_equal(corners(flat), corners(io_image(data).convert("RGB")))


def io_image(data):
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP"])
def test_the_date_in_exif_survives(kind, orientation):
    image = open_image(encoded(scene(), kind, exif=exif_bytes(orientation)))
    exif = image.getexif()
    assert exif[DATE].startswith("2020:02:02")
    assert ORIENTATION not in exif or exif[ORIENTATION] == 1


def test_orientation_in_xmp_is_followed_once():
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    image = open_image(encoded(scene().transpose(STORED[6]), "PNG", pnginfo=info))
    assert same_scene(image)
    assert same_scene(open_image(image))


BROKEN_EXIF = [
    b"Exif\0\0",
    b"Exif\0\0MM\0*",
    b"Exif\0\0II*\0\xff\xff\xff\xff",
    b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\xff\xff\xff\xff\xff\xff\xff\xff" * 3,
    b"Exif\0\0nothing of the kind",
    b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04six\0",
    b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0",
]


@pytest.mark.parametrize("exif", BROKEN_EXIF)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_does_not_lose_the_picture(kind, exif):
    if kind != "JPEG":
        exif = exif.removeprefix(b"Exif\0\0") or b"?"
    try:
        data = encoded(scene(), kind, exif=exif)
    except OSError:
        pytest.skip("the encoder refuses to write this")
    image = open_image(data)
    assert same_scene(image)
    image.getexif()
    assert same_scene(load_image("data:image/x;base64," + base64.b64encode(data).decode()))


def test_pillows_warnings_are_silent_and_the_one_of_bombs_stays(monkeypatch):
    tiff = encoded(scene(), "TIFF", tiffinfo={270: "a description that is there " * 4})
    broken = tiff.replace(struct.pack("<HHI", 270, 2, 113), struct.pack("<HHI", 270, 2, 1 << 20))
    assert broken != tiff
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        io_image(broken).load()
        assert caught, "the file is to make Pillow warn"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same_scene(open_image(broken))
        with pytest.raises(UserWarning, match="mine"):
            warnings.warn("mine", UserWarning, stacklevel=1)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 96 * 64 - 1)
        with pytest.raises(Image.DecompressionBombWarning):
            io_image(tiff)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of(width, height):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def bmp_of(width, height):
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def gif_of(width, height):
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0" * 6 + b"," + b"\0" * 20


@pytest.mark.parametrize("data", [png_of(100_000, 100_000), png_of(2**31 - 1, 1), bmp_of(60_000, 60_000)])
def test_a_decompression_bomb_is_refused_by_its_header(data):
    with pytest.raises(ImageError, match=r"\d+ x \d+ pixels are too many"):
        open_image(data)


def test_a_bomb_in_a_frame():
    with pytest.raises(ImageError):
        open_image(gif_of(65_535, 65_535))


def test_of_a_jpeg_read_at_reduced_scale_what_is_decoded_counts(monkeypatch):
    data = encoded(scene(960, 640), "JPEG")
    monkeypatch.setattr(images, "MAX_PIXELS", 400_000)
    assert open_image(data, short_side=40).size == (120, 80)
    for short_side in (None, 400):
        with pytest.raises(ImageError, match="960 x 640 pixels are too many"):
            open_image(data, short_side=short_side)
    monkeypatch.setattr(images, "MAX_PIXELS", 300_000)
    with pytest.raises(ImageError, match="960 x 640 pixels are too many"):
        open_image(data, short_side=40)


@pytest.mark.parametrize("size", [(960, 640), (641, 961), (3_000, 200), (97, 1_203)])
@pytest.mark.parametrize("short_side", [1, 20, 53, 54, 107, 224, 10_000])
def test_a_reduced_jpeg_keeps_half_as_much_again(size, short_side):
    image = open_image(encoded(scene(*size), "JPEG"), short_side=short_side)
    assert image.info["full_size"] == size
    assert same_scene(image)
    assert min(image.size) >= min(1.5 * short_side, min(size))
    assert min(image.size) < 2 * 1.5 * short_side + 1 or image.size in (size, tuple(-(-side // 8) for side in size))


def test_a_turned_jpeg_says_its_full_size_upright():
    image = open_image(encoded(scene(960, 640).transpose(STORED[6]), "JPEG", exif=exif_bytes(6)), short_side=40)
    assert image.size == (120, 80)
    assert image.info["full_size"] == (960, 640)
    assert same_scene(image)


def test_the_full_size_of_what_is_square_only_when_reduced():
    image = open_image(encoded(scene(808, 801).transpose(STORED[6]), "JPEG", exif=exif_bytes(6)), short_side=40)
    assert image.size == (101, 101)
    assert image.info["full_size"] == (808, 801)


@pytest.mark.parametrize("kind", sorted(FORMATS.keys() - {"JPEG"}))
def test_other_formats_are_never_reduced(kind):
    assert open_image(encoded(scene(), kind), short_side=2).size == (96, 64)


def named(tmp_path, name):
    path = tmp_path / name
    if name == "empty.jpg":
        path.write_bytes(b"")
    elif name == "text.jpg":
        path.write_text("This is no picture, whatever its name says.\n" * 20)
    elif name == "folder.jpg":
        path.mkdir()
    elif name == "dangling.jpg":
        path.symlink_to("nothing")
    elif name == "loop.jpg":
        path.symlink_to("loop.jpg")
    elif name == "pipe.jpg":
        os.mkfifo(path)
    elif name == "locked.jpg":
        path.write_bytes(encoded(scene(), "JPEG"))
        path.chmod(0)
    elif name == "cut.png":
        path.write_bytes(encoded(scene(), "PNG")[:-60])
    elif name == "inside/of.jpg":
        (tmp_path / "inside").write_text("a file")
    return path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty.jpg", "empty file"),
        ("text.jpg", "not an image"),
        ("folder.jpg", "a folder, not a file"),
        ("dangling.jpg", "a link to nothing"),
        ("loop.jpg", "a loop of links"),
        ("pipe.jpg", "a pipe or device"),
        ("locked.jpg", "no permission to read it"),
        ("cut.png", "PNG cut short"),
        ("missing.jpg", "no such file"),
        ("inside/of.jpg", "not a directory"),
        ("x" * 300 + ".jpg", "file name too long"),
        ("nul\0.jpg", "no name that a file can have"),
        ("not utf-8 \udcff.jpg", "no such file"),
    ],
)
def test_what_can_not_be_read_has_its_reason(tmp_path, name, reason):
    path = named(tmp_path, name)
    if name == "locked.jpg" and os.access(path, os.R_OK):
        pytest.skip("whoever runs this may read everything")
    with pytest.raises(ImageError, match=re.escape(reason)) as caught:
        open_image(path)
    assert caught.value.source == os.fsencode(path).decode("utf-8", "replace")
    assert_for_people(caught.value.reason)


def test_heic_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(formats, "_HAS_HEIF", False)
    monkeypatch.setattr(formats, "_FORMATS", tuple(name for name in formats._FORMATS if name != "HEIF"))
    heic = encoded(scene(), "HEIF")
    for data in (heic, heic[:8] + b"mif1" + heic[12:]):
        with pytest.raises(ImageError, match=re.escape(install("heif"))):
            open_image(data)
    assert same_scene(open_image(encoded(scene(), "AVIF")))


@pytest.mark.system
def test_heic_is_looked_at_without_its_package(tmp_path):
    """In a process where `pillow_heif` can't be imported: named as files worth opening, each with its reason."""
    heic = encoded(scene(), "HEIF")
    for brand in (b"heic", b"mif1", b"msf1"):
        (tmp_path / f"{brand.decode()}.heic").write_bytes(heic[:8] + brand + heic[12:])
    avif = encoded(scene(), "AVIF")
    (tmp_path / "avif.hif").write_bytes(avif[:8] + b"mif1" + avif[12:])
    code = """if True:
        import sys
        from pathlib import Path
        sys.modules["pillow_heif"] = None
        from sightline.errors import ImageError
        from sightline.processing.image.reading import open_image
        from sightline.processing.suffixes import IMAGE_SUFFIXES
        assert IMAGE_SUFFIXES >= {".heic", ".heif", ".hif"}
        for path in sorted(Path(sys.argv[1]).iterdir()):
            try:
                print(path.name, open_image(path).size)
            except ImageError as error:
                print(path.name, error.reason)
    """
    run = subprocess.run([sys.executable, "-c", code, tmp_path], check=True, capture_output=True, text=True)
    needs = f"HEIC needs the package pillow-heif: {install('heif')}"
    assert run.stdout.splitlines() == [
        "avif.hif (96, 64)",
        f"heic.heic {needs}",
        f"mif1.heic {needs}",
        f"msf1.heic {needs}",
    ]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first(kind):
    frames = [scene(), Image.new("RGB", (96, 64), "black"), Image.new("RGB", (96, 64), "white")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert io_image(data).n_frames == 3
    assert same_scene(open_image(data))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (30_000, 10)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_odd_sizes(kind, size):
    assert open_image(encoded(Image.new("RGB", size, "teal"), kind), short_side=224).size == size


def test_many_threads_at_once():
    sources = [encoded(scene(), kind) for kind in FORMATS] + [b"", b"text", encoded(scene(), "PNG")[:-60]]

    def read(source):
        try:
            return open_image(source).tobytes()
        except ImageError as error:
            return error.reason

    expected = [read(source) for source in sources]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, sources * 20)) == expected * 20


def test_only_so_many_pixels_are_decoded_at_a_time(monkeypatch):
    inside, most = [], []

    def watched(picture):
        inside.append(picture)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return to_rgb(picture)

    monkeypatch.setattr(images, "to_rgb", watched)
    for pixels, together in ((96, 1), (96 * 64 * 2 - 1, 1), (96 * 64 * 3, 3)):
        most.clear()
        monkeypatch.setattr(images, "_budget", PixelBudget(pixels))
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(open_image, [encoded(scene(), "PNG")] * 24))
        assert max(most) == together


def test_a_picture_that_is_open_already():
    image = scene()
    assert open_image(image) is image
    lazy = io_image(encoded(scene().transpose(STORED[8]), "JPEG", exif=exif_bytes(8)))
    assert same_scene(open_image(lazy))
    assert open_image(lazy, orient=False).size == (64, 96)
    with pytest.raises(ImageError, match="cut short"):
        open_image(io_image(encoded(scene(), "PNG")[:-60]))


SOURCES = {
    "oriented": encoded(scene().transpose(STORED[6]), "JPEG", exif=exif_bytes(6)),
    "transparent": encoded(scene().convert("RGBA").rotate(30), "PNG"),
    "palette": encoded(scene().quantize(8), "PNG", transparency=2),
    "deep": encoded(Image.fromarray(np.arange(96 * 64, dtype=np.uint16).reshape(64, 96)), "PNG"),
    "cmyk": encoded(scene().convert("CMYK"), "JPEG"),
    "grey": encoded(scene().convert("LA"), "PNG"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_load_image_is_the_references(name, tmp_path):
    path = tmp_path / "picture"
    path.write_bytes(SOURCES[name])
    text = base64.b64encode(SOURCES[name]).decode()
    expected = their_load_image(str(path))
    for source in (path, str(path), text, f"data:image/png;base64,{text}", io_image(SOURCES[name])):
        ours = load_image(source)
        assert ours.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(expected))


@pytest.mark.parametrize(
    "source", ["no/such/file.jpg", "cats", "data:image/png;base64,?", "ftp://example.org/a.png", ""]
)
def test_load_image_of_nothing_names_it(source):
    with pytest.raises(ImageError) as caught:
        load_image(source)
    assert caught.value.source == (source or "an empty name")


def test_load_image_says_what_was_wrong_in_text_of_any_length():
    with pytest.raises(ImageError, match="not an image") as caught:
        load_image(base64.b64encode(b"no picture " * 10_000).decode())
    assert len(str(caught.value)) < 300


def test_upright_pictures_are_those_of_pillow():
    for orientation, turn in STORED.items():
        stored = scene() if turn is None else scene().transpose(turn)
        data = encoded(stored, "PNG", exif=exif_bytes(orientation))
        np.testing.assert_array_equal(np.asarray(open_image(data)), np.asarray(ImageOps.exif_transpose(io_image(data))))


@pytest.mark.shared
def test_every_hard_file_is_a_picture_or_has_a_reason(shared):
    files = [path for path in sorted((shared / "data" / "hard").rglob("*")) if path.is_file()]
    read = 0
    for path in files:
        try:
            assert open_image(path, short_side=224).mode == "RGB"
            read += 1
        except ImageError as error:
            assert_for_people(error.reason)
    assert read > 340


def test_libtiff_keeps_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    """Its own lines about a broken file would run into a progress bar."""
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(whole, "TIFF", compression="tiff_lzw")
    holed = whole.getvalue()[:100] + bytes(2000) + whole.getvalue()[2100:]
    with pytest.raises(ImageError):
        open_image(holed)
    assert capfd.readouterr().err == ""
