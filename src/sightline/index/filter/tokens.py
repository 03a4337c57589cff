"""A condition cut into words, numbers, texts and signs, each with its place, and the error that shows a place."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from sightline.errors import UsageError

_SHOWN = 120
"""Characters of a condition that an error shows; of the part that is not understood, a third of them."""
_TOKENS = re.compile(
    r"""(?P<space>\s+)
    |(?P<comment>--|/\*)
    |(?P<text>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)
    |(?P<clock>[0-9]+:[0-9]{2}(?::[0-9]{2})?(?:\.[0-9]+)?)
    |(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)
    |(?P<word>[^\W\d]\w*)
    |(?P<sign>==|!=|<>|<=|>=|.)""",
    re.VERBOSE | re.DOTALL,
)
_UNKNOWN = {
    "'": "the text that begins here has no end; a quote within a text is written twice: 'it''s'",
    '"': "the name that begins here has no end",
    "`": "the name that begins here has no end",
    ";": "a filter is one condition, without a semicolon",
    "--": "a filter has no comments",
    "/*": "a filter has no comments",
    "&": "write AND between two conditions",
    "|": "write OR between two conditions",
    "!": "write NOT before a condition, or !=",
    "~": "write LIKE, with % for any text: camera_model LIKE '%EOS%'",
}
_PLAIN = {"≥": ">=", "≤": "<=", "≠": "!="}
_SIGNS = frozenset(("==", "!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ",", "+", "-", "*", "/", "%", "."))


class Unsuitable(Exception):
    """Why a value is none that a column can be compared with."""


@dataclass(frozen=True)
class Token:
    """`kind`: "text", "quoted" (a name in quotes), "clock", "number", "word", "sign" or "end". `value`: a text or a
    name without its quotes, the rest as it is written. It stands from character `start` to `end` (exclusive)."""

    kind: str
    value: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these, which are in capitals."""
        return self.kind == "word" and self.value.upper() in words

    def is_sign(self, *signs: str) -> bool:
        return self.kind == "sign" and self.value in signs


def tokens(condition: str) -> Iterator[Token]:
    """The tokens in order, and one of kind "end". Raises UsageError for what no condition holds."""
    for match in _TOKENS.finditer(condition):
        kind, value = str(match.lastgroup), match.group()
        if kind == "space":
            continue
        if kind == "comment" or (kind == "sign" and value not in _SIGNS):
            fail(condition, match.start(), _UNKNOWN.get(value) or _stranger(value))
        if kind in ("text", "quoted"):
            value = value[1:-1].replace(value[0] * 2, value[0])
        yield Token(kind, value, *match.span())
    yield Token("end", "", len(condition), len(condition))


def _stranger(sign: str) -> str:
    if sign in "\u2018\u2019\u201a\u201b\u2032\u00b4\u201c\u201d\u201e\u00ab\u00bb":
        return f"{sign} is no quotation mark of a filter: texts are in straight single quotes, 'like this'"
    plain = _PLAIN.get(sign) or unicodedata.normalize("NFKC", sign)  # signs and digits of full width
    if plain != sign and plain.isascii():
        return f"a filter knows no {sign!r}: write {plain}"
    return f"a filter knows no {sign!r}"


def fail(condition: str, start: int, reason: str) -> NoReturn:
    """Raises UsageError that shows the condition, and what is left of it from the place where it is not understood."""
    shown = repr(condition) if len(condition) <= _SHOWN else repr(condition[:_SHOWN]) + "..."
    rest = condition[start:]
    part = repr(rest) if len(rest) <= _SHOWN // 3 else repr(rest[: _SHOWN // 3]) + "..."
    place = f"from {part} (character {start + 1})" if rest.strip() else "at its end"
    if start == 0 and rest.strip():
        place = "from its beginning"
    raise UsageError(f"the filter {shown} is not understood {place}: {reason}")
