"""Tags of containers that PyAV does not write."""

from datetime import datetime

import pytest

from sightline.processing.metadata.video import read_clock, read_tags


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("+52.5200+013.4050+034.000/", (52.52, 13.405, 34.0)),
        ("+52.5200-013.4050/", (52.52, -13.405, None)),
        ("-5231.2+01324.3/", (-52.52, 13.405, None)),
        ("+523112+0132418-5/", (52.52, 13.405, -5.0)),
        ("+00.0000+000.0000/", (None, None, None)),
        ("+526112+0132418/", (None, None, None)),
        ("+523160+0132418/", (None, None, None)),
        ("+95.0+013.0/", (None, None, None)),
        ("somewhere", (None, None, None)),
    ],
)
@pytest.mark.parametrize("name", ["com.apple.quicktime.location.iso6709", "location", "location-eng"])
def test_places(name, text, place):
    found = read_tags({name: text}, "mp4")
    assert (found.latitude, found.longitude, found.altitude) == (
        pytest.approx(place[0]) if place[0] else None,
        pytest.approx(place[1]) if place[1] else None,
        place[2],
    )


def test_avi_tells_local_time():
    found = read_tags({"creation_time": "2003-03-10 15:04:43", "date": "2009"}, "avi")
    assert (found.taken, found.taken_offset, found.taken_source) == (datetime(2003, 3, 10, 15, 4, 43), None, "avi")
    assert read_clock({"creation_time": "2003-03-10 15:04:43"}, "avi").taken is None


def test_android():
    found = read_tags({"com.android.manufacturer": "Google", "com.android.model": "Pixel 8"}, "mp4")
    assert (found.camera_make, found.camera_model) == ("Google", "Pixel 8")


@pytest.mark.parametrize("comment", ["https://example.org/watch?v=1", "HandBrake 1.7", "  ", "Lavf58.20.100"])
def test_comments_of_programs(comment):
    assert read_tags({"comment": comment}, "mp4").caption is None
