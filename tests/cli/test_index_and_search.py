"""From a folder of pictures to answers, through the command line."""

import json
import os
import pwd
import re
import sys
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from sightline.index.folder import IVF_FILE
from support.headers import exif, gps
from support.images import COLORS
from support.videos import colored


def names(out):
    """The stems of the files in plain output, in its order."""
    return [Path(line.split(maxsplit=2)[2]).stem for line in out.splitlines()]


def objects(out):
    return [json.loads(line) for line in out.splitlines()]


def test_words_pictures_and_things_to_avoid(run, indexed):
    assert names(run("search", "red", "-k", "2").out) == ["red", "orange"]
    assert names(run("search", "--image", indexed / "purple.png", "-k", "1").out) == ["purple"]
    both = names(run("search", "red", "--image", indexed / "lime.png").out)
    assert both[0] == "yellow", "red and green make yellow"
    assert names(run("search", "white", "--not", "blue").out)[-1] == "blue"
    assert len(names(run("search", "red", "-k", "100").out)) == len(COLORS)


def test_plain_output_is_rank_score_path(run, indexed):
    ran = run("search", "blue", "-k", "3")
    first = ran.out.splitlines()[0].split()
    assert first[0] == "1"
    assert first[1] == "1.0000"
    assert first[2] == str(indexed / "blue.png")
    assert "\x1b" not in ran.out
    assert ran.err == ""


def test_json_is_one_object_a_line(run, indexed):
    found = objects(run("search", "blue", "-k", "2", "--json").out)
    assert [item["rank"] for item in found] == [1, 2]
    assert found[0] == {
        "rank": 1, "score": pytest.approx(1, abs=1e-3), "uri": str(indexed / "blue.png"), "kind": "image",
        "start": None, "end": None, "missing": False, "width": 28, "height": 16,
        "size": (indexed / "blue.png").stat().st_size, "taken": None, "duration": None, "camera_make": None,
        "camera_model": None, "lens": None, "rating": None, "keywords": None, "title": None, "caption": None,
    }  # fmt: skip


def test_places_are_printed_when_asked_for(run, pictures, tmp_path):
    """Nothing else that a search writes holds them."""
    Image.new("RGB", (24, 16), "blue").save(
        pictures / "sea.jpg", exif=exif(gps=gps((52.0, 31.0, 12.0), (13.0, 24.0, 18.0), 34.5))
    )
    assert run("index", pictures, "--model", "colors").status == 0
    ran = run(
        "search", "blue", "--image", pictures / "sea.jpg", "--json", "--with-place", "--html", tmp_path / "sheet.html"
    )
    found = {Path(item["uri"]).name: item for item in objects(ran.out)}
    place = [found["sea.jpg"][name] for name in ("latitude", "longitude", "altitude")]
    assert place == pytest.approx([52.52, 13.405, 34.5], abs=1e-6)
    assert found["red.png"]["latitude"] is None
    assert "52.52" not in (tmp_path / "sheet.html").read_text()
    assert not any("latitude" in item for item in objects(run("search", "blue", "--json").out))
    assert run("search", "blue", "--with-place").status == 2


@pytest.mark.parametrize(("given", "said"), [("many", "--rescore many: say how many"), ("all", "leave rescore out")])
def test_nothing_to_score_again(run, indexed, given, said):
    ran = run("search", "blue", "--rescore", given)
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err
    assert run("search", "blue", "--rescore", "0").out == run("search", "blue").out


def test_conditions(run, indexed):
    assert names(run("search", "blue", "--where", "width < 26").out) == ["orange", "red"]
    ran = run("search", "blue", "--where", "width > 5000")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err == "no results: no item fulfils --where 'width > 5000'\n"


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8 are Linux's")
def test_a_name_that_is_no_text(run, indexed):
    name = os.fsdecode(b"caf\xe9 \xff\n.png")
    (indexed / "blue.png").rename(indexed / name)
    assert "1 moved" in run("index", indexed).out
    (item,) = objects(run("search", "blue", "-k", "1", "--json").out)
    assert os.fsencode(item["uri"]) == os.fsencode(indexed / name)
    assert Path(item["uri"]).exists()
    plain = run("search", "blue", "-k", "1").out
    assert plain.count("\n") == 1
    assert r"caf\udce9 \udcff\n.png" in plain
    assert run("search", "blue", "--html", "sheet.html").status == 0


