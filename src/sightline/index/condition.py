"""SQL conditions, looked at before Lance reads them."""

import re

from sightline.errors import UsageError

_TERMS = 200
"""So many words and signs may follow one another without AND, OR or a comma."""
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|/\*.*?(?:\*/|\Z)""", re.DOTALL)
_BETWEEN = re.compile(r"\bbetween\b([^,]{0,100}?)\band\b", re.IGNORECASE)
_SEPARATOR = re.compile(r",|\b(?:and|or)\b", re.IGNORECASE)
_TERM = re.compile(r"\w+|[^\w\s()]+")


def check(sql: str) -> None:
    """Raises UsageError for a second statement, which Lance passes over in silence, and for an expression so deep that
    Lance would fill its stack with it, which ends the process."""
    bare = _QUOTED.sub(" x ", sql)
    if ";" in bare:
        raise UsageError(f"the filter {sql!r} is not understood: one condition, without a semicolon")
    parts = _SEPARATOR.split(_BETWEEN.sub(r" \1 ", bare))
    if any(len(_TERM.findall(part)) > _TERMS for part in parts):
        raise UsageError(
            f"the filter {sql[:60]!r}... is not understood: {_TERMS} words and signs may follow one another without "
            "AND, OR or a comma"
        )
