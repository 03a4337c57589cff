"""`sightline eval zeroshot` and `video`."""

import os
import shutil

import pytest

from sightline import scenes
from sightline.evaluate import Result, open_results
from support.datasets import tar
from support.images import as_bytes


@pytest.fixture
def folders(tmp_path):
    for number in range(6):
        folder = tmp_path / "data" / ("red_circle" if number % 2 else "blue_star")
        folder.mkdir(parents=True, exist_ok=True)
        scenes.sample(4, number).draw(48).save(folder / f"{number}.png")
    return tmp_path / "data"


def test_figures_and_each_class(run, folders, tmp_path, monkeypatch):
    monkeypatch.setattr("locale.getencoding", lambda: "gbk")
    as_typed = os.fsdecode("一张{}".encode("gbk"))
    (tmp_path / "classes.csv").write_text("id,name\n0,blue star\n1,red circle\n2,moon\n")
    ran = run(
        "eval", "zeroshot", "mini", folders, "--classes", tmp_path / "classes.csv", "--template", "a {}",
        "--template", as_typed, "--json", tmp_path / "result.json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    result = Result.open(tmp_path / "result.json")
    assert result.settings["templates"] == ["a {}", "一张{}"]
    first = ran.out.splitlines()
    assert first[1].split()[:2] == ["top-1", f"{100 * result.figures['top-1']:.2f}%"]
    assert {line.split("  ")[0] for line in first[-2:]} == {"blue star", "red circle"}
    assert "1 classes have no image and count only as wrong answers: moon" in ran.err


def test_shards_with_classes_and_their_names(run, tmp_path):
    files = []
    for number in range(4):
        files += [
            (f"{number}.png", as_bytes(scenes.sample(4, number).draw(48))),
            (f"{number}.cls", b"%d" % (number % 2)),
        ]
    (tmp_path / "test").mkdir()
    tar(tmp_path / "test" / "0.tar", [*files, ("5.png", b"1")])
    ran = run("eval", "zeroshot", "mini", tmp_path / "test")
    assert "the data's classes are numbers (0, 1), which say nothing to a model: give their names with --cl" in ran.err
    (tmp_path / "classnames.txt").write_text("blue star\nred circle\nmoon\n")
    (tmp_path / "zeroshot_classification_templates.txt").write_text("one {c}.\n")
    ran = run("eval", "zeroshot", "mini", tmp_path / "test", "--json", tmp_path / "result.json")
    assert ran.status == 0, ran.err
    assert Result.open(tmp_path / "result.json").settings == {
        "classes": ["blue star", "red circle", "moon"],
        "templates": ["one {}."],
        "split": None,
    }
    assert "left out of the data: 1 without a file of a class: " in ran.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["video", "mini", "DATA"], "`sightline eval zeroshot`"),
        (["zeroshot", "mini", "DATA", "--template", "a photo"], "a photo: no such file or folder, and no template"),
        (["zeroshot", "mini", "DATA", "--classes", "none.txt"], "none.txt"),
        (["zeroshot", "mini", "nowhere"], "nowhere: no such file or folder"),
        (["zeroshot", "mini", "EMPTY"], "give a folder with a folder for each class"),
        (["zeroshot", "mini", "SPLITS"], "train and val are splits, not classes"),
        (["zeroshot", "mini", "IDS"], "the data's classes are WordNet ids (n01440764, n01443537)"),
        (["zeroshot", "mini", "DATA", "--json", "none/result.json"], "no folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use(run, folders, tmp_path, args, says):
    places = {"DATA": folders, "EMPTY": tmp_path / "empty", "SPLITS": tmp_path / "splits", "IDS": tmp_path / "ids"}
    places["EMPTY"].mkdir()
    for name in ("splits/train", "splits/val", "ids/n01440764", "ids/n01443537"):
        shutil.copytree(folders / "red_circle", tmp_path / name)
    ran = run("eval", *(str(places.get(arg, arg)) for arg in args))
    assert ran.status in (1, 2)
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert ran.out == ""


@pytest.mark.parametrize("command", ["knn", "linear-probe"])
def test_features_of_images_to_train_on_and_to_test_on(run, folders, tmp_path, command):
    for number in range(6, 14):
        folder = tmp_path / "train" / ("red_circle" if number % 2 else "blue_star")
        folder.mkdir(parents=True, exist_ok=True)
        scenes.sample(4, number).draw(48).save(folder / f"{number}.png")
    more = {"knn": ["-k", "3"], "linear-probe": []}[command]
    ran = run("eval", command, "mini", tmp_path / "train", folders, *more, "--json", tmp_path / "result.json")
    assert ran.status == 0, ran.err
    result = Result.open(tmp_path / "result.json")
    assert result.kind == command.replace("-", "_")
    assert result.settings["train_samples"] == 8
    assert f"{100 * result.figures['top-1']:.2f}%" in ran.out
    assert "top-5" not in ran.out


def test_several_data_sets_of_classes(run, folders, tmp_path):
    ran = run("eval", "zeroshot", "mini", folders, folders, "--each", "--json", tmp_path / "out.json")
    assert ran.status == 0, ran.err
    first, second = open_results(tmp_path / "out.json")
    assert first.figures == second.figures
    assert first.data == str(folders)
