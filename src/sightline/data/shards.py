"""WebDataset shards: tars in which KEY.jpg lies beside KEY.json or KEY.txt with its captions.

The format is that of https://github.com/webdataset/webdataset: a key is a name up to the first dot of its last part. A
tar is gone through once for where everything lies; from then on reading a sample is one seek. So no compressed tars.
"""

import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sightline.data.sample import LeftOut, Member, Sample
from sightline.errors import DataError
from sightline.processing.suffixes import IMAGE_SUFFIXES, VIDEO_SUFFIXES

MEDIA = IMAGE_SUFFIXES | VIDEO_SUFFIXES
_BLOCK = 512
_MOST = 1 << 24
"""Bytes that a file of captions may have."""
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


def members(path: Path) -> Iterator[Member]:
    """The regular files in a tar, without reading them.

    Raises `DataError` for a file that is no tar, is compressed, damaged or cut short.
    """
    try:
        with path.open("rb") as file:
            yield from _members(path, file)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error


def _members(path: Path, file: Any) -> Iterator[Member]:
    size = path.stat().st_size
    head = file.read(8)
    for magic, kind in _COMPRESSED.items():
        if head.startswith(magic):
            raise DataError(f"{path}: compressed ({kind}); unpack it to a plain tar, in which samples can be found")
    file.seek(0)
    end = -1
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                if info.size < 0 or info.offset_data <= end:
                    raise DataError(f"{path}: damaged ({info.name} lies where it can't); fetch it again")
                end = info.offset_data
                if info.offset_data + info.size > size:
                    raise DataError(f"{path}: cut short in the middle of {info.name}; fetch it again or leave it out")
                if info.isreg() and not info.issparse():
                    yield Member(path, info.name, info.offset_data, info.size)
            file.seek(tar.offset)
            after = file.read(_BLOCK)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, MemoryError, OSError) as error:
        raise DataError(f"{path}: no tar, or a damaged one ({error}); fetch it again or leave it out") from error
    if len(after) < _BLOCK:
        raise DataError(f"{path}: cut short (a tar ends with empty blocks, and this one does not); fetch it again")
    if any(after):
        raise DataError(f"{path}: damaged at byte {tar.offset}; fetch it again or leave it out")


def shard_samples(paths: Sequence[Path], left_out: LeftOut) -> list[Sample]:
    """The samples of all shards, in their order; what lacks a part goes to `left_out`. Raises `DataError`.

    Keys of one shard that are also in another stay if they are different samples: as "SHARD/KEY".
    """
    found: dict[str, list[Sample]] = {}
    for path in paths:
        for sample in _samples(path, left_out):
            known = found.setdefault(sample.key, [])
            if any((sample.size, sample.captions) == (other.size, other.captions) for other in known):
                left_out.add("twice, in different shards", str(sample.media))
            else:
                known.append(sample)
    samples = [_renamed(sample) if len(known) > 1 else sample for known in found.values() for sample in known]
    if len({sample.key for sample in samples}) < len(samples):
        raise DataError("shards of the same name hold different samples of the same key: give the shards other names")
    return samples


def _renamed(sample: Sample) -> Sample:
    return Sample(f"{sample.file.stem}/{sample.key}", sample.media, sample.captions)


def _samples(path: Path, left_out: LeftOut) -> Iterator[Sample]:
    groups: dict[str, dict[str, Member]] = {}
    for member in members(path):
        folder, _, name = member.name.rpartition("/")
        stem, dot, suffix = name.partition(".")
        group = groups.setdefault(f"{folder}/{stem}".removeprefix("./").removeprefix("/"), {})
        suffix = (dot + suffix).lower()
        if suffix in MEDIA or suffix in (".json", ".txt"):
            if suffix in group:
                left_out.add("twice in their shard", str(member))
            else:
                group[suffix] = member
    with path.open("rb") as file:
        for key, group in groups.items():
            media = [member for suffix, member in group.items() if suffix in MEDIA]
            notes = [group[suffix] for suffix in (".json", ".txt") if suffix in group]
            if not media and notes:
                left_out.add("captions without a picture", str(notes[0]))
            elif media and not notes:
                left_out.add("without a file of captions", str(media[0]))
            elif media:
                captions = next(filter(None, (_captions(file, note) for note in notes)), ())
                if captions:
                    yield Sample(key, media[0], captions)
                else:
                    left_out.add("with no caption in their file", str(notes[0]))


def _captions(file: Any, note: Member) -> tuple[str, ...]:
    """What a file of captions says: JSON's "captions" or "caption", or a text as a whole; none if it is broken."""
    if note.size > _MOST:
        return ()
    file.seek(note.offset)
    content = file.read(note.size)
    try:
        if not note.name.lower().endswith(".json"):
            return texts(content.decode("utf-8"))
        data = json.loads(content)
    except (ValueError, RecursionError):
        return ()
    return (texts(data.get("captions")) or texts(data.get("caption"))) if isinstance(data, dict) else ()


def texts(given: Any) -> tuple[str, ...]:
    """A string or a list of strings as captions: those that say something, without the space around them."""
    given = given if isinstance(given, list) else [given]
    return tuple(text.strip() for text in given if isinstance(text, str) and text.strip())
