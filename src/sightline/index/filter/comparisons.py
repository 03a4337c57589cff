"""Comparisons of a column with a value, or with a column, as SQL that Lance reads: one function for each kind."""

import math
import os
import re
from collections.abc import Iterable
from decimal import Decimal

from sightline.index.columns import Column
from sightline.index.filter import literals, tree
from sightline.index.filter.grammar import quoted
from sightline.index.filter.literals import wrong_type
from sightline.index.filter.tokens import Unsuitable
from sightline.index.uri import as_file_uri, to_uri

EARTH_KM = 6371.0088
"""The earth's mean radius."""
_LEAST, _MOST = -(2**63), 2**63 - 1
"""What a column of whole numbers can hold."""


def name(column: Column) -> str:
    return f"`{column.stored}`"


def compare(column: Column, sign: tree.Sign, value: tree.Operand) -> str:
    """`sign` is not "!=", which is the negation of "=". Raises Unsuitable, with the reason, if the column has no such
    values, or knows no such comparison."""
    match column.kind:
        case "number" if column.is_whole:
            return _compare_whole(column, sign, literals.number(column, value))
        case "number":
            return f"{name(column)} {sign} {literals.real(column, value)}"
        case "date":
            return _compare_date(column, sign, value)
        case "yes or no" if sign == "=":
            return f"{name(column)} = {str(literals.truth(column, value)).lower()}"
        case "text" if sign != "=":
            return f"{name(column)} {sign} {quoted(literals.text(column, value))}"
        case "text" | "list of texts" if sign == "=":
            return is_in(column, (value,))
    raise Unsuitable(f"{column.name} is of the kind {column.kind!r}: of the signs it knows = and !=")


def is_in(column: Column, values: Iterable[tree.Operand]) -> str:
    """Whether the column, or one of the texts of a list, is one of the values. Raises Unsuitable as `compare` does."""
    match column.kind:
        case "number" if column.is_whole:
            exact = [literals.number(column, value) for value in values]
            whole = [str(int(n)) for n in exact if _LEAST <= n <= _MOST and n == n.to_integral_value()]
            return _listed(_wide(column), whole) if whole else "false"
        case "number":
            return _listed(name(column), [literals.real(column, value) for value in values])
        case "text":
            texts = [quoted(form) for value in values for form in literals.forms(literals.text(column, value))]
            return _listed(name(column), texts)
        case "list of texts":
            texts = [quoted(form) for value in values for form in literals.forms(literals.text(column, value))]
            return f"array_has_any({name(column)}, make_array({', '.join(texts)}))"
        case _:
            return "(" + " OR ".join(compare(column, "=", value) for value in values) + ")"


def compare_columns(left: Column, sign: tree.Sign, right: Column) -> str:
    """Raises Unsuitable, with the reason, if the two have nothing in common."""
    if left.kind != right.kind or left.kind == "list of texts":
        raise Unsuitable(f"{left.name} ({left.kind}) and {right.name} ({right.kind}) can't be compared")
    if left.has_zone != right.has_zone:
        raise Unsuitable(f"{left.name} and {right.name} can't be compared: only one of them is in UTC")
    if left.kind != "number":
        return f"{name(left)} {sign} {name(right)}"
    wide = "BIGINT" if left.is_whole and right.is_whole else "DOUBLE"
    return f"CAST({name(left)} AS {wide}) {sign} CAST({name(right)} AS {wide})"


def like(column: Column, value: tree.Like) -> str:
    """Raises Unsuitable, with the reason, for a column that is no text, and for escapes that leave a doubt."""
    if column.kind != "text":
        raise Unsuitable(f"LIKE is for texts; {wrong_type(column)}")
    if column.name == "kind":
        raise Unsuitable("kind is 'image' or 'moment': compare it by =")
    word = "ILIKE" if value.any_case else "LIKE"
    pattern = _pattern(literals.utf_8(value.pattern.value), value.escape)
    return _either(f"{name(column)} {word} {quoted(form)}" for form in literals.forms(pattern))


def below(column: Column, path: tree.Text) -> str:
    """Whether the file is this one or lies in this folder. Raises Unsuitable, with the reason, for a column other than
    the path, and for a path that is not absolute."""
    if column.name != "uri":
        raise Unsuitable(f"BELOW is for the column uri, not for {column.name}")
    if not os.path.isabs(path.value) or "\0" in path.value:  # noqa: PTH117 (pathlib raises for some names)
        raise Unsuitable("after BELOW comes an absolute path")
    tests = []
    for form in literals.forms(os.path.normpath(path.value)):
        for uri in dict.fromkeys((to_uri(form), as_file_uri(form))):  # names below may be no text, which its own is
            tests.append(f"{name(column)} = {quoted(uri)}")
            inside = uri.rstrip(os.sep) + (os.sep if not uri.startswith("file:") else "/")
            tests.append(f"{name(column)} LIKE {quoted(_literal(inside) + '%')}")
    return _either(tests)


