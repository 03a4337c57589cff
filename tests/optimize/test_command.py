"""`sightline profile`: what it prints and writes, and what it refuses before it measures."""

import json

import pytest

from sightline.cli.main import main
from sightline.optimize.profile_record import Profile
from sightline.optimize.profile_tables import parts_table


@pytest.mark.system
def test_a_profile_is_printed_written_and_compared_with(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["profile", "mini", "--iterations", "1", "--device", "cpu", "--precision", "float32"]
    assert main([*arguments, "--json", "a.json", "--html", "a.html", "--trace", "a.trace"]) == 0
    printed = capsys.readouterr().out
    for words in ("images: ", "texts: ", "encoder.layers.*.mlp", "between the parts", "the whole, by itself"):
        assert words in printed
    for words in ("decoding", "tokenizing", "computing", "all threads", "of peak"):
        assert words in printed
    profile = Profile.open("a.json")
    assert [side.reads for side in profile.sides] == ["images", "texts"]
    assert profile.precision == profile.sides[0].dtype == "float32"
    events = json.loads((tmp_path / "a.trace").read_text())["traceEvents"]
    names = {event.get("name") for event in events}
    assert {"images", "texts", "vision_model", "fc1", "qkv"} <= names
    assert {"aten::addmm", "mkldnn::_linear_pointwise"} & names  # by the processor
    page = (tmp_path / "a.html").read_text()
    assert page.startswith("<!doctype html")
    assert 'class="bar operation"' in page
    assert "<script" not in page
    table = parts_table(profile.sides[0], profile.sides[0], deep=True)
    assert list(table.head[-2:]) == ["before", "ratio"]
    fc1 = next(row for row in table.rows if row[0] == "vision_model.encoder.layers.0.mlp.fc1")
    assert (fc1[1], fc1[-1]) == ("1", "1.00")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.json", "a.trace"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--json", "x", "--html", "x"], "x is named twice"),
        (["--json", "other"], "other is no profile of ours and would be lost"),
        (["--html", "other"], "other is no page of ours"),
        (["--trace", "other"], "other is no trace of ours"),
        (["--against", "other"], "other: no profile; `sightline profile MODEL --json FILE` writes one"),
        (["--images", "none.jpg"], "none.jpg: no such file or folder"),
        (["--images", "."], "there is no image below this folder"),
        (["--texts", "none.txt"], "none.txt: no such file or folder"),
        (["--texts", "empty"], "empty: there is no text in it"),
        (["--iterations", "0"], "--iterations 0: give at least 1"),
    ],
)
def test_wrong_use_is_a_line(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").write_text("mine")
    (tmp_path / "empty").write_text("\n")
    if "--texts" in arguments:
        from PIL import Image

        Image.new("RGB", (9, 9)).save("one.png")
        arguments = [*arguments, "--images", "one.png"]
    assert main(["profile", "mini", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert (tmp_path / "other").read_text() == "mine"
