"""Which files and folders are left out: patterns of names and of paths."""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from sightline.errors import UsageError
from sightline.files import SYSTEM_FOLDERS

DEFAULTS = SYSTEM_FOLDERS
"""Left out of every index, unless a pattern is taken back."""

_SPECIAL = frozenset("*?\\")
_ESCAPED = re.compile(r"^\\(?=.$)", re.DOTALL)
"""The backslash before a character that stands for itself."""


class Patterns:
    """The patterns that hold for the indexed `folders` (absolute paths).

    A pattern without a slash is the name of a file or folder anywhere below an indexed folder. One with a slash is a
    path below an indexed folder, or an absolute path. `*` stands for any characters but the slash, `?` for one of
    them, `**` for any folders; after a backslash each of them stands for itself. What a pattern fulfils is left out
    with all that is in it. Upper and lower case are told apart, Unicode's forms of a letter are not.
    """

    def __init__(self, patterns: Iterable[str], folders: Iterable[str]) -> None:
        self.patterns = tuple(patterns)
        self._folders = set(folders)
        self._names = _Any(pattern for pattern in self.patterns if "/" not in pattern)
        self._relative = _Any(p for p in self.patterns if "/" in p and not PurePath(p).is_absolute())
        self._absolute = _Any(pattern for pattern in self.patterns if PurePath(pattern).is_absolute())

    def match(self, path: str, name: str, base: str) -> str | None:
        """The pattern that this path below the indexed folder `base` fulfils itself; `name` is the last part of it."""
        found = self._names.match(name)
        if found is None and self._absolute:
            found = self._absolute.match(path)
        if found is None and self._relative:
            found = self._relative.match(path[len(base) :].lstrip(os.sep))
        return found

    def match_above(self, path: str) -> str | None:
        """The pattern that the path fulfils or a folder that it lies in."""
        base = self.base(path)
        for above in _steps(path):
            is_below_base = base is not None and len(above) > len(base)
            found = self.match(above, os.path.basename(above), base or "") if is_below_base else None  # noqa: PTH119
            found = found or self._absolute.match(above)
            if found is not None:
                return found
        return None

    def base(self, path: str) -> str | None:
        """The outermost indexed folder that holds the path, or is it."""
        return next((above for above in _steps(path) if above in self._folders), None)


class _Any:
    """Which of several patterns a text fulfils."""

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = list(patterns)
        self._plain = frozenset(pattern for pattern in patterns if not _SPECIAL & set(pattern))
        self._patterns = [pattern for pattern in patterns if pattern not in self._plain]
        self._regex = re.compile("|".join(f"({_regex(pattern)})" for pattern in self._patterns))

    def __bool__(self) -> bool:
        return bool(self._plain or self._patterns)

    def match(self, text: str) -> str | None:
        text = text if text.isascii() else unicodedata.normalize("NFC", text)
        text = text if os.sep == "/" else text.replace(os.sep, "/")
        if text in self._plain:
            return text
        if not self._patterns:
            return None
        found = self._regex.fullmatch(text)
        return None if found is None or found.lastindex is None else self._patterns[found.lastindex - 1]


def clean_pattern(text: str) -> str:
    """A pattern as it is kept. Raises UsageError for one that nothing can fulfil."""
    pattern = os.path.expanduser(text) if text.startswith("~/") else text  # noqa: PTH111 (a pattern is no path)
    pattern = unicodedata.normalize("NFC", pattern).removeprefix("./")
    pattern = pattern.rstrip("/")
    first, *others = pattern.split("/")
    if not pattern or "\0" in pattern or first in (".", "..") or {"", ".", ".."} & set(others):
        raise UsageError(f"{text!r} is no pattern: write a name (@eaDir, *.png), or a path (2024/drafts, /mnt/private)")
    if any("\ud800" <= char <= "\udfff" for char in pattern):
        raise UsageError(f"{text!r} is no text in UTF-8: write ? for each byte that is none")
    return pattern


def pattern_of(path: str) -> str:
    """The pattern that this absolute path alone fulfils. Bytes that are not UTF-8 become `?`."""
    text = re.sub(r"([*?\\])", r"\\\1", path.replace(os.sep, "/"))
    return clean_pattern(re.sub("[\ud800-\udfff]", "?", text))


def _steps(path: str) -> Iterator[str]:
    """The folders above a path from the root on, and the path."""
    for match in re.finditer(re.escape(os.sep), path):
        if match.start():
            yield path[: match.start()]
    yield path


def _regex(pattern: str) -> str:
    """The pattern as a regular expression without groups."""
    pattern = re.sub(r"\*{3,}", "**", re.sub(r"(\*\*/)+", "**/", pattern))  # the same, and no slower than it need be
    meanings = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.findall(r"\\.|\*\*/|\*\*|\*|\?|[^\\*?]+|\\", pattern, re.DOTALL)
    return f"(?s:{''.join(meanings.get(part) or re.escape(re.sub(_ESCAPED, '', part)) for part in parts)})"
