"""The options by which `search` and `similar` look at a part of the items, and what is said when nothing is left."""

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from sightline.cli.filters import Filters
from sightline.errors import UsageError
from sightline.index import Table
from sightline.index.settings import Settings, write_settings
from support.tables import MODEL, rows

NOTHING = dict.fromkeys(("where", "since", "until", "folder", "kind", "camera", "near", "rating"))


@pytest.fixture
def index(tmp_path):
    """Five rows on which each option can be tried; files 0 to 2 lie in one folder, 3 and 4 below it."""
    table = Table.create(tmp_path / "index", MODEL)
    write_settings(tmp_path / "index", Settings((str(tmp_path / "a_b"),)))
    folders = ["a_b", "a_b", "a_b", "a_b/deep", "aXb"]
    table.append(
        rows(
            range(5),
            uri=[str(tmp_path / folder / f"{id}.jpg") for id, folder in enumerate(folders)],
            kind=["image"] * 4 + ["moment"],
            taken=[datetime(2019, 6, 30, 23, 59), datetime(2019, 7, 1), datetime(2020, 1, 1), None, None],
            camera_make=["Canon", "NIKON", "100%", None, "Apple"],
            camera_model=["Canon EOS 5D", "NIKON D750", None, None, "iPhone 12"],
            latitude=[52.5, 52.51, -33.9, None, 89.99],
            longitude=[13.4, 13.4, 151.2, None, -170],
            rating=[5, 3, None, -1, 2],
            # 0 and 1 are alike, and so are 2 and 3.
            vector=[[1] + [0] * 7] * 2 + [[0, 1] + [0] * 6] * 2 + [[0, 0, 1] + [0] * 5],
        )
    )
    return tmp_path / "index"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"since": "2019-07"}, [1, 2]),
        ({"since": "2019"}, [0, 1, 2]),
        ({"until": "2019-06"}, [0]),
        ({"until": "2019"}, [0, 1]),
        ({"since": "2019-07", "until": "2019-07-01"}, [1]),
        ({"kind": "moment"}, [4]),
        ({"camera": "canon"}, [0]),
        ({"camera": "apple IPHONE"}, [4]),
        ({"camera": "nikon canon"}, []),
        ({"camera": "%"}, [2]),
        ({"near": "52.5,13.4,1"}, [0]),
        ({"near": "52.5, 13.4, 2"}, [0, 1]),
        ({"near": "５２.５，１３.４，２"}, [0, 1]),
        ({"since": "2019/07/01", "until": "2019年7月"}, [1]),
        ({"near": "-33.9,151.2,0.1"}, [2]),
        ({"near": "90,0,2"}, [4]),
        ({"rating": 3}, [0, 1]),
        ({"where": ["width > height", "id in (1, 2)"]}, [1, 2]),
        ({"where": ["id = 1 or id = 2"], "rating": 3}, [1]),
        ({"where": ["id = 1 or id = 2"], "since": "2020"}, [2]),
    ],
    ids=str,
)
def test_each_option_is_a_condition_and_all_must_hold(index, given, found):
    table = Table.open(index)
    assert sorted(table.ids_where(Filters(**NOTHING | given).where(table))) == found


