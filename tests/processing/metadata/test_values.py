"""What files state and what makes no sense."""

import pytest

from sightline.processing.metadata import read_image_metadata
from sightline.processing.metadata.exif import read_exif
from sightline.processing.metadata.values import clean, sexagesimal, unique
from sightline.processing.metadata.video import read_clock
from support.headers import exif, gps, jpeg


@pytest.mark.parametrize("parts", [(52, 60, 0), (52, 0, 60), (52, float("nan"), 0), (52, -1, 0)])
def test_sixty_minutes_are_no_minutes(parts):
    assert sexagesimal(parts) is None


@pytest.mark.parametrize(("seconds", "is_place"), [(59, True), (60, False)])
def test_sixty_seconds_are_no_place(tmp_path, seconds, is_place):
    jpeg(tmp_path / "a.jpg", exif({}, {}, gps((52, 31, seconds), (3, 4, 0), 5)))
    found = read_image_metadata(tmp_path / "a.jpg")
    assert ((found.latitude is not None), (found.longitude is not None)) == (is_place, is_place)


def test_sixty_are_refused_and_less_is_not():
    assert sexagesimal((52, 59, 59.999)) == pytest.approx(53, abs=1e-5)
    assert sexagesimal(("52",)) == 52


@pytest.mark.parametrize("hidden", "\u202a\u202e\u2066\u2069\u200b\ufeff")
def test_characters_that_hide_or_turn_text_are_dropped(hidden):
    assert clean(f"a{hidden}b") == "ab"
    assert clean(f" {hidden} ") is None


def test_an_invisible_keyword_is_no_keyword():
    assert unique(["\u200b", "\u200d", "\u2060 \u00ad", "dog", "d\u200bog"]) == ("dog",)
    assert clean("\U0001f468\u200d\U0001f469") == "\U0001f468\u200d\U0001f469", "joined emoji stay joined"


@pytest.mark.parametrize(
    ("tag", "name", "most"),
    [(0x829D, "f_number", 1000), (0x829A, "exposure", 100_000), (0x920A, "focal_length", 10_000)],
)
def test_measures_beyond_what_cameras_have(tag, name, most):
    assert getattr(read_exif(exif({tag: float(most)})), name) == most
    assert getattr(read_exif(exif({tag: float(most + 1)})), name) is None


@pytest.mark.parametrize("text", ["1904-01-01T11:00:00.000000Z", "1970-01-01T00:00:59.000000Z"])
def test_a_clock_that_was_never_set(text):
    assert read_clock({"creation_time": text}, "mp4").taken is None