def test_a_contact_sheet(run, indexed):
    ran = run("search", "red", "--image", indexed / "lime.png", "--not", "blue", "-k", "3", "--html", "sheet.html")
    assert (ran.status, ran.err) == (0, "contact sheet: sheet.html\n")
    html = Path("sheet.html").read_text(encoding="utf-8")
    assert html.count("<img") == 1 + 3
    assert "“red” + lime.png − “blue”" in html
    assert "3 of 7 images and moments" in html


def test_the_summary_says_what_happened(run, pictures):
    (pictures / "text.jpg").write_text("no picture")
    (pictures / "empty.jpg").touch()
    ran = run("index", pictures, "--model", "colors")
    assert ran.status == 0
    assert ran.out.splitlines()[0] == "7 added, 0 changed, 0 moved, 0 removed, 0 unchanged, 2 skipped"
    assert str(pictures / "text.jpg") in ran.out
    assert str(pictures / "empty.jpg") in ran.out
    assert ran.err == "", "no progress bar where there is no terminal"

    (pictures / "red.png").unlink()
    (pictures / "blue.png").rename(pictures / "sea.png")
    Image.new("RGB", (9, 9), "gray").save(pictures / "lime.png")
    Image.new("RGB", (9, 9), "pink").save(pictures / "pink.png")
    ran = run("index", pictures)
    assert ran.out.splitlines()[0] == "1 added, 1 changed, 1 moved, 1 removed, 4 unchanged, 2 skipped"


def test_long_lists_of_skipped_files_are_cut(run, pictures):
    for number in range(12):
        (pictures / f"empty{number}.jpg").touch()
    out = run("index", pictures, "--model", "colors").out
    assert "(12):" in out
    assert out.count("empty") < 12
    assert "and 7 more" in out


def test_what_is_left_aside_is_counted(run, pictures, tmp_path):
    os.link(pictures / "red.png", pictures / "rot.png")
    (pictures / "link.png").symlink_to("red.png")
    (pictures / "album").symlink_to(".")
    for name in ("a.psd", "b.PSD", "c.ico", "README", "red.xmp", "red.png.json", ".hidden.psd"):
        (pictures / name).write_text("something")
    for name in ("@eaDir", "sub/#recycle", "drafts"):
        (pictures / name).mkdir(parents=True)
        Image.new("RGB", (9, 9), "gray").save(pictures / name / "gray.png")
    ran = run("index", pictures, "--model", "colors", "--exclude", "drafts", "--exclude", "nothing")
    assert ran.out.splitlines() == [
        "7 added, 0 changed, 0 moved, 0 removed, 0 unchanged, 0 skipped",
        "links, of which the files are indexed by another name: 3",
        "files and folders excluded by patterns: 3: #recycle 1, @eaDir 1, drafts 1",
        "files of other kinds left aside: 4: .psd 2, no suffix 1, .ico 1",
        "nothing there fulfils --exclude nothing; it is kept",
    ]
    assert "lost+found, drafts, nothing\n" in run("info").out
    ran = run("index", pictures, "--exclude", "sub", "--exclude", "lime.png", "--include", "drafts")
    assert ran.out.splitlines()[:2] == [
        "1 added, 0 changed, 0 moved, 1 removed, 6 unchanged, 0 skipped",
        "of the removed 0 are links, 1 excluded now",
    ]
    assert "drafts" not in run("info").out


def test_all_skipped_files_are_written_when_asked_for(run, pictures, tmp_path):
    for number in range(12):
        (pictures / f"empty{number}.jpg").touch()
    listed = tmp_path / "skipped.txt"
    assert str(listed) in run("index", pictures, "--model", "colors", "--skipped", listed).out
    assert run("index", pictures, "--skipped", listed).status == 0, "it may be written again"
    first, *lines = listed.read_text().splitlines()
    assert first.startswith("# skipped")
    assert sorted(Path(line.split("\t")[0]).name for line in lines) == sorted(f"empty{n}.jpg" for n in range(12))
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    ran = run("index", pictures, "--skipped", notes)
    assert (ran.status, notes.read_text()) == (2, "mine")


