"""What a search prints of its results: what is gone, when it was taken, low scores, all scripts."""

import io
import json
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from sightline.cli import output
from sightline.files import json_text, read_json, write_json
from support.headers import exif, gps


def objects(out):
    return [json.loads(line) for line in out.split("\n")[:-1]]


def test_what_is_gone_is_marked(run, indexed):
    (indexed / "red.png").unlink()
    ran = run("search", "red", "-k", "3", "--html", "sheet.html")
    assert ran.status == 0
    marked = [line.endswith("(missing)") for line in ran.out.splitlines()]
    assert marked == [True, False, False]
    assert ran.err.count("1 file is missing") == 1
    assert "`sightline index`" in ran.err
    assert Path("sheet.html").read_text().count(">missing<") == 1
    found = objects(run("search", "red", "-k", "3", "--json").out)
    assert [item["missing"] for item in found] == [True, False, False]


def test_what_gives_no_answer_is_not_called_missing(run, indexed, monkeypatch):
    monkeypatch.setattr("sightline.search.presence._look", lambda *_: None)
    monkeypatch.setattr("sightline.search.presence.missing_files.__defaults__", (0.01,))
    ran = run("search", "red", "-k", "2", "--json")
    assert [item["missing"] for item in objects(ran.out)] == [None, None]
    assert "not looked whether 2 of the files are still there" in ran.err


@pytest.mark.parametrize(("least", "count"), [("0.9", 1), ("1.1", 0), ("-1", 7), ("-0.5", 7)])
def test_results_with_low_scores_are_left_out_and_counted(run, indexed, least, count):
    ran = run("search", "red", "--min-score", least)
    assert (ran.status, len(ran.out.splitlines())) == (0, count)
    said = f"left out: {7 - count} of 7 results with a score below {float(least)}"
    assert (said in ran.err) == (count < 7)
    assert len(objects(run("search", "red", "--json", "--min-score", least).out)) == count


@pytest.mark.parametrize("value", ["nan", "high", ""])
def test_a_least_score_is_a_number(run, indexed, value):
    ran = run("search", "red", "--min-score", value)
    assert (ran.status, ran.out) == (2, "")
    assert "--min-score" in ran.err


def test_dates_and_cameras_are_shown_places_are_not(run, pictures):
    camera, taken = {0x010F: "Canon", 0x0110: "Canon EOS 5D"}, {0x9003: "2019:06:30 18:05:00"}
    Image.new("RGB", (24, 16), "blue").save(
        pictures / "sea.jpg", exif=exif(camera, taken, gps((52.0, 31.0, 12.0), (13.0, 24.0, 18.0)))
    )
    run("index", pictures, "--model", "colors")
    ran = run("search", "blue", "-k", "9", "--json", "--html", "sheet.html")
    sea = next(item for item in objects(ran.out) if item["uri"].endswith("sea.jpg"))
    assert (sea["taken"], sea["camera_make"], sea["camera_model"]) == ("2019-06-30T18:05:00", "Canon", "Canon EOS 5D")
    assert "latitude" not in sea
    html = Path("sheet.html").read_text()
    assert "2019-06-30 18:05, Canon EOS 5D" in html
    assert "52.52" not in html


SCRIPTS = [
    "一只狗 in 索引",
    "Größe",
    "🐕",
    "ñ\u0303",
    "a\\udce9",
    os.fsdecode(b"caf\xe9 \xff"),
    "a\u2028b\x85c\x7f\x1b[31m\n",
]


@pytest.mark.parametrize("text", SCRIPTS)
def test_json_keeps_every_name_on_one_line(text, tmp_path):
    shown = json_text({"name": text})
    assert json.loads(shown) == {"name": text}
    assert json.loads(shown.encode("utf-8")) == {"name": text}, "it is UTF-8"
    assert len(shown.splitlines()) == 1
    write_json(tmp_path / "a.json", {"name": text})
    assert read_json(tmp_path / "a.json") == {"name": text}


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "ascii", "latin-1", "gbk", "cp1252"])
@pytest.mark.parametrize("text", SCRIPTS)
def test_json_in_every_locale(monkeypatch, encoding, text):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding, errors="backslashreplace", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    output.write_json([{"name": text}])
    assert json.loads(raw.getvalue()) == {"name": text}


def test_json_shows_scripts_as_they_are(run, pictures):
    (pictures / "blue.png").rename(pictures / "蓝色.png")
    run("index", pictures, "--model", "colors")
    for command in (("search", "blue", "--json"), ("info", "--json"), ("similar", "--threshold", "0.1", "--json")):
        out = run(*command).out
        assert "\\u" not in out
        assert command[0] == "info" or "蓝色" in out


@pytest.mark.parametrize("k", [8, 10**6, 10**30])
def test_more_results_than_there_are(run, indexed, k):
    assert len(run("search", "red", "-k", k).out.splitlines()) == 7
