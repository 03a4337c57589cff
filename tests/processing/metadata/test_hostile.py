"""Nothing that a file can hold raises, and a broken part loses no other."""

import json
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from PIL import Image

from sightline.processing.metadata import Metadata, read_image_metadata, read_video_metadata
from sightline.processing.metadata.exif import read_exif
from sightline.processing.metadata.sidecar import read_takeout
from sightline.processing.metadata.video import read_clock, read_tags
from sightline.processing.metadata.xmp import MAX_BYTES, Packet, read_xmp
from support.headers import alternatives, exif, jpeg, packet
from support.photos import made
from support.tagged_videos import film

HEADS = [b"", b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b"RIFF\x20\0\0\0WEBP", b"GIF89a", b"II*\0\x08\0\0\0"]
HEADS += [b"MM\0+\0\x08\0\0", b"\0\0\0\x18ftypheic", b"\0\0\0\x18ftypavis"]


@given(st.sampled_from(HEADS), st.binary(max_size=400))
def test_random_bytes(head, rest):
    assert isinstance(read_image_metadata(Path("random.jpg"), head + rest), Metadata)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    files = made(tmp_path_factory.mktemp("photos"))
    return [path.read_bytes() for path, _ in files if path.suffix in (".jpg", ".png", ".tif", ".heic", ".webp", ".gif")]


@given(st.data())
def test_damaged_files(images, tmp_path_factory, data):
    content = bytearray(data.draw(st.sampled_from(images)))
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, min(len(content), 1500) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    metadata = read_image_metadata(tmp_path_factory.getbasetemp() / "damaged.jpg", bytes(content))
    assert metadata.orientation in (None, *range(1, 9))
    assert metadata.latitude is None or -90 <= metadata.latitude <= 90
    json.dumps([metadata.caption, metadata.title, *metadata.keywords], ensure_ascii=False).encode()


@given(st.binary(max_size=60), st.lists(st.integers(0, 2**32 - 1), min_size=12, max_size=12))
def test_random_fields(text, numbers):
    """EXIF whose dates, coordinates and numbers are anything."""
    raw = struct.pack("<12I", *numbers)
    fields = {0x010E: text, 0x0132: text, 0x9003: text, 0x9286: text, 0x927C: b"Apple iOS\0\0\1MM" + text}
    fractions = {0x829A: 1, 0x829D: 1, 0x9201: 1, 0x920A: 1, 2: 3, 4: 3, 6: 1}
    entries = [(tag, 2, len(value), value) for tag, value in fields.items()]
    entries += [(tag, 5, count, raw[: 8 * count]) for tag, count in fractions.items()]
    entries += [(tag, 2, 2, ref) for tag, ref in ((1, b"N\0"), (3, b"E\0"))]
    record = Image.Exif()
    record.load(directory(entries))
    metadata = read_exif(record)
    assert metadata.exposure is None or 0 < metadata.exposure < float("inf")
    assert metadata.longitude is None or -180 <= metadata.longitude <= 180


def directory(entries):
    """A TIFF whose only directory is also that of the details and of GPS."""
    entries = sorted([*entries, (0x8769, 4, 1, struct.pack("<I", 8)), (0x8825, 4, 1, struct.pack("<I", 8))])
    head, values = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)), b""
    end = len(head) + 12 * len(entries) + 4
    for tag, kind, count, value in entries:
        inline = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", end + len(values))
        head += struct.pack("<HHI4s", tag, kind, count, inline)
        values += value if len(value) > 4 else b""
    return head + bytes(4) + values


@given(st.binary(max_size=200))
def test_random_iptc(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "iptc.jpg"
    for content in (data, b"\x1c\x02\x78" + data):
        jpeg(path, exif({0x0110: "Z"}), iptc=content)
        assert read_image_metadata(path).camera_model == "Z"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<>&\"'"), max_size=30))
def test_random_xmp_values(text):
    names = ("xmp:Rating", "exif:GPSLatitude", "exif:GPSLongitude", "exif:FNumber", "photoshop:DateCreated")
    names += ("GCamera:MicroVideoOffset", "tiff:Orientation", "exif:GPSAltitude")
    record = Packet(packet(alternatives("dc:title", x_default=text), " ".join(f'{name}="{text}"' for name in names)))
    assert read_xmp(record).rating in (None, *range(-1, 6))
    assert record.video_length() is None or record.video_length() > 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 100,
        packet()[:-300],
        b'<!DOCTYPE a [<!ENTITY e "x">]>' + packet(),
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + packet(),
        b"<a>" * 20 + b"</b>",
        packet("x" * MAX_BYTES),
    ],
)
def test_refused_xmp(data):
    with pytest.raises((ValueError, SyntaxError)):
        Packet(data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_encodings_of_xmp(encoding):
    text = packet(alternatives("dc:title", x_default="Brücke")).decode().replace("\ufeff", "")
    declared = f'<?xml version="1.0" encoding="{encoding}"?>\n{text}'
    assert read_xmp(Packet(declared.encode(encoding))).title == "Brücke"


JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5)


@given(st.dictionaries(st.sampled_from(["timestamp", "latitude", "longitude", "altitude", "name"]), JSON), JSON)
def test_random_json(tmp_path_factory, fields, text):
    path = tmp_path_factory.getbasetemp() / "random.json"
    names = ("photoTakenTime", "geoData", "geoDataExif")
    path.write_text(json.dumps(dict.fromkeys(names, fields) | {"people": [fields, text], "description": text}))
    assert isinstance(read_takeout(path), Metadata)


@given(
    st.dictionaries(st.sampled_from(["date", "creation_time", "location", "title", "keywords", "comment"]), st.text())
)
def test_random_tags(tags):
    for kind in ("mp4", "matroska", "avi"):
        assert isinstance(read_tags(tags, kind), Metadata)
        assert isinstance(read_clock(tags, kind), Metadata)


def test_halves_of_unicode_pairs_can_be_stored(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"photoTakenTime": {}, "description": "a \\ud83d\\ude00 and \\ud83d"}')
    assert read_takeout(path).caption.encode().decode() == "a \U0001f600 and \ufffd"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"[" * 100_000, b'{"photoTakenTime": []}', b"\xff\xfe"])
def test_broken_json_beside_an_image(tmp_path, content):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, exif=exif({0x0110: "Z"}))
    (tmp_path / "a.jpg.json").write_bytes(content)
    (tmp_path / "a.jpg.xmp").write_bytes(content)
    assert read_image_metadata(path) == Metadata(camera_model="Z")


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty.jpg").touch()
    for name in ("missing.jpg", "pipe.jpg", "empty.jpg", ".", "missing/a.jpg"):
        assert read_image_metadata(tmp_path / name) == read_video_metadata(tmp_path / name) == Metadata()


def test_a_video_cut_short_keeps_its_sidecar(tmp_path):
    path = tmp_path / "a.mp4"
    film(path)
    path.write_bytes(path.read_bytes()[:500])
    (tmp_path / "a.xmp").write_bytes(packet(attributes='xmp:Rating="3"'))
    assert read_video_metadata(path) == Metadata(rating=3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.jpg.json"])
def test_a_pipe_beside_an_image_is_not_waited_for(tmp_path, name):
    jpeg(tmp_path / "a.jpg", exif({0x010E: "A caption"}))
    os.mkfifo(tmp_path / name)
    assert read_image_metadata(tmp_path / "a.jpg").caption == "A caption"
