"""What is left out by patterns, and how patterns come and go."""

import os

import pytest
from hypothesis import given, strategies as st

from sightline.errors import IndexFault, UsageError
from sightline.index.exclude import DEFAULTS, Patterns, clean_pattern, pattern_of
from sightline.index.settings import Settings, read_settings
from sightline.index.sync import forget, sync
from support.examples import examples
from support.images import draw
from support.tables import contents, counts

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    ("pattern", "path", "fulfilled"),
    [
        ("@eaDir", "a/@eaDir", True),
        ("@eaDir", "a/@eaDir/1.jpg", True),
        ("@eaDir", "a/@eaDirs", False),
        ("@eadir", "a/@eaDir", False),
        ("*.png", "a/1.png", True),
        ("*.png", "a/1.PNG", False),
        ("*.png", "a.png/1.jpg", True),
        ("?.png", "12.png", False),
        ("IMG_????.jpg", "x/IMG_0001.jpg", True),
        ("a/b", "a/b/1.jpg", True),
        ("a/b", "x/a/b", False),
        ("./a/b/", "a/b", True),
        ("a/*", "a/b/c", True),
        ("a/*/c", "a/c", False),
        ("a/*/c", "a/x/y/c", False),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/x/y/c", True),
        ("**/b/c", "b/c", True),
        ("a/**", "a", False),
        ("a/**", "a/1.jpg", True),
        ("/photos/a", "a/1.jpg", True),
        ("/photos/a", "ab", False),
        ("/other/a", "a", False),
        ("/photos/*/raw", "2024/raw/1.jpg", True),
        ("/", "a", None),
        ("[a]", "a", False),
        ("[a]", "[a]", True),
        (r"a\*", "a*", True),
        (r"a\*", "ab", False),
        (COMPOSED, DECOMPOSED, True),
        (DECOMPOSED, COMPOSED, True),
        (f"{DECOMPOSED}/*", f"{COMPOSED}/1.jpg", True),
        ("a*", "a\nb", True),
        ("photos", "1.jpg", False),
        (" ", "a b", False),
    ],
)
def test_patterns(pattern, path, fulfilled):
    if fulfilled is None:
        with pytest.raises(UsageError):
            clean_pattern(pattern)
        return
    patterns = Patterns([clean_pattern(pattern)], ["/photos"])
    assert patterns.match_above(f"/photos/{path}") == (clean_pattern(pattern) if fulfilled else None)


@pytest.mark.parametrize(
    "pattern", ["", "/", ".", "..", "../a", "a//b", "a/../b", "a/./b", "a\0b", os.fsdecode(b"caf\xe9")]
)
def test_what_is_no_pattern(pattern):
    with pytest.raises(UsageError, match="is no"):
        clean_pattern(pattern)


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=6)


@examples(100)
@given(st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4), NAMES)
def test_the_pattern_of_a_path_is_fulfilled_by_it_and_not_by_its_neighbour(names, other):
    path = "/photos/" + "/".join(names)
    patterns = Patterns([pattern_of(path)], ["/photos"])
    assert patterns.match_above(path)
    assert patterns.match_above(path + "/x")
    assert not patterns.match_above(path + "\u0437" + other)


def test_a_pattern_that_is_nothing_but_odd_characters_ends():
    assert Patterns(["*" * 40 + "b", "**/" * 40 + "b"], ["/p"]).match_above("/p/" + "a/" * 9 + "a" * 99) is None


def test_what_storage_systems_keep_beside_photos_is_left_out(photos, index, encoder):
    for number, name in enumerate(DEFAULTS):
        draw(photos / name / f"{number}.png", 40 + number)
    report = sync(index, [photos], encoder)
    assert report.added == 8
    assert report.excluded == dict.fromkeys(DEFAULTS, 1)
    report = sync(index, [photos], encoder, include=["#recycle"])
    assert report.added == 1
    assert "#recycle" not in report.excluded
    assert read_settings(index) == Settings((str(photos),), (), ("#recycle",))
    report = sync(index, [photos], encoder, exclude=["#recycle"])
    assert (report.removed, report.removed_excluded, read_settings(index).include) == (1, 1, ())