def near(latitude: Column, longitude: Column, value: tree.Near) -> str:
    """The haversine of the great circle's angle, over degrees that may lie beyond a pole or the date line. Raises
    ValueError, with the reason, for degrees that no place has."""
    if any(part.unit for part in (value.latitude, value.longitude, value.km)):
        raise Unsuitable("NEAR takes plain numbers: degrees north, degrees east, kilometres")
    north, east, km = (float(part.value) for part in (value.latitude, value.longitude, value.km))
    check_place(north, east, km)
    angle = min(km / EARTH_KM, math.pi)
    up, across = f"{name(latitude)} - CAST('{north!r}' AS DOUBLE)", f"{name(longitude)} - CAST('{east!r}' AS DOUBLE)"
    shrink = f"cos(radians({name(latitude)})) * CAST('{math.cos(math.radians(north))!r}' AS DOUBLE)"
    haversine = f"power(sin(radians({up}) / 2), 2) + {shrink} * power(sin(radians({across}) / 2), 2)"
    return f"{haversine} <= CAST('{math.sin(angle / 2) ** 2!r}' AS DOUBLE)"


def check_place(north: float, east: float, km: float) -> None:
    """Raises Unsuitable, with the reason, for degrees that no place has, and for a distance below 0."""
    if not -90 <= north <= 90:
        raise Unsuitable(f"the latitude is {north:g}: degrees north lie between -90 and 90")
    if not -180 <= east <= 180:
        raise Unsuitable(f"the longitude is {east:g}: degrees east lie between -180 and 180")
    if not 0 <= km < math.inf:
        raise Unsuitable(f"the distance is {km:g}: give kilometres, 0 or more")


def _listed(column: str, values: list[str]) -> str:
    values = list(dict.fromkeys(values))
    return f"{column} IN ({', '.join(values)})" if len(values) > 1 else f"{column} = {values[0]}"


def _either(tests: Iterable[str]) -> str:
    return f"({' OR '.join(tests)})"


def _pattern(pattern: str, escape: str | None) -> str:
    """The pattern as Lance has it, where a backslash always makes an ordinary sign of what is behind it."""
    if escape is None and re.search(r"\\[%_]", pattern):
        raise Unsuitable(
            "a backslash is an ordinary character here; add ESCAPE '\\' if the % or _ behind it is to be one, else "
            "any other, ESCAPE '!'"
        )
    parts, rest = [], iter(pattern)
    for char in rest:
        if char == escape:
            following = next(rest, None)
            if following is None:
                raise Unsuitable("nothing is behind the last ESCAPE character of the text")
            parts.append(_literal(following))
        else:
            parts.append(char if char in "%_" else _literal(char))
    return "".join(parts)


def _literal(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _compare_whole(column: Column, sign: tree.Sign, value: Decimal) -> str:
    """Exactly, whatever the value: width > 1.5 is width >= 2, and a number too large for any column is above all."""
    if sign == "=":
        return is_in(column, (tree.Number(value, "", 0),))
    value = min(max(value, Decimal(_LEAST - 1)), Decimal(_MOST + 1))
    if sign in ("<", "<="):
        most = min(math.floor(value) if sign == "<=" else math.ceil(value) - 1, _MOST)
        return f"{_wide(column)} <= {most}" if most >= _LEAST else "false"
    least = max(math.ceil(value) if sign == ">=" else math.floor(value) + 1, _LEAST)
    return f"{_wide(column)} >= {least}" if least <= _MOST else "false"


def _compare_date(column: Column, sign: tree.Sign, value: tree.Operand) -> str:
    """With the whole of a period: later than June is after its last moment."""
    first, last = (f"TIMESTAMP '{t.isoformat()}{'Z' * column.has_zone}'" for t in literals.date(column, value))
    match sign:
        case "=":
            return f"({name(column)} >= {first} AND {name(column)} <= {last})"
        case "<" | ">=":
            return f"{name(column)} {sign} {first}"
        case _:
            return f"{name(column)} {sign} {last}"


def _wide(column: Column) -> str:
    return f"CAST({name(column)} AS BIGINT)"
