"""What a column is compared with, as a value of the column's type. Each raises Unsuitable, with the reason, for values
of another type."""

import os
import unicodedata
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa

from sightline.index.columns import Column
from sightline.index.filter import tree
from sightline.index.filter.dates import FORMS, Period, period
from sightline.index.filter.grammar import quoted
from sightline.index.filter.tokens import Unsuitable
from sightline.index.uri import to_uri

_BYTES: dict[str, int] = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
_SECONDS: dict[str, int | Decimal] = {"MS": Decimal("0.001"), "S": 1, "SEC": 1, "MIN": 60, "H": 3600, "CLOCK": 1}
_UNITS: dict[str, Mapping[str, int | Decimal]] = {
    "size": _BYTES, "start": _SECONDS, "end": _SECONDS, "duration": _SECONDS, "exposure": {**_SECONDS, "/": 1},
}  # fmt: skip
_WANTED = {
    "number": "compare it with a number, without quotes",
    "text": "compare it with a text in single quotes",
    "date": f"compare it with a date in single quotes, such as {FORMS}",
    "yes or no": "write the column alone, or compare it with true or false",
    "list of texts": "compare it with a text in single quotes, which is then one of them",
}
KINDS = ("image", "moment")
"""The values of the column `kind`."""


def wrong_type(column: Column) -> Unsuitable:
    article = "" if column.kind == "yes or no" else "a "
    return Unsuitable(f"{column.name} is {article}{column.kind} ({column.meaning}): {_WANTED[column.kind]}")


def number(column: Column, value: tree.Operand) -> Decimal:
    """The number with its unit resolved: 10MB for a size, 90s or 1:30 for times in a video."""
    if not isinstance(value, tree.Number):
        raise wrong_type(column)
    if not value.unit:
        return value.value
    units = _UNITS.get(column.name)
    if value.unit == "/" and column.name != "exposure":
        raise Unsuitable("there is no arithmetic; only exposure is written as a fraction, 1/100")
    if units is None:
        raise Unsuitable(f"{column.name} has no units ({column.meaning}): write the number alone")
    if value.unit.upper() not in units:
        known = "B, kB, MB, GB, TB or KiB, MiB, GiB, TiB" if column.name == "size" else "ms, s, min, h or 1:30"
        raise Unsuitable(f"{value.unit!r} is no unit of {column.name}; write the number alone or with {known}")
    return value.value * units[value.unit.upper()]


def real(column: Column, value: tree.Operand) -> str:
    """A literal of the column's own floating-point type, rounded to the nearest."""
    exact = number(column, value)
    with np.errstate(over="ignore"):
        rounded = float(np.float32(float(exact))) if pa.types.is_float32(column.type) else float(exact)
    return f"CAST('{rounded!r}' AS {'FLOAT' if pa.types.is_float32(column.type) else 'DOUBLE'})"


def text(column: Column, value: tree.Operand) -> str:
    if not isinstance(value, tree.Text) or value.keyword:
        raise wrong_type(column)
    if column.name == "kind" and value.value not in KINDS:
        raise Unsuitable(
            f"kind is 'image' or 'moment', not {value.value!r}; a video is held as its moments: kind = 'moment'"
        )
    if column.name != "uri":
        return utf_8(value.value)
    if not os.path.isabs(value.value) and "://" not in value.value:  # noqa: PTH117 (pathlib raises for some names)
        raise Unsuitable(f"uri is {column.meaning}; a part of it is found so: uri LIKE {quoted(f'%{value.value}%')}")
    return to_uri(value.value)


def utf_8(value: str) -> str:
    """The same text; raises Unsuitable if it holds bytes that were none."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unsuitable("the text holds bytes that are not UTF-8") from None
    return value


def forms(value: str) -> list[str]:
    """The text as it is and in both normal forms of Unicode, each once: as é is one character or two."""
    return list(dict.fromkeys((value, unicodedata.normalize("NFC", value), unicodedata.normalize("NFD", value))))


def date(column: Column, value: tree.Operand) -> Period:
    """A period: of no length after TIMESTAMP or DATE, as SQL has it."""
    if not isinstance(value, tree.Text):
        raise wrong_type(column)
    found = period(value.value)
    if found.first.tzinfo is not None and not column.has_zone:
        raise Unsuitable(f"{column.name} has no zone ({column.meaning}): leave out what follows the time")
    if found.first.tzinfo is not None:
        found = Period(*(time.replace(tzinfo=None) for time in found))
    if not value.keyword:
        return found
    is_point = found.last - found.first < timedelta(days=1) and value.value == value.value.strip()
    if not is_point or (value.keyword == "DATE" and ":" in value.value):
        example = "date '2019-06-30'" if value.keyword == "DATE" else "timestamp '2019-06-30 18:00:00'"
        raise Unsuitable(f"{value.keyword.lower()} {value.value!r} is not a point in time: write {example}")
    return Period(found.first, found.first)


def truth(column: Column, value: tree.Operand) -> bool:
    if not isinstance(value, tree.Truth):
        raise wrong_type(column)
    return value.value
