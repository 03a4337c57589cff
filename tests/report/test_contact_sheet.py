"""The contact sheet: one file, nothing fetched, nothing run."""

import base64
import io
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.errors import UsageError
from sightline.report.contact_sheet import Card, CardGroup, cards, small_image, write_sheet
from sightline.search import Result
from support.videos import colored


class Sheet(HTMLParser):
    """What a browser would see: tags with their attributes, and the text."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def jpeg(size=(30, 20), kind="JPEG"):
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, kind)
    return buffer.getvalue()


HOSTILE = [
    '/p/"><script>alert(1)</script>.jpg',
    "/p/' onerror='alert(1).jpg",
    "/p/&amp;<b>bold.jpg",
    "/p/new\nline\x1b[31m.jpg",
    "/p/\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe",
    os.fsdecode(b"/p/\xff\xfe.jpg"),
    "/p/照片 é.jpg",
    "/p/{style} %s {0}.jpg",
]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_pictures_are_inside(tmp_path, kind):
    data = jpeg((30, 20), kind)
    section = CardGroup("“dog”", [Card("/p/a.jpg", 0.31234, data, "30 × 20")], "1 of 5", [data])
    write_sheet(tmp_path / "sheet.html", "dog", [section])
    sheet = Sheet(tmp_path / "sheet.html")
    example, shown = sheet.all("img")
    for image in (example, shown):
        head, body = image["src"].split(",", 1)
        assert head == f"data:image/{kind.lower()};base64"
        assert base64.b64decode(body) == data
        assert image["alt"]
    assert (shown["width"], shown["height"]) == ("30", "20")
    for words in ("“dog”", "1 of 5", "a.jpg", "/p", "0.312", "30 × 20"):
        assert words in sheet.text
    assert list(tmp_path.iterdir()) == [tmp_path / "sheet.html"]


def test_nothing_is_fetched_and_nothing_runs(tmp_path):
    write_sheet(tmp_path / "sheet.html", "x", [CardGroup("x", [Card("/p/a.jpg", 0.3, jpeg())])])
    html = (tmp_path / "sheet.html").read_text()
    assert "default-src 'none'" in html
    assert not re.search(r"<(script|link|iframe|object|embed)|https?:|url\(|@import|\son\w+=", html)


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_names_are_only_text(tmp_path, path):
    write_sheet(tmp_path / "sheet.html", path, [CardGroup(path, [Card(path, 0.3, jpeg(), path)], path)])
    sheet = Sheet(tmp_path / "sheet.html")
    assert {tag for tag, _ in sheet.tags} <= {
        "html", "head", "meta", "title", "style", "body", "main", "section", "header", "div", "h1", "p", "ol", "li",
        "a", "img", "b", "bdi", "data", "footer",
    }  # fmt: skip
    assert not [name for _, attributes in sheet.tags for name in attributes if name.startswith("on")]
    assert sheet.all("a") == [{"href": Path(path).as_uri()}]
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ud800-\udfff]", (tmp_path / "sheet.html").read_text("utf-8"))


def test_several_sections_none_found_and_no_picture(tmp_path):
    sections = [CardGroup("one", [Card("/p/a.jpg", -0.1, b"")]), CardGroup("two", [])]
    write_sheet(tmp_path / "sheet.html", "both", sections)
    sheet = Sheet(tmp_path / "sheet.html")
    assert (len(sheet.all("h1")), len(sheet.all("h2"))) == (1, 2)
    assert "both" in sheet.text.split("one")[0]
    assert "no image" in sheet.text
    assert "Nothing found." in sheet.text


def test_cards_show_the_tables_thumbnail_else_the_file(tmp_path, make_table):
    Image.new("RGB", (900, 600), "red").save(tmp_path / "00001.jpg")
    table = make_table(np.eye(4)[:3], folder=tmp_path, facts=lambda i: {} if i == 0 else {"thumbnail": None})
    results = [Result(i + 1, 0.5, str(tmp_path / f"{i:05}.jpg"), "image", None, None, i) for i in (1, 0, 2)]
    drawn, stored, missing = cards(table, results)
    with Image.open(io.BytesIO(drawn.image)) as image:
        assert image.size == (320, 213)
    with Image.open(io.BytesIO(stored.image)) as image:
        assert image.size == (6, 4)
    assert missing.image == b""
    assert missing.remark == "600 × 400, 1 KB"


def test_a_moment_opens_its_film_there(tmp_path):
    card = Card("/f/a & b.mp4", 0.3, jpeg(), start=3599.5, end=3671.25)
    write_sheet(tmp_path / "sheet.html", "x", [CardGroup("x", [card])])
    sheet = Sheet(tmp_path / "sheet.html")
    assert sheet.all("a") == [{"href": "file:///f/a%20%26%20b.mp4#t=3599.500,3671.250"}]
    assert "59:59–1:01:12" in sheet.text


def test_a_moments_card_shows_its_frame(tmp_path, make_table):
    colored(tmp_path / "a.mp4", [("red", 1), ("lime", 1), ("blue", 1)], size=(640, 480))
    moment = {"uri": str(tmp_path / "a.mp4"), "kind": "moment", "start": 1, "end": 2, "moments": 1}
    table = make_table(np.eye(4)[:1], facts=lambda i: {**moment, "thumbnail": None})
    (card,) = cards(table, [Result(1, 0.5, str(tmp_path / "a.mp4"), "moment", 1.0, 2.0, 0)])
    assert (card.start, card.end) == (1, 2)
    with Image.open(io.BytesIO(card.image)) as image:
        assert image.size == (320, 240)
        color = image.resize((1, 1)).getpixel((0, 0))
        assert color[1] > 2 * max(color[0], color[2]), "a frame of that moment, drawn from the film"
    assert small_image(tmp_path / "none.mp4") == b""


def test_a_sheet_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    file = tmp_path / "sheet.html"
    file.write_text("<!DOCTYPE html>old")

    def fail(self, *_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(UsageError, match=r"sheet\.html.*disk full"):
        write_sheet(file, "x", [])
    assert file.read_text() == "<!DOCTYPE html>old"
    assert list(tmp_path.iterdir()) == [tmp_path / "sheet.html"]
    with pytest.raises(UsageError, match="no folder"):
        write_sheet(tmp_path / "none" / "sheet.html", "x", [])


def test_a_picture_that_cannot_be_read_is_empty(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    assert small_image(tmp_path / "text.jpg") == b""
    assert small_image(tmp_path / "none.jpg") == b""


@pytest.mark.parametrize("name", ["photo.jpg", "notes.html"])
def test_no_file_is_lost_but_a_page(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"precious")
    with pytest.raises(UsageError, match="would be lost"):
        write_sheet(file, "title", [])
    assert file.read_bytes() == b"precious"
    with pytest.raises(UsageError, match="is a folder"):
        write_sheet(tmp_path, "title", [])
    file.unlink()
    write_sheet(file, "title", [])
    write_sheet(file, "another", [])
    assert "another" in file.read_text()


def test_a_card_without_a_score_is_no_ranked_result(tmp_path):
    for score, data in ((None, []), (0.25, [{"value": "0.250000"}])):
        write_sheet(tmp_path / "sheet.html", "sheet", [CardGroup("parts", [Card("/p/a.jpg", score, jpeg())])])
        sheet = Sheet(tmp_path / "sheet.html")
        assert sheet.all("data") == data
        assert len(sheet.all("b")) == len(data)
