"""Dates in the forms that cameras and programs write."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

_DATE = re.compile(
    r"""(\d{4})\s*[:/.年-]\s*(\d{1,2})\s*[:/.月-]\s*(\d{1,2})(?!\d)
    (?:[T\s_,.日-]*(?<!\d)(上午|下午|午前|午後|오전|오후)?\s*
    (\d{1,2})\s*[:.時时-]\s*(\d{1,2})(?:\s*[:.分-]\s*(\d{1,2})(?:[.,](\d+))?秒?)?
    (?:\s*([AP])\.?\s?M\b)?)?""",
    re.VERBOSE | re.IGNORECASE,
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T?()(\d{2})(\d{2})(\d{2})?)?(?!\d)()()", re.IGNORECASE)
_MONTHS = "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"
_WEEKDAY = r"(?:[a-z]{3,9}\.?,?\s+)?"
_NAMED = (
    re.compile(
        _WEEKDAY + r"(?P<day>\d{1,2})[\s-](?P<month>[a-z]{3})[a-z]*[\s-](?P<year>\d{4})(?!\d)(?P<time>)",
        re.IGNORECASE,
    ),
    re.compile(
        _WEEKDAY + r"(?P<month>[a-z]{3})[a-z]*\s+(?P<day>\d{1,2})\s+(?P<time>[\d:]+\s+)(?P<year>\d{4})(?!\d)",
        re.IGNORECASE,
    ),
)
"""Internet mail's form (RFC 5322, 3.3), which PNG suggests, and C's `ctime`."""
_BEFORE = " \t\r\n\0\ufeff\"'"
"""What may stand before a date."""
_WIDE = str.maketrans("：／．－　", ":/.- ")
_AFTERNOON = {"下午", "午後", "오후", "P", "p"}
_OFFSET = re.compile(r"\s*(?:(Z|UTC|GMT)\b|([+-])\s*(\d{1,2}):?(\d{2})?(?!\d))", re.IGNORECASE)

_EARLIEST = 1826
"""The year of the first photograph that is kept."""
_UNSET = {date(1904, 1, 1), date(1970, 1, 1)}
"""The days that begin at zero on the clocks of QuickTime and of Unix: clocks that were never set show them."""
_MAX_OFFSET = 14 * 60


class LocalTime(NamedTuple):
    """A local wall-clock time, and how many minutes its zone is east of UTC, if that is known."""

    time: datetime
    offset: int | None


def dated(local: LocalTime | None, source: str | None) -> dict[str, Any]:
    """The fields of `Metadata` for a date that was read from `source`."""
    return {"taken": local and local.time, "taken_offset": local and local.offset, "taken_source": source}


def parse_date(text: str | None, offset: str | None = None, fraction: str | None = None) -> LocalTime | None:
    """The date and time with which `text` begins, whatever follows. The year comes first, or the month has its English
    name: of other orders nobody can tell which number is the month.

    A date without a time, or with an impossible time, is at 00:00:00; impossible seconds are 0. `offset` ("+02:00")
    and `fraction` (the digits of the second's fraction) are what other fields say of the same time. None for what
    is no date, for zero dates, and for dates that cannot be a photograph's: before 1826, or more than a year ahead.
    """
    text = _numbered((text or "").translate(_WIDE).lstrip(_BEFORE))
    match = _DATE.match(text) or _COMPACT.match(text)
    time = _time(match, (fraction or "").strip()) if match else None
    if not match or not time:
        return None
    minutes = _offset(text[match.end() :]) if match[5] else None
    if minutes is None:
        minutes = _offset(offset or "")
    if not _plausible(time) or (minutes and not _plausible(time - timedelta(minutes=minutes))):
        return None
    return LocalTime(time, minutes)


def local_time(instant: datetime | None) -> LocalTime | None:
    """An instant, as the clocks of this machine's zone showed it. `instant` without a zone is in UTC."""
    if instant is None or not _plausible(instant.replace(tzinfo=None)):
        return None
    local = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone()
    shift = local.utcoffset() or timedelta()
    return LocalTime(local.replace(tzinfo=None), round(shift.total_seconds() / 60))


def from_timestamp(seconds: float | None) -> LocalTime | None:
    """Seconds since 1970 in UTC, as the clocks of this machine's zone showed them."""
    if seconds is None:
        return None
    try:
        return local_time(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
    except OverflowError:
        return None


def _numbered(text: str) -> str:
    """A date with the English name of its month, in numbers; any other text as it is."""
    for pattern in _NAMED:
        match = pattern.match(text)
        if match and (month := match["month"].lower()) in _MONTHS:
            day = f"{match['year']}-{_MONTHS.index(month) + 1}-{match['day']}"
            return f"{day} {match['time']}{text[match.end() :].lstrip(', ')}"
    return text


def _time(match: re.Match[str], fraction: str) -> datetime | None:
    try:
        day = datetime(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None
    hour, minute, second = int(match[5] or 0), int(match[6] or 0), int(match[7] or 0)
    if half := match[4] or match[9]:
        hour = hour % 12 + 12 * (half in _AFTERNOON)
    if hour > 24 or minute > 59 or day.year == 9999:
        return day
    digits = fraction if fraction.isdecimal() else match[8] or ""
    microsecond = int(f"{digits[:6]:0<6}")
    if second > 60:
        second = microsecond = 0
    # By addition, since some cameras write 24:05:00 for five past midnight of the day after, and leap seconds are 60.
    return day + timedelta(hours=hour, minutes=minute, seconds=second, microseconds=microsecond)


def _offset(text: str) -> int | None:
    match = _OFFSET.match(text)
    if not match:
        return None
    minutes = int(match[3] or 0) * 60 + int(match[4] or 0)
    return None if minutes > _MAX_OFFSET else -minutes if match[2] == "-" else minutes


def _plausible(time: datetime) -> bool:
    latest = datetime.now() + timedelta(days=366)
    return time.year >= _EARLIEST and time <= latest and time.date() not in _UNSET
