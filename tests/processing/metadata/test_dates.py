"""Dates in the forms that cameras and programs write."""

import time
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sightline.processing.metadata import read_image_metadata
from sightline.processing.metadata.dates import LocalTime, from_timestamp, local_time, parse_date

WHOLE = (2025, 1, 14, 18, 31, 30)


@pytest.mark.parametrize(
    ("text", "moment", "offset"),
    [
        ("2025:01:14 18:31:30", WHOLE, None),
        ("2025:01:14 18:31:30\0", WHOLE, None),
        ("2025:01:14 18:31:30+0000", WHOLE, 0),
        ("2025:01:14 18:31:30.27-05:30", (*WHOLE, 270_000), -330),
        ("2025:01:14 18:31:30 +02:00", WHOLE, 120),
        ("2025-01-14 18:31:30", WHOLE, None),
        ("2025-01-14T18:31:30", WHOLE, None),
        ("2025-01-14T18:31:30Z", WHOLE, 0),
        ("2025-01-14T18:31:30.1234567Z", (*WHOLE, 123_456), 0),
        ("2025/01/14 18:31:30", WHOLE, None),
        ("2025.01.14 18:31:30 UTC", WHOLE, 0),
        ("2025:01:14 6:31:30 PM", WHOLE, None),
        ("2025:01:14 12:05 am", (2025, 1, 14, 0, 5), None),
        ("2025: 1:14 18:31:30", WHOLE, None),
        ("٢٠٢٥:٠١:١٤ ١٨:٣١:٣٠", WHOLE, None),  # a phone that is set to Arabic
        ("20250114T183130+02", WHOLE, 120),
        ("20250114", WHOLE[:3], None),
        ("2025:01:14 18:31", WHOLE[:5], None),
        ("2025:01:14 18:31:70", WHOLE[:5], None),
        ("2025:01:14", WHOLE[:3], None),
        ("2025:01:14   :  :  ", WHOLE[:3], None),
        ("2025:01:14 99:99:99", WHOLE[:3], None),
        ("2016:01:01 24:05:00", (2016, 1, 2, 0, 5), None),
        ("2016:12:31 23:59:60", (2017, 1, 1), None),
        ("2025:01:14 18:31:30+99:00", WHOLE, None),
        ("2024:02:21 10:14:22.27-05:30", (2024, 2, 21, 10, 14, 22, 270_000), -330),
        ("\0\ufeff 2025:01:14 18:31:30", WHOLE, None),
        ('"2025:01:14 18:31:30"', WHOLE, None),
        ("2025:01:14T18:31:30", WHOLE, None),
        ("2025-01-14 18.31.30", WHOLE, None),
        ("2025-01-14-18-31-30", WHOLE, None),
        ("2025-01-14, 18:31:30", WHOLE, None),
        ("2025.1.14. 18:31:30", WHOLE, None),
        ("2025：01：14　18：31：30", WHOLE, None),
        ("2025年1月14日 18時31分30秒", WHOLE, None),
        ("2025:01:14 下午6:31:30", WHOLE, None),
        ("2025. 1. 14. 오후 6:31:30", WHOLE, None),
        ("2025:01:14 上午12:05", (2025, 1, 14, 0, 5), None),
        ("2025:01:14 06:31:30 p. m.", WHOLE, None),
        ("2025:01:14 06:31:30pm", WHOLE, None),
        ("2025:01:14 18:31:30:27", WHOLE, None),
        ("2025:01:14 18:31:30 CET", WHOLE, None),
        ("Tue, 14 Jan 2025 18:31:30 +0100", WHOLE, 60),
        ("14 January 2025 18:31:30 GMT", WHOLE, 0),
        ("Tue 14 Jan 2025 06:31:30 PM CET", WHOLE, None),
        ("Tue Jan 14 18:31:30 2025", WHOLE, None),
        ("Jan 14 18:31 2025", WHOLE[:5], None),
    ],
)
def test_forms(text, moment, offset):
    assert parse_date(text) == LocalTime(datetime(*moment), offset)


