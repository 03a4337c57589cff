"""Dates as people write them: each text is a period, a year, a month, a day, a minute, a second or a part of one."""

import re
import unicodedata
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sightline.index.filter.tokens import Unsuitable

FORMS = "'2019', '2019-06', '2019-06-30', '2019-06-30 18:00' or '2019-06-30 18:00:00'"
_DATE = re.compile(
    r"(?P<year>\d{4})(?:(?P<sign>[-/.:])(?P<month>\d\d?)(?:(?P=sign)(?P<day>\d\d?)"
    r"(?:[ T](?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?)?)?)?)?"
    r"(?: ?(?P<zone>Z|(?P<east>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?))?",
    re.ASCII,
)
_CHINESE = re.compile(r"(\d{4})年(?:(\d\d?)月(?:(\d\d?)日)?)?", re.ASCII)
_DIGITS = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)


class Period(NamedTuple):
    """The first and the last microsecond. They have a zone, UTC, if the text named one."""

    first: datetime
    last: datetime


def period(text: str) -> Period:
    """The time that a text names: '2019-06' is all of June. Raises Unsuitable, with the reason, for other texts."""
    match = _DATE.fullmatch(_with_signs(text))
    if match is None or (match["zone"] and match["hour"] is None):
        raise Unsuitable(f"{text!r} is not a date; the year comes first: write {FORMS}")
    names = ("year", "month", "day", "hour", "minute", "second")
    given = [int(match[name]) for name in names if match[name] is not None]
    fraction = match["fraction"]
    try:
        year, month, day, *time = [*given, 1, 1][: max(len(given), 3)]
        first = datetime(year, month, day, *time)  # type: ignore[arg-type]
        if fraction:
            first = first.replace(microsecond=int(fraction.ljust(6, "0")))
        last = _last(first, len(given), fraction)
        if match["zone"]:
            offset = _offset(match)
            first, last = ((time.replace(tzinfo=UTC) - offset) for time in (first, last))
    except (ValueError, OverflowError):  # the 31st of June, or an hour before the year 1
        raise Unsuitable(f"there is no such date as {text!r}") from None
    return Period(first, last)


def _with_signs(text: str) -> str:
    """2019年6月30日 and 20190630 as 2019-6-30 and 2019-06-30; wide signs and digits as narrow ones."""
    text = unicodedata.normalize("NFKC", text).strip()
    match = _CHINESE.match(text) or _DIGITS.match(text)
    return text if match is None else "-".join(filter(None, match.groups())) + text[match.end() :]


def _last(first: datetime, given: int, fraction: str | None) -> datetime:
    """`given`: how many of year, month, day, hour, minute and second are stated; a minute comes with its hour."""
    if fraction:
        return first.replace(microsecond=int(fraction.ljust(6, "9")))
    last = first.replace(microsecond=999_999)
    if given < 6:
        last = last.replace(second=59)
    if given < 5:
        last = last.replace(hour=23, minute=59)
    if given == 1:
        last = last.replace(month=12)
    return last.replace(day=monthrange(last.year, last.month)[1]) if given < 3 else last


def _offset(match: re.Match[str]) -> timedelta:
    """East of UTC."""
    if match["zone"] == "Z":
        return timedelta()
    hours, minutes = int(match["hours"]), int(match["minutes"] or 0)
    if minutes > 59 or hours > 14:
        raise ValueError
    return timedelta(hours=hours, minutes=minutes) * (1 if match["east"] == "+" else -1)