def test_patterns_last_and_take_out_what_is_indexed(photos, index, encoder):
    sync(index, [photos], encoder)
    report = sync(index, [photos], encoder, exclude=["deep", "3.png"])
    assert (report.removed, report.removed_excluded, report.indexed) == (3, 3, 5)
    assert report.excluded == {"deep": 1, "3.png": 1}
    assert sync(index, [photos], encoder).indexed == 5
    with pytest.raises(UsageError, match="--include 'deep'"):
        sync(index, [photos / "deep"], encoder)
    with pytest.raises(UsageError, match="is no pattern by which"):
        sync(index, [photos], encoder, include=["4.png"])
    assert counts(sync(index, [photos / "deep"], encoder, include=["deep"])) == {"added": 2}
    assert read_settings(index).exclude == ("3.png",)
    assert sync(index, [photos], encoder).indexed == 7


def test_a_pattern_is_below_the_outermost_folder_whichever_is_given(photos, index, encoder):
    draw(photos / "a" / "deep" / "9.png", 60)
    sync(index, [photos], encoder, exclude=["deep/7.png", "a/deep"])
    assert {path.name for path in contents(index)} == {*(f"{n}.png" for n in range(7))}
    assert counts(sync(index, [photos / "deep"], encoder)) == {"unchanged": 1, "excluded": {"deep/7.png": 1}}


def test_patterns_that_would_leave_nothing_are_refused_and_not_kept(photos, index, encoder):
    sync(index, [photos], encoder)
    with pytest.raises(IndexFault, match="the patterns would leave nothing"):
        sync(index, [photos], encoder, exclude=["*.png"])
    assert counts(sync(index, [photos], encoder)) == {"unchanged": 8}


def test_no_link_leads_around_a_pattern(photos, index, encoder, tmp_path):
    draw(tmp_path / "away" / "private" / "9.png", 70)
    (photos / "album").symlink_to("deep")
    (photos / "six.png").symlink_to("deep/6.png")
    (photos / "away").symlink_to(tmp_path / "away" / "private")
    sync(index, [photos], encoder, exclude=["deep", str(tmp_path / "away")])
    assert sorted(path.name for path in contents(index)) == [f"{n}.png" for n in range(6)]


def test_forgetting_a_folder_of_an_indexed_one_lasts(photos, index, encoder):
    odd = photos / "what?"
    draw(odd / "9.png", 71)
    draw(photos / "whats" / "9.png", 72)
    sync(index, [photos], encoder)
    forgotten = forget(index, [photos / "deep", odd])
    assert forgotten == (3, [str(photos / "deep"), str(photos / r"what\?")])
    assert sync(index, [photos], encoder).indexed == 7
    assert forget(index, [photos / "deep"]) == (0, []), "it is left out already"
    assert forget(index, [photos / "nothing"]) == (0, [])
    sync(index, [photos], encoder, include=forgotten.patterns)
    assert contents(index).keys() >= {odd / "9.png", photos / "deep" / "6.png"}


@pytest.mark.parametrize("kept", [COMPOSED, DECOMPOSED])
def test_a_folder_is_known_in_either_unicode_form(tmp_path, index, encoder, kept):
    other = DECOMPOSED if kept == COMPOSED else COMPOSED
    draw(tmp_path / kept / f"{kept}.png", 1)
    draw(tmp_path / kept / "more.png", 2)
    assert counts(sync(index, [tmp_path / other / f"{other}.png"], encoder)) == {"added": 1}
    assert counts(sync(index, [tmp_path / kept], encoder)) == {"added": 1, "unchanged": 1}
    (tmp_path / kept / f"{kept}.png").unlink()
    assert forget(index, [tmp_path / other / f"{other}.png"]).files == 1
    assert forget(index, [tmp_path / other]).files == 1
