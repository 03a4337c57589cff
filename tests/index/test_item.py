"""What an index knows of a file: facts, size, time taken."""

import hashlib
import io
import os
from datetime import datetime

import pytest
from PIL import Image

from sightline.errors import ImageError
from sightline.index import item as module
from sightline.index.item import ImageItem
from support.encoders import FakeEncoder
from support.images import draw


def exif(**tags):
    data = Image.Exif()
    for name, value in tags.items():
        if name == "orientation":
            data[0x0112] = value
        elif name == "date":
            data[0x0132] = value
        else:
            data.get_ifd(0x8769)[{"original": 0x9003, "digitized": 0x9004}[name]] = value
    return data


@pytest.mark.parametrize("whole", [64 << 20, 0], ids=["at once", "in pieces"])
def test_the_facts_are_those_of_the_file(tmp_path, monkeypatch, whole):
    monkeypatch.setattr(module, "_READ_AT_ONCE", whole)
    monkeypatch.setattr(FakeEncoder, "size_hint", 224)
    path = draw(tmp_path / "a.jpg", 1, (600, 400), exif=exif(original="2021:03:04 05:06:07"))
    item = ImageItem(path)
    picture, facts = item.read(FakeEncoder())
    assert picture.mode == "RGB"
    assert facts.file.hash == hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    assert (facts.file.size, facts.file.mtime) == (path.stat().st_size, path.stat().st_mtime_ns)
    assert (facts.width, facts.height) == (600, 400)
    assert facts.metadata.taken == datetime(2021, 3, 4, 5, 6, 7)
    with Image.open(io.BytesIO(facts.thumbnail)) as thumbnail:
        assert thumbnail.size == (192, 128)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_as_the_picture_is_seen(tmp_path, orientation):
    item = ImageItem(draw(tmp_path / "a.jpg", 1, (60, 40), exif=exif(orientation=orientation)))
    picture, facts = item.read(FakeEncoder())
    assert (facts.width, facts.height) == picture.size == ((60, 40) if orientation < 5 else (40, 60))


@pytest.mark.parametrize(
    ("tags", "taken"),
    [
        ({}, None),
        ({"date": "2020:01:01 00:00:00"}, datetime(2020, 1, 1)),
        ({"digitized": "2019:01:01 00:00:00", "date": "2020:01:01 00:00:00"}, datetime(2019, 1, 1)),
        ({"original": "0000:00:00 00:00:00", "date": "2020:01:01 00:00:00"}, datetime(2020, 1, 1)),
        ({"original": "yesterday"}, None),
    ],
)
def test_the_time_taken_is_the_first_that_makes_sense(tmp_path, tags, taken):
    item = ImageItem(draw(tmp_path / "a.jpg", 1, exif=exif(**tags)))
    _, facts = item.read(FakeEncoder())
    assert facts.metadata.taken == taken


def test_broken_exif_does_not_cost_the_picture(tmp_path):
    item = ImageItem(draw(tmp_path / "a.jpg", 1, exif=b"Exif\0\0MM\0\x2a\0\0\0\x08\xff\xff" + bytes(range(256))))
    _, facts = item.read(FakeEncoder())
    assert (facts.width, facts.height, facts.metadata.taken) == (48, 32, None)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = draw(tmp_path / "a.png", 1)

    def open_slowly(*_):
        draw(path, 2)
        return Image.new("RGB", (8, 8))

    monkeypatch.setattr(FakeEncoder, "open_image", open_slowly)
    with pytest.raises(ImageError, match="changed while"):
        ImageItem(path).read(FakeEncoder())


@pytest.mark.parametrize("content", [b"", b"words"])
def test_what_is_no_picture_is_refused(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ImageError):
        ImageItem(tmp_path / "a.jpg").read(FakeEncoder())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_refused_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="not a file"):
        ImageItem(tmp_path / "a.jpg").read(FakeEncoder())
