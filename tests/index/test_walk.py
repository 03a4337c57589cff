"""Which files of a folder are indexed, and in which order."""

import itertools
import os

import pytest

from sightline.errors import UsageError
from sightline.index import walk
from sightline.index.exclude import DEFAULTS, Patterns
from support.images import draw


@pytest.fixture
def here(tmp_path):
    """Makes empty files; gives the names, relative, that a listing of the folder has."""

    class Here:
        path = tmp_path
        patterns = DEFAULTS

        def make(self, *names):
            for name in names:
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).touch()

        def listing(self, *roots):
            roots = walk.roots_of([tmp_path / root for root in roots] or [tmp_path])
            self.found = walk.list_files(roots, tmp_path / "index", Patterns(self.patterns, [str(tmp_path)]))
            return [os.path.relpath(path, tmp_path) for path in self.found.files]

        def links(self):
            return {
                os.path.relpath(link, tmp_path): os.path.relpath(name, tmp_path)
                for link, name in self.found.links.items()
            }

        def skipped(self):
            return {str(path.relative_to(tmp_path)): reason for path, reason in self.found.skipped}

    return Here()


def test_pictures_by_suffix_in_the_order_of_their_paths(here):
    here.make("b/2.JPG", "b/1.webp", "a.png", "notes.txt", "jpg", "b/c/x.tiff", "-n.gif", "b.jpeg")
    assert here.listing() == ["-n.gif", "a.png", "b.jpeg", "b/1.webp", "b/2.JPG", "b/c/x.tiff"]
    assert here.found.skipped == []


def test_hidden_names_and_the_index_itself_are_left_out(here):
    here.make("a.png", ".b.png", ".trash/c.png", "index/thumb.png", "x/.d/e.png")
    (here.path / "to-index").symlink_to("index")
    assert here.listing() == ["a.png"]


def test_roots_may_repeat_nest_and_be_files(here):
    here.make("a/b/1.png", "a/2.png", "c/3.dat", "c/4.png")
    (here.path / "link").symlink_to("a")
    assert here.listing("a", "a/b", "a", "a/2.png", "a/../a/b", "link", "c/3.dat") == [
        "a/2.png",
        "a/b/1.png",
        "c/3.dat",
    ]
    assert here.listing("a/b/..", "c/3.dat", "c/./3.dat") == ["a/2.png", "a/b/1.png", "c/3.dat"]


def test_loops_of_links_end_and_each_folder_is_seen_once(here):
    here.make("a/1.png", "far/2.png")
    for name, target in {"a/up": "..", "a/self": ".", "0": "a", "ring1": "ring2", "ring2": "ring1"}.items():
        (here.path / name).symlink_to(target)
    (here.path / "loop.png").symlink_to("loop.png")
    (here.path / "a/away").symlink_to(here.path / "far")
    assert here.listing() == ["a/1.png", "far/2.png"]
    assert here.skipped() == {"loop.png": "it is a loop of links"}
    assert here.listing("a") == ["a/1.png", "a/away/2.png"]


def test_a_link_is_an_item_only_where_the_file_has_no_other_name_there(here):
    here.make("a.png", "elsewhere/b.dat", ".hidden/c.png")
    targets = {
        "best/l.png": "../a.png",
        "best/chain.png": "l.png",
        "m.png": "elsewhere/b.dat",
        "n.png": "elsewhere/b.dat",
        "c.png": ".hidden/c.png",
        "dangling.png": "nothing.png",
    }
    (here.path / "best").mkdir()
    for name, target in targets.items():
        (here.path / name).symlink_to(target)
    assert here.listing() == ["a.png", "c.png", "m.png"]
    assert here.links() == {"best/l.png": "a.png", "best/chain.png": "a.png", "n.png": "m.png"}
    assert here.skipped() == {"dangling.png": "it is a link to nothing"}


def test_links_of_folders_and_links_as_roots(here):
    here.make("all/1.png", "all/deep/2.png", "out/3.png")
    (here.path / "all/album").symlink_to("deep")
    (here.path / "all/out").symlink_to(here.path / "out")
    (here.path / "all/three.png").symlink_to(here.path / "out/3.png")
    (here.path / "root.png").symlink_to("all/1.png")
    assert here.listing("all", "root.png") == ["all/1.png", "all/deep/2.png", "all/out/3.png"]
    assert here.links() == {"all/album": "all/deep", "all/three.png": "all/out/3.png", "root.png": "all/1.png"}
    assert here.listing("root.png") == ["root.png"]
    assert here.listing("all", "out", "root.png") == ["all/1.png", "all/deep/2.png", "out/3.png"]


def test_hard_links_are_one_item_and_copies_are_several(here):
    for name in ("b.png", "copy.png"):
        draw(here.path / name, 1)
        os.utime(here.path / name, ns=(10**18, 10**18))
    os.link(here.path / "b.png", here.path / "a.png")
    (here.path / "0.png").symlink_to("a.png")
    assert here.listing() == ["a.png", "copy.png"]
    assert here.links() == {"0.png": "a.png", "b.png": "a.png"}


@pytest.mark.parametrize("number", ["one for all", "another at each look"])
def test_inode_numbers_alone_make_no_two_files_one(here, monkeypatch, number):
    for name in ("a.png", "b.png", "c.png"):
        draw(here.path / name, ord(name[0]))
        os.link(here.path / name, here.path / f".{name}")
    really, count = os.stat, itertools.count(1)

    def stat(path, **options):
        fields = list(really(path, **options))
        found = really(path, **options)
        fields[1] = 7 if number == "one for all" else next(count)
        names = (
            "st_atime",
            "st_mtime",
            "st_ctime",
            "st_atime_ns",
            "st_mtime_ns",
            "st_ctime_ns",
            "st_blksize",
            "st_blocks",
            "st_rdev",
        )
        return os.stat_result(fields, {name: getattr(found, name) for name in names})

    monkeypatch.setattr(walk.os, "stat", stat)
    assert here.listing() == ["a.png", "b.png", "c.png"]


def test_folders_and_pipes_called_like_pictures(here):
    here.make("album.jpg/1.png")
    os.mkfifo(here.path / "pipe.png")
    assert here.listing() == ["album.jpg/1.png"]
    assert here.skipped() == {"pipe.png": "it is not a file"}


def test_a_folder_that_is_denied_is_named_and_what_is_below_stays_unknown(here, monkeypatch):
    here.make("a/1.png", "b/2.png", "b/c/3.png")
    really = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert here.listing() == ["a/1.png"]
    assert here.skipped() == {"b": "Permission denied"}
    assert here.found.is_blocked(str(here.path / "b/c/3.png"))
    assert not here.found.is_blocked(str(here.path / "bb.png"))


@pytest.mark.parametrize("name", ["线\n换.png", "-rf.png", "%41.png", "a\\b.png", "\U0001f408.png", b"\xff\xfe.png"])
def test_odd_names(here, name):
    name = os.fsdecode(name)
    draw(here.path / name, 1)
    assert here.listing() == here.listing(name) == [name]


def test_no_paths_are_no_use():
    with pytest.raises(UsageError):
        walk.roots_of([])


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [("/a", "/a", True), ("/a/b", "/a", True), ("/ab", "/a", False), ("/a", "/", True), ("/a", "/a/b", False)],
)
def test_below(path, root, below):
    assert walk.is_below(path, root) is below