@pytest.mark.parametrize(
    "text",
    [
        *("", None, "    :  :     :  :  ", "0000:00:00 00:00:00", "0000-00-00T00:00:00Z", "now", "14.01.2025", "2025"),
        *("25:01:14 18:31:30", "01/14/2025 18:31", "14 Foo 2025 18:31:30", "Tue", "2025:00:14", "2025:13:01 10:00:00"),
        *("2025:02:30 10:00:00", "1904:01:01 00:00:00", "1970:01:01 00:00:00", "1970-01-01T02:00:00+02:00"),
        *("1904:01:01 03:25:45", "1970-01-01T23:59:59Z", "1970:01:02 01:00:00+02:00"),
        *("1825:01:01 00:00:00", "9999:12:31 23:59:59", "2567:01:01 00:00:00", "12025:01:14 00:00:00"),
    ],
)
def test_no_dates(text):
    assert parse_date(text) is None


def test_a_year_ahead_is_the_limit():
    ahead = datetime.now() + timedelta(days=300)
    assert parse_date(ahead.isoformat())
    assert parse_date((ahead + timedelta(days=100)).isoformat()) is None


def test_other_fields_add_their_part():
    assert parse_date("2025:01:14 18:31:30", "+01:00", "5 ") == LocalTime(datetime(*WHOLE, 500_000), 60)
    assert parse_date("2025:01:14 18:31:30-03:00", "+01:00", "x") == LocalTime(datetime(*WHOLE), -180)


@pytest.fixture
def new_york(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone can only be set on Unix")
@pytest.mark.usefixtures("new_york")
def test_utc_is_turned_by_the_zone_of_that_day():
    assert local_time(datetime(2021, 1, 1, tzinfo=UTC)) == LocalTime(datetime(2020, 12, 31, 19), -300)
    assert local_time(datetime(2021, 7, 1)) == LocalTime(datetime(2021, 6, 30, 20), -240)
    assert from_timestamp(1_609_459_200.5) == LocalTime(datetime(2020, 12, 31, 19, 0, 0, 500_000), -300)


@pytest.mark.parametrize("seconds", [0, 86_399, -2_082_844_800, -2_082_844_700, -1e10, 1e11])
def test_no_instants(seconds):
    assert from_timestamp(seconds) is None


@given(st.text() | st.from_regex(r"[0-9: TZ+./-]{0,40}"), st.text(max_size=8), st.text(max_size=8))
def test_any_text_is_a_date_or_none(text, offset, fraction):
    moment = parse_date(text, offset, fraction)
    assert moment is None or 1826 <= moment.time.year <= datetime.now().year + 2


MOMENTS = st.datetimes(datetime(1827, 1, 1), datetime(2024, 12, 31)).map(lambda moment: moment.replace(microsecond=0))


@given(MOMENTS, st.sampled_from(":-/."), st.sampled_from(" T_"), st.text().filter(lambda text: not text.isdecimal()))
def test_whatever_follows_a_date_and_a_time(moment, separator, between, rest):
    if moment.date() in {date(1904, 1, 1), date(1970, 1, 1)}:
        return
    text = moment.strftime(f"{moment.year:04}{separator}%m{separator}%d{between}%H:%M:%S")
    read = parse_date(text + "|" + rest)
    assert read == LocalTime(moment, None)


@pytest.mark.parametrize(
    ("texts", "taken", "source"),
    [
        ({"Creation Time": "Tue, 14 Jan 2025 18:31:30 +0100"}, datetime(*WHOLE), "png"),
        ({"Creation Time": "2025-01-14T18:31:30Z"}, datetime(*WHOLE), "png"),
        ({"Creation Time": "yesterday"}, None, None),
        ({"date:create": "2025-01-14T18:31:30Z"}, None, None),
    ],
)
def test_png_says_when_it_was_made(tmp_path, texts, taken, source):
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    Image.new("RGB", (4, 4)).save(tmp_path / "IMG_20240102_030405.png", pnginfo=info)
    record = read_image_metadata(tmp_path / "IMG_20240102_030405.png")
    assert (record.taken, record.taken_source) == (taken, source)