def test_the_list_of_skipped_files_may_lie_below_home(run, pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run("index", pictures, "--model", "colors", "--skipped", "~/skipped.txt").status == 0
    assert (tmp_path / "skipped.txt").read_text().startswith("# skipped")


def test_a_path_from_where_one_stands_is_no_pattern(run, pictures, monkeypatch):
    monkeypatch.chdir(pictures.parent)
    named = f"{pictures.name}/red.png"
    ran = run("index", pictures, "--model", "colors", "--exclude", named)
    assert f"--exclude {named}; it is kept (if {pictures}/red.png is meant, write that)" in ran.out
    (pictures / "a*b").mkdir()
    ran = run("index", pictures, "--exclude", f"{pictures.name}/a*b")
    assert rf"(if {pictures}/a\*b is meant, write that)" in ran.out
    assert run("index", pictures, "--exclude", Path.cwd() / "work").out.endswith("/work; it is kept\n")
    ran = run("index", pictures, "--exclude", pictures)
    assert (ran.status, "choose one" in ran.err) == (2, True)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_in_the_other_unicode_form_is_found(run, pictures, form):
    name, other = (unicodedata.normalize(each, "café.png") for each in (form, {"NFC": "NFD", "NFD": "NFC"}[form]))
    (pictures / "red.png").rename(pictures / name)
    assert run("index", pictures / other, "--model", "colors").out.startswith("1 added")
    assert run("index", pictures).out.startswith("6 added, 0 changed, 0 moved, 0 removed, 1 unchanged")
    assert name in run("search", "--image", pictures / other, "-k", "1").out
    assert run("index", "--forget", pictures / other).out.startswith("1 files")


def test_home_in_the_variable_and_no_home(run, pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SIGHTLINE_INDEX", "~/in home")
    assert run("index", pictures, "--model", "colors").status == 0
    assert (tmp_path / "in home").is_dir()
    assert "images       7\n" in run("info", "--index", "~/in home").out

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: (_ for _ in ()).throw(KeyError(uid)))
    assert run("search", "red", "--index", tmp_path / "in home").status == 0
    for given in ({"SIGHTLINE_INDEX": "~/in home"}, {"SIGHTLINE_INDEX": ""}):
        monkeypatch.setenv("SIGHTLINE_INDEX", given["SIGHTLINE_INDEX"])
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
        ran = run("info")
        assert (ran.status, ran.err.count("\n")) == (2, 1)
        assert "set HOME" in ran.err or "set SIGHTLINE_INDEX" in ran.err
    assert not list((tmp_path / "work").iterdir()), "nothing is made under the name ~"


def test_forget_takes_out_without_a_model(run, indexed, monkeypatch):
    monkeypatch.setitem(sys.modules, "sightline.encoder", None)
    said = run("index", "--forget", indexed / "red.png").out
    assert said.startswith("1 files taken out of the index\nleft out from now on: ")
    assert (indexed / "red.png").exists()
    (indexed / "blue.png").unlink()
    assert run("index", "--forget", indexed / "blue.png").out.startswith("1 files taken out of the index\n")
    assert "images       5\nvideos       0\n" in run("info").out


@pytest.mark.parametrize("files", [[], ["text.jpg"]])
def test_nothing_indexed_is_a_failure(run, tmp_path, files):
    folder = tmp_path / "nothing"
    folder.mkdir()
    for name in files:
        (folder / name).write_text("no picture")
    ran = run("index", folder, "--model", "colors")
    assert ran.status == 1
    assert "nothing is indexed" in ran.err


def test_offline_says_how_to_go_on(run, pictures):
    ran = run("index", pictures)
    assert (ran.status, ran.out) == (1, "")
    assert "openai/clip-vit-base-patch32" in ran.err
    assert "--model mini" in ran.err


def test_an_index_keeps_its_model(run, indexed):
    assert run("index", indexed).status == 0, "its own model, though nobody names it"
    ran = run("index", indexed, "--model", "others")
    assert ran.status == 1
    assert "--model colors" in ran.err
    assert "--index" in ran.err


def test_ctrl_c_keeps_what_was_done(run, indexed, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("sightline.index.sync.sync", stop)
    ran = run("index", indexed)
    assert ran.status == 130
    assert "goes on from there" in ran.err
    assert run("search", "red").status == 0


def test_similar(run, indexed):
    Image.open(indexed / "red.png").resize((60, 40)).save(indexed / "large.png")
    run("index", indexed)
    (indexed / "copy.png").write_bytes((indexed / "large.png").read_bytes())
    (indexed / "gone.png").write_bytes((indexed / "large.png").read_bytes())
    run("index", indexed)
    (indexed / "gone.png").unlink()
    ran = run("similar", "--threshold", "0.999", "--html", "sheet.html")
    assert (ran.status, ran.out.count("\n")) == (0, 6)
    head, *lines = ran.out.splitlines()
    assert head.split() == ["cosine", "match", "size", "file"]
    assert lines[0].split() == ["1.0000", "first", "60", "x", "40", str(indexed / "large.png")]
    assert lines[1].split()[1:] == ["exact", "60", "x", "40", str(indexed / "copy.png")]
    assert lines[2].split()[1:] == ["near", "24", "x", "16", str(indexed / "red.png")]
    assert lines[3].split()[1:] == ["exact", "60", "x", "40", str(indexed / "gone.png"), "(missing)"]
    assert "1 group, 2 files beside the first of each: 1 exact, 1 near" in ran.err
    assert "1 file is missing" in ran.err
    assert run("similar").out.count(str(indexed)) == 6, "orange is like yellow, somewhat"
    found = objects(run("similar", "--threshold", "0.999", "--json").out)
    assert [(item["group"], item["rank"], Path(item["uri"]).stem) for item in found] [:3] == [
        (1, 1, "large"), (1, 2, "copy"), (1, 3, "red"),
    ]  # fmt: skip
    assert [(item["match"], item["missing"]) for item in found][2:] == [("near", False), ("exact", True)]
    html = Path("sheet.html").read_text(encoding="utf-8")
    assert html.count("<img") == 4
    assert html.count("exact, 60 × 40") == 2
    assert html.count(">missing<") == 1


def test_info_says_what_there_is(run, indexed, tmp_path):
    out = run("info").out
    for words in (str(tmp_path / "index"), "images       7", "colors", "3 numbers each", "taken (date)"):
        assert words in out
    assert re.search(r"^width +number +7  pixels", out, re.MULTILINE)
    assert "first pass" not in out
    (tmp_path / "index" / IVF_FILE).touch()
    assert "first pass" in run("info").out


@pytest.fixture
def filmed(run, indexed):
    """The pictures and a film of three shots: two seconds green, one second blue, three seconds pink."""
    film = colored(indexed / "film.mp4", [("springgreen", 2), ("dodgerblue", 1), ("deeppink", 3)])
    assert run("index", indexed).out.splitlines()[0] == "1 added, 0 changed, 0 moved, 0 removed, 7 unchanged, 0 skipped"
    return film


def test_a_film_is_found_with_its_time(run, filmed):
    lines = run("search", "springgreen", "-k", "10").out.splitlines()
    times = [line.split("film.mp4")[1] for line in lines if "film.mp4" in line]
    assert times[0] == " 0:00-0:02"
    assert sorted(times) == [" 0:00-0:02", " 0:02-0:03", " 0:03-0:06"]
    (found,) = objects(run("search", "deeppink", "-k", "1", "--where", "kind = 'moment'", "--json").out)
    assert (found["uri"], found["kind"], found["start"], found["end"]) == (str(filmed), "moment", 3, 6)
    assert "videos       1, cut into 3 moments\n" in run("info").out
    assert "images       7\n" in run("info").out


def test_a_film_in_a_contact_sheet_opens_at_its_moment(run, filmed):
    query = ("search", "dodgerblue", "-k", "1", "--where", "kind = 'moment'", "--html", "sheet.html")
    assert run(*query).status == 0
    html = Path("sheet.html").read_text(encoding="utf-8")
    assert f'href="{filmed.as_uri()}#t=2.000,3.000"' in html
    assert "<time>0:02–0:03</time>" in html
    assert html.count("<img") == 1


def test_a_film_is_a_query(run, filmed, tmp_path):
    pink = colored(tmp_path / "pink.mp4", [("hotpink", 1)])
    ran = run("search", "--image", pink, "-k", "1", "--html", "sheet.html", "--where", "kind = 'moment'")
    assert ran.out.split("film.mp4")[1] == " 0:03-0:06\n"
    assert Path("sheet.html").read_text(encoding="utf-8").count("<img") == 2, "the query's picture, and what was found"
    (tmp_path / "empty.mp4").touch()
    ran = run("search", "--image", tmp_path / "empty.mp4")
    assert ran.status == 1
    assert f"{tmp_path / 'empty.mp4'}: empty file" in ran.err


def test_similar_films_are_files(run, filmed):
    again = colored(filmed.with_name("again.mkv"), [("springgreen", 2), ("dodgerblue", 1), ("deeppink", 3)])
    colored(filmed.with_name("part.mkv"), [("springgreen", 2)])
    run("index", filmed.parent)
    groups = run("similar", "--threshold", "0.999").out.partition("\n")[2].strip().split("\n\n")
    assert [{Path(line.split()[5]).name for line in group.splitlines()} for group in groups] == [
        {filmed.name, again.name}
    ]


@pytest.mark.system
def test_fsck_finds_a_sound_index_and_a_damaged_one(run, indexed, tmp_path):
    assert run("fsck") == (0, "sound\n", "")
    data = next((tmp_path / "index").rglob("*.lance/data/*"))
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    ran = run("fsck")
    assert ran.status == 1
    assert "--repair" in ran.err
    assert run("fsck", "--repair").status == 0
    assert run("fsck").status == 0
