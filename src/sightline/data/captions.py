"""Captioned pictures and films, however they are kept."""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from sightline.data.sample import Captions, LeftOut
from sightline.data.shards import shard_samples
from sightline.errors import DataError, UsageError

Source: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_MOST = 1_000_000
"""Shards that a range in braces may name."""


def captions(source: Source, *, split: str | Sequence[str] | None = None, pictures: Source | None = None) -> Captions:
    """Opens a data set of captions.

    `source`: WebDataset shards (`.tar`: one, a glob, "train-{0000..0005}.tar", a list). Raises `DataError`.
    """
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else ", ".join(os.fspath(one) for one in source)
    left_out = LeftOut()
    samples = shard_samples(expand(source), left_out)
    if not samples:
        raise DataError(f"{name}: no sample with a picture and a caption; left out: {left_out}")
    return Captions(name, tuple(samples), left_out)


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
            raise DataError(f"{pattern}: no such file; the pattern is taken from {Path.cwd()}")
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
            raise UsageError(f"{text}: a range of more than {_MOST:,} shards")
        middles = [f"{n:0{width}d}" for n in (range(low, high + 1) if low <= high else range(low, high - 1, -1))]
    for middle in middles:
        yield from _braces(text[: match.start()] + middle + text[match.end() :])