def test_a_folder_is_meant_with_what_lies_below_it(index, tmp_path, monkeypatch):
    table = Table.open(index)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "a_b")
    for folders, found in (
        (["a_b"], [0, 1, 2, 3]),
        (["./a_b/"], [0, 1, 2, 3]),
        (["link"], [0, 1, 2, 3]),
        (["a_b/deep", "aXb"], [3, 4]),
        (["a_b/1.jpg"], [1]),
        (["a"], []),
    ):
        condition = Filters(**NOTHING | {"folder": [Path(folder) for folder in folders]}).where(table)
        assert sorted(table.ids_where(condition)) == found


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"since": "2019-13"}, "--since 2019-13: there is no such date"),
        ({"until": "1.1.2019"}, "--until 1.1.2019: '1.1.2019' is not a date; the year comes first: write '2019'"),
        ({"since": "2019-01-01 10:00Z"}, "--since 2019-01-01 10:00Z: the camera's clock has no zone"),
        ({"near": "52.5,13.4"}, "--near 52.5,13.4: give degrees north"),
        ({"near": "Berlin"}, "--near Berlin: give degrees north"),
        ({"near": "91,0,1"}, "--near 91,0,1: the latitude is 91"),
        ({"near": "0,nan,1"}, "--near 0,nan,1: the longitude is nan"),
        ({"near": "0,0,-1"}, "--near 0,0,-1: the distance is -1"),
        ({"camera": " "}, "--camera: name a camera"),
    ],
    ids=str,
)
def test_a_value_that_says_nothing_is_named(given, says):
    with pytest.raises(UsageError) as caught:
        Filters(**NOTHING | given)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--rating", "5", "--kind", "moment"], "each of --kind moment, --rating 5 is fulfilled by some item"),
        (["--camera", "leica"], "--camera leica (cameras: Canon EOS 5D, NIKON D750, 100%, Apple iPhone 12)"),
        (["--where", "camera_make = 'canon'"], "1 would with ILIKE"),
        (["--where", "camera_make like 'nik%' or rating = 4"], "1 would with ILIKE"),
        (["--folder", "/nowhere", "--folder", "/"], "no item lies below /nowhere\n"),
        (["--folder", "/nowhere"], "no item lies below /nowhere (indexed: "),
        (["--where", "iso > 3"], "no item fulfils --where 'iso > 3'"),
        (["--near", "-1,-1,1"], "no item fulfils --near -1,-1,1"),
        (["--since", "2019-07"], "left out: 2 without a date"),
        (["--near", "0,0,30000", "--kind", "image"], "left out: 1 without a place"),
    ],
    ids=" ".join,
)
def test_what_is_left_out_is_said(run, index, words, says):
    ran = run("similar", "--index", index, *words)
    assert ran.status == 0
    assert says in ran.err


@pytest.mark.parametrize(
    ("given", "what"),
    [("--since 2019", "date"), ("--near 1,1,1", "place"), ("--rating 1", "rating"), ("--camera x", "camera")],
)
def test_what_no_item_has_is_said(run, tmp_path, given, what):
    Table.create(tmp_path / "bare", MODEL).append(rows(range(3)))
    assert (
        f"no item fulfils {given}: none has a {what}"
        in run("similar", "--index", tmp_path / "bare", *given.split()).err
    )


def test_similar_looks_at_a_part(run, index):
    def groups(*words):
        lines = run("similar", "--index", index, "--json", *words).out.splitlines()
        return sorted(Path(json.loads(line)["uri"]).stem for line in lines)

    assert groups() == ["0", "1", "2", "3"]
    assert groups("--rating", "3") == ["0", "1"]
    assert groups("--where", "id != 0") == ["2", "3"]
    assert groups("--kind", "moment") == []
    assert run("similar", "--index", index, "--where", "width >> 1").status == 2


def test_a_video_counts_with_all_its_moments(tmp_path):
    from sightline.search import near_duplicates

    table = Table.create(tmp_path / "index", MODEL)
    ways = np.eye(8).tolist()
    table.append(
        rows(
            range(5),
            uri=["/a.mp4", "/b.mp4", "/a.mp4", "/b.mp4", "/c.mp4"],
            kind=["moment"] * 5,
            start=[0, 0, 5, 5, 0],
            vector=[ways[0], ways[0], ways[1], ways[1], ways[0]],
        )
    )
    found = near_duplicates(table, where="start >= 5")
    assert [sorted(file.uri for file in group) for group in found] == [["/a.mp4", "/b.mp4"]]
    assert near_duplicates(table, where="uri = '/a.mp4'") == []


def test_info_as_json(run, index):
    (line,) = run("info", "--index", index, "--json").out.splitlines()
    said = json.loads(line)
    assert (said["images"], said["moments"], said["format"]) == (4, 1, 3)
    columns = {column["name"]: column for column in said["columns"]}
    assert columns["rating"] == {
        "name": "rating",
        "kind": "number",
        "rows": 4,
        "meaning": "0 to 5 stars; -1 is rejected",
    }
    assert (columns["taken"]["kind"], columns["keywords"]["kind"]) == ("date", "list of texts")
    assert "vector" not in columns
