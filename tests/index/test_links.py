"""Files that go by several names: one item each, whichever name came first and in whichever run."""

import os
import shutil

import pytest

from sightline.index import Table
from sightline.index.settings import read_settings
from sightline.index.sync import sync
from support.encoders import FakeEncoder
from support.images import draw
from support.tables import contents, counts, ids


@pytest.fixture
def two(tmp_path):
    """Two folders: `all` with three pictures, and `best`, with a picture of its own, for links."""
    for seed in range(3):
        draw(tmp_path / "all" / f"{seed}.png", seed)
    draw(tmp_path / "best" / "own.png", 9)
    return tmp_path / "all", tmp_path / "best"


def link(kind, file, name):
    """Give a file, or its folder, another name."""
    if kind == "symbolic":
        name.symlink_to(file)
        return name
    if kind == "hard":
        os.link(file, name)
        return name
    name.with_suffix("").symlink_to(file.parent)
    return name.with_suffix("") / file.name


KINDS = pytest.mark.parametrize("kind", ["symbolic", "hard", "folder"])


@KINDS
def test_a_link_of_a_file_that_an_earlier_run_indexed_is_left_aside(two, index, encoder, kind):
    photos, best = two
    sync(index, [photos], encoder)
    name = link(kind, photos / "1.png", best / "one.png")
    more = 3 if kind == "folder" else 1
    assert counts(sync(index, [best], encoder)) == {"added": 1, "links": more}
    assert counts(sync(index, [best], encoder)) == {"unchanged": 1, "links": more}
    assert name not in contents(index)
    assert sync(index, [photos, best], encoder).indexed == 4


@KINDS
def test_a_file_that_was_indexed_by_a_link_gets_its_own_name_when_it_is_indexed(two, index, encoder, kind):
    photos, best = two
    name = link(kind, photos / "1.png", best / "one.png")
    sync(index, [best], encoder)
    before = ids(index)
    encoder.seen.clear()
    report = sync(index, [photos], encoder)
    assert "1.png" not in encoder.seen, "its row is kept"
    after = ids(index)
    assert len(after) == 4, "no file is there twice"
    if kind == "hard":  # neither name is better: the one that is there stays
        assert report.links == 1
        assert after[name] == before[name]
    else:
        assert report.moved == (3 if kind == "folder" else 1)
        assert after[photos / "1.png"] == before[name]
    again = sync(index, [photos, best], encoder)
    assert (again.added, again.changed, again.indexed) == (0, 0, 4)


@KINDS
def test_an_index_that_holds_a_link_and_its_file_is_put_right(two, index, encoder, kind):
    photos, best = two
    shutil.copytree(photos, best / "copies", copy_function=shutil.copy2)
    sync(index, [photos.parent], encoder)
    name = photos / "x.png"
    shutil.rmtree(best / "copies")
    if kind == "folder":
        (best / "copies").symlink_to(photos)
    else:
        (best / "copies").mkdir()
        for file in photos.iterdir():
            link(kind, file, best / "copies" / file.name)
    report = sync(index, [photos.parent], encoder)
    assert (report.removed, report.removed_links, report.indexed) == (3, 3, 4)
    assert set(contents(index)) == {best / "own.png", *photos.iterdir()}
    assert not name.exists()


def test_a_folder_of_nothing_but_links_is_no_missing_disk(two, index, encoder):
    photos, best = two
    (best / "one.png").symlink_to(photos / "1.png")
    (best / "own.png").unlink()
    assert counts(sync(index, [best], encoder)) == {"added": 1}
    assert counts(sync(index, [photos], encoder)) == {"added": 2, "moved": 1}
    assert counts(sync(index, [best], encoder)) == {"links": 1}
    assert read_settings(index).folders == (str(photos), str(best))


def test_files_move_while_their_links_remain(two, index, encoder, tmp_path):
    photos, best = two
    (photos / "link.png").symlink_to("1.png")
    sync(index, [photos], encoder)
    before = ids(index)
    (photos / "1.png").rename(photos / "sub.png")
    report = sync(index, [photos], encoder)
    assert (report.moved, report.skipped[0][1]) == (1, "it is a link to nothing")
    assert ids(index)[photos / "sub.png"] == before[photos / "1.png"]
    (photos / "sub.png").rename(tmp_path / "out.png")
    (photos / "link.png").unlink()
    (photos / "link.png").symlink_to(tmp_path / "out.png")
    assert counts(sync(index, [photos], encoder)) == {"moved": 1, "unchanged": 2}
    (photos / "link.png").unlink()
    (photos / "link.png").symlink_to(best / "own.png")
    assert counts(sync(index, [photos], encoder)) == {"changed": 1, "unchanged": 2}
    assert contents(index)[photos / "link.png"]["hash"] != contents(index)[photos / "0.png"]["hash"]


def test_a_link_given_by_its_name(two, index, encoder):
    photos, best = two
    name = best / "chosen"
    name.symlink_to(photos / "1.png")
    assert counts(sync(index, [name], encoder)) == {"added": 1}
    assert counts(sync(index, [name], encoder)) == {"unchanged": 1}
    assert counts(sync(index, [photos], encoder)) == {"added": 2, "moved": 1}
    assert counts(sync(index, [name], encoder)) == {"links": 1}
    assert set(contents(index)) == set(photos.iterdir())


def test_copies_are_no_links(two, index, encoder):
    photos, best = two
    for name in ("a.png", "b.png"):
        shutil.copy2(photos / "1.png", best / name)
    sync(index, [photos], encoder)
    assert counts(sync(index, [best], encoder)) == {"added": 3}
    assert Table.open(index).count() == 6
    assert contents(index)[best / "a.png"]["hash"] == contents(index)[photos / "1.png"]["hash"]
    assert counts(sync(index, [photos, best], FakeEncoder())) == {"unchanged": 6}


def test_a_file_whose_name_became_a_link_to_itself_is_gone(two, index, encoder):
    photos, _ = two
    sync(index, [photos], encoder)
    (photos / "1.png").unlink()
    (photos / "1.png").symlink_to("1.png")
    assert counts(sync(index, [photos], encoder)) == {"unchanged": 2, "removed": 1}
