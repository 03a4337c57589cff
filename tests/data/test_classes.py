"""Lists of classes and templates in the files that people have."""

import json

import pytest

from sightline.data.classes import Classes, classes_beside, read_classes, read_templates
from sightline.errors import UsageError
from support.datasets import tar

FILES = {
    "lines.txt": "cat\n\n dog \nred kite\n",
    "list.csv": "id,name\n3,cat\n5,dog\n9,red kite\n",
    "list;.csv": "\ufeffid;name\n3;cat\n5;dog\n9;red kite\n",
    "list.tsv": "name\tlatin\ncat\tfelis\ndog\tcanis\nred kite\tmilvus\n",
    "plain.json": json.dumps(["cat", "dog", "red kite"]),
    "one.json": json.dumps({"classes": ["cat", "dog", "red kite"], "templates": ["a {c}.", "the {}"]}),
    "many.json": json.dumps({"pets": {"classes": ["cat", "dog", "red kite"], "templates": ["my {c}"]}, "cars": {}}),
    "set.yaml": "train:\n  images: x\nclasses:\n  3: cat\n  5: 'dog'\n  9: red kite\n",
    "top.yml": "3: cat\n5: dog\n9: red kite\n",
    "after.yaml": 'colors: {0: [0, 0, 0]}\nmore: {}\nnames:\n  3: cat\n  5: "dog"\n  9: red kite\n',
    "templates.txt": "a photo of a {}.\n\nthe {class}!\n",
}


@pytest.fixture
def files(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "numbers", "templates"),
    [
        ("lines.txt", (0, 1, 2), ()),
        ("list.csv", (3, 5, 9), ()),
        ("list.tsv", (0, 1, 2), ()),
        ("list;.csv", (3, 5, 9), ()),
        ("plain.json", (0, 1, 2), ()),
        ("one.json", (0, 1, 2), ("a {}.", "the {}")),
        ("many.json#pets", (0, 1, 2), ("my {}",)),
        ("set.yaml", (3, 5, 9), ()),
        ("top.yml", (3, 5, 9), ()),
        ("after.yaml", (3, 5, 9), ()),
    ],
)
def test_classes(files, name, numbers, templates):
    assert read_classes(f"{files}/{name}") == Classes(("cat", "dog", "red kite"), numbers, templates)


@pytest.mark.parametrize(
    ("text", "suffix", "says"),
    [
        ("cat", ".txt", "cat alone"),
        ("", ".txt", "no class alone"),
        ("id,title\n1,cat\n", ".csv", 'no column "name"'),
        ("id,name\n1,cat\n1,dog\n", ".csv", "same number"),
        ("id,name\none,cat\n2,dog\n", ".csv", "'one' in row 2 is no number"),
        ("id,name\n1,cat\n2,dog, big\n", ".csv", "row 3 is one with more or fewer columns"),
        ('id,name\n1,"cat" x\n2,dog\n', ".csv", "row 2 is one with quotes that are not CSV's"),
        ("{", ".json", "not JSON"),
        ("3", ".json", "int"),
        ('{"a": {}, "b": {}}', ".json", "say which.*#a.*#b"),
        ('{"templates": ["{}"]}', ".json", "no list of classes"),
        ('["cat", 3]', ".json", "3 is no name"),
        ("a: [", ".yaml", "not YAML"),
        ("a: cat", ".yaml", "no mapping of numbers to names"),
        ("{0: cat, 1: {}}", ".yaml", "no mapping of numbers to names"),
        ('{"classes": ["cat", "dog"], "templates": ["a photo"]}', ".json", "'a photo' needs one"),
    ],
)
def test_files_that_are_no_list(tmp_path, text, suffix, says):
    (tmp_path / f"file{suffix}").write_text(text)
    with pytest.raises(UsageError, match=says):
        read_classes(tmp_path / f"file{suffix}")


def test_words_that_yaml_reads_as_values_are_names(tmp_path):
    (tmp_path / "classes.yaml").write_text("names: {0: no, 1: 1e3, 2: null}")
    assert read_classes(tmp_path / "classes.yaml").names == ("no", "1e3", "null")


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(UsageError, match=r"none\.txt: no such file"):
        read_classes(tmp_path / "none.txt")
    (tmp_path / "odd.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="begins as UTF-16 but is not in it"):
        read_classes(tmp_path / "odd.txt")


def test_templates(files):
    given = ["one {}", f"{files}/templates.txt", f"{files}/many.json#pets"]
    assert read_templates(given) == ["one {}", "a photo of a {}.", "the {}!", "my {}"]
    for wrong in ("{} and {}", "a { photo", f"{files}/plain.json", f"{files}/none.txt", f"{files}/many.json"):
        with pytest.raises(UsageError):
            read_templates([wrong])


def test_the_datas_classes_are_found():
    known = Classes(("Golden retriever", "tabby cat", "tree-frog"), (4, 7, 9))
    assert known.find(["tree_frog", "golden_retriever"]) == [2, 0]
    assert known.find(["9", "4"]) == [2, 0]
    assert known.find(["n00000030", "n00000010", "n00000020"]) == [2, 0, 1]
    with pytest.raises(UsageError, match=r"'taby_cat' is not among the 3 .* did you mean 'tabby cat'"):
        known.find(["taby_cat", "tree frog"])
    with pytest.raises(UsageError, match="'8' is not among"):
        known.find(["9", "8"])
    with pytest.raises(UsageError, match="n00000010"):
        known.find(["n00000010", "n00000020"])
    with pytest.raises(UsageError, match="2 times"):
        Classes(("a", "A", "b"), (0, 1, 2)).find(["a", "b"])
    assert Classes.of(["golden_retriever", "cat"]).names == ("golden retriever", "cat")


@pytest.mark.parametrize(
    ("labels", "kind"), [(["0", "1", "2", "3"], "numbers"), (["n01440764", "n01443537"], "WordNet")]
)
def test_numbers_and_ids_are_no_names(labels, kind):
    with pytest.raises(UsageError, match=rf"the data's classes are {kind}.*\({labels[0]}, .*--classes FILE"):
        Classes.of(labels)


def test_classes_and_templates_beside_shards(tmp_path):
    (tmp_path / "test").mkdir()
    path = tar(tmp_path / "test" / "0.tar", [])
    assert classes_beside(path) is None
    (tmp_path / "classnames.txt").write_text("cat\nred kite\n")
    assert classes_beside(path) == Classes(("cat", "red kite"), (0, 1))
    (tmp_path / "zeroshot_classification_templates.txt").write_text("a photo of a {c}.\nthe {c}\n")
    assert classes_beside(path) == Classes(("cat", "red kite"), (0, 1), ("a photo of a {}.", "the {}"))
    (tmp_path / "test" / "classnames.txt").write_text("dog\nbird\n")
    assert classes_beside(path).names == ("dog", "bird")


@pytest.mark.parametrize("template", ["a photo", "a photo of a dog.", "none.txt"])
def test_what_is_no_template_is_told_so(template):
    with pytest.raises(UsageError, match=f"{template}: no such file or folder, and no template"):
        read_templates([template])
