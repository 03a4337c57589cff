"""Pictures and films with a class each."""

import pytest

from sightline.data import captions, labelled
from sightline.errors import DataError, UsageError
from support.datasets import tar


@pytest.fixture
def folder(tmp_path):
    for name in ("cat/b.jpg", "cat/inner/a.PNG", "dog/a.jpg", "dog/a.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * len(name))
    return tmp_path


KEYS = ["cat/b.jpg", "cat/inner/a.PNG", "dog/a.jpg", "dog/a.mp4"]


def test_a_folder_for_each_class(folder):
    for odd in ("dog/notes.md", "top.jpg", ".hidden/a.jpg", "dog/.a.jpg", "dog/.thumbs/a.jpg", "empty/readme.txt"):
        (folder / odd).parent.mkdir(exist_ok=True)
        (folder / odd).write_bytes(b"1")
    found = labelled(folder)
    assert found.classes == ("cat", "dog")
    assert [(sample.key, sample.label) for sample in found.samples] == list(zip(KEYS, [0, 0, 1, 1], strict=True))
    assert [sample.content() for sample in found.samples] == [folder / key for key in KEYS]
    assert found.samples[3].is_video
    assert found.left_out.counts == {
        "that are no image or video by their suffix": 2,
        "folders without an image, no class": 1,
        "in no class's folder": 1,
    }


def test_classes_by_number(folder):
    found = labelled(folder, classes=["bird", "dog"])
    assert [(sample.key, sample.label) for sample in found.samples] == [("dog/a.jpg", 1), ("dog/a.mp4", 1)]
    assert found.classes == ("bird", "dog")
    assert str(found.left_out) == "2 of no class among the 2: cat/b.jpg (cat), cat/inner/a.PNG (cat)"
    with pytest.raises(DataError, match="not one image with a class"):
        labelled(folder, classes=["bird"])


def test_a_table_of_files_and_classes(folder, tmp_path):
    (folder / "t.csv").write_text("image,label\n" + "".join(f"{key},{key[:3]}\n" for key in KEYS))
    whole = labelled(folder)
    found = labelled(folder / "t.csv")
    assert found.samples == whole.samples
    assert found.classes == whole.classes
    assert found.fingerprint == whole.fingerprint


def test_numbers_in_a_table(folder):
    rows = [f"{key}\t{number}" for key, number in zip(KEYS, [10, 2, 2, 10], strict=True)]
    (folder / "t.tsv").write_text("\n".join(["file\tclass", *rows]))
    found = labelled(folder / "t.tsv")
    assert (found.classes, [sample.label for sample in found.samples]) == (("2", "10"), [1, 0, 0, 1])
    names = [f"class {number}" for number in range(11)]
    assert [sample.label for sample in labelled(folder / "t.tsv", classes=names).samples] == [10, 2, 2, 10]
    (folder / "t.jsonl").write_text('{"file_name": "dog/a.jpg", "label": 3}\n{"file_name": "dog/a.mp4", "label": 3}')
    assert labelled(folder / "t.jsonl").classes == ("3",)


def test_odd_rows_are_left_out_and_counted(folder):
    rows = ["cat/b.jpg,cat", "cat/b.jpg,dog", "dog/a.jpg,dog", "dog/a.jpg,dog", "gone.jpg,dog", ",dog", "dog/a.mp4,"]
    (folder / "t.csv").write_text("\n".join(["file,label", *rows]))
    found = labelled(folder / "t.csv")
    assert [(sample.key, sample.label) for sample in found.samples] == [("dog/a.jpg", 0)]
    assert list(found.left_out.counts.values()) == [2, 1, 1]
    assert "with several classes: cat/b.jpg" in str(found.left_out)


@pytest.mark.parametrize("names", [("train", "val"), ("Train", "TEST", "classes"), ("train2017", "val2017")])
def test_splits_are_no_classes(tmp_path, names):
    for name in names:
        for cls in ("cat", "dog"):
            (tmp_path / name / cls).mkdir(parents=True)
            (tmp_path / name / cls / "a.jpg").write_bytes(b"1")
    with pytest.raises(UsageError, match=rf"are splits, not classes; name the one that is meant, such as {tmp_path}"):
        labelled(tmp_path)
    assert len(labelled(tmp_path / names[0])) == 2
    (tmp_path / "one").mkdir()
    (tmp_path / names[0]).rename(tmp_path / "one" / "val")
    with pytest.raises(UsageError, match="in it is one folder, val: is it that"):
        labelled(tmp_path / "one")


def test_shards_with_classes(tmp_path):
    parts = [("a.jpg", b"1"), ("a.cls", b"2\n"), ("b.jpg", b"2"), ("b.cls", b"10"), ("c.jpg", b"3")]
    parts += [("d.cls", b"1"), ("e.jpg", b"5"), ("e.cls", b" "), ("f.jpg", b"6"), ("f.cls", b"\xff"), ("g.txt", b"x")]
    tar(tmp_path / "0.tar", parts)
    tar(tmp_path / "1.tar", [("h.jpg", b"7"), ("h.cls", "\ufeff2".encode())])
    found = labelled(tmp_path)
    assert [(sample.key, sample.label, sample.content()) for sample in found.samples] == [
        ("a", 0, b"1"),
        ("b", 1, b"2"),
        ("h", 0, b"7"),
    ]
    assert found.classes == ("2", "10")
    assert found.known is None
    (tmp_path / "classnames.txt").write_text("".join(f"class {number}\n" for number in range(11)))
    known = labelled(tmp_path).known
    assert [known.names[position] for position in known.find(found.classes)] == ["class 2", "class 10"]
    assert found.left_out.counts == {
        "files of other kinds, which are not read": 1,
        "without a file of a class": 1,
        "a class without an image": 1,
        "with no class in their file": 1,
        "with a class that is not in UTF-8": 1,
    }
    assert labelled(str(tmp_path / "{0..1}.tar")).samples == found.samples
    with pytest.raises(UsageError, match="this is no table, so it has no splits"):
        labelled(tmp_path, split="train")
    with pytest.raises(DataError, match="not one image with a class; left out: 1 without a file of a class"):
        labelled(tar(tmp_path / "2.tar", [("a.jpg", b"1")]))


def test_splits_and_pictures_elsewhere(folder, tmp_path):
    (tmp_path / "lists").mkdir()
    path = tmp_path / "lists/t.csv"
    path.write_text("file,label,split\ncat/b.jpg,cat,train\ndog/a.jpg,dog,test\n")
    assert len(labelled(path, image_root=folder)) == 2
    (sample,) = labelled(path, split="test", image_root=folder).samples
    assert sample.key == "dog/a.jpg"
    with pytest.raises(DataError, match=r"no split val; it has train \(1\), test \(1\)"):
        labelled(path, split="val", image_root=folder)
    with pytest.raises(DataError, match=r"2 not in .*image_root="):
        labelled(path)
    tar(tmp_path / "a.tar", [("cat/b.jpg", b"12345")])
    assert labelled(path, image_root=tmp_path / "a.tar").samples[0].content() == b"12345"


def test_sources_that_are_none(folder, tmp_path):
    (tmp_path / "one/class").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "one", tmp_path / "nowhere", tmp_path / "empty"):
        with pytest.raises((DataError, UsageError), match=f"{source.name}: (give a folder|no such)"):
            labelled(source)
    with pytest.raises(UsageError, match="has no splits"):
        labelled(folder, split="train")
    (folder / "t.csv").write_text("file,licence\na,b")
    with pytest.raises(DataError, match="no column of classes"):
        labelled(folder / "t.csv")


@pytest.mark.parametrize("name", ["@eaDir", "$RECYCLE.BIN"])
def test_folders_of_the_system_are_no_images(tmp_path, name):
    for path in ("cat/a.jpg", f"cat/{name}/a.jpg", "dog/b.jpg", f"{name}/c/d.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"1")
        (tmp_path / path).with_suffix(".txt").write_text("text")
    found = labelled(tmp_path)
    assert ([sample.key for sample in found.samples], found.classes) == (["cat/a.jpg", "dog/b.jpg"], ("cat", "dog"))
    assert found.left_out.counts["in folders of the system (@eaDir, $RECYCLE.BIN ...)"] == 4
    assert [sample.key for sample in captions(tmp_path).samples] == ["cat/a.jpg", "dog/b.jpg"]
