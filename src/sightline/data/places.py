"""Which files are meant: one, a list, a pattern with wildcards or braces."""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from sightline.errors import DataError, UsageError

Source: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_MOST = 1_000_000
"""Files that a range in braces may name."""


def name_of(source: Source) -> str:
    """For people."""
    return os.fspath(source) if isinstance(source, str | os.PathLike) else ", ".join(os.fspath(one) for one in source)


def expand(source: Source) -> list[Path]:
    """The files that are meant, each once: braces and wildcards resolved. Raises `DataError`, `UsageError`."""
    if not isinstance(source, str | os.PathLike):
        return list(dict.fromkeys(path for one in source for path in expand(one)))
    text = os.path.expanduser(source)  # noqa: PTH111 (which takes a file's name, not what a pattern may be)
    if os.path.lexists(text):
        return [Path(text)]
    found: list[Path] = []
    for pattern in _braces(text):
        names = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207
        if not names:
            raise DataError(f"{pattern}: no such file" + ("" if Path(pattern).is_absolute() else f" in {Path.cwd()}"))
        found.extend(map(Path, names))
    return list(dict.fromkeys(found))


def _braces(text: str) -> Iterator[str]:
    """ "a{0..2}" -> "a0", "a1", "a2"; "{a,b}" -> "a", "b". As a shell has it; a leading zero keeps the width."""
    match = re.search(r"\{(\d{1,18})\.\.(\d{1,18})\}|\{([^{}]*,[^{}]*)\}", text)
    if match is None:
        yield text
        return
    first, last, listed = match.groups()
    if listed is not None:
        middles: Sequence[str] = listed.split(",")
    else:
        width = max(len(first), len(last)) if first.startswith("0") or last.startswith("0") else 0
        low, high = int(first), int(last)
        if abs(high - low) >= _MOST:
            raise UsageError(f"{text}: a range of more than {_MOST:,} files")
        middles = [f"{n:0{width}d}" for n in (range(low, high + 1) if low <= high else range(low, high - 1, -1))]
    for middle in middles:
        yield from _braces(text[: match.start()] + middle + text[match.end() :])
