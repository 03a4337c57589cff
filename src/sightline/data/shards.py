"""WebDataset shards: tars in which KEY.jpg lies beside KEY.json or KEY.txt (captions), or KEY.cls (a class).

The format is that of https://github.com/webdataset/webdataset: a key is a name up to the first dot of its last part.
Names with more dots, such as "2022.05.1.jpg", are paired by their last dot.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from sightline.data.left_out import LeftOut
from sightline.data.media import MEDIA_SUFFIXES
from sightline.data.note import MOST_BYTES, NOTE_SUFFIXES, UnreadableNote, captions_in, class_in
from sightline.data.sample import Sample
from sightline.data.tar import Member, members
from sightline.errors import DataError

_OTHERS = "files of other kinds, which are not read"


@dataclass(frozen=True)
class _Kind:
    """What is read beside the images: the `suffixes` of its files, in the order of trying, and its `name`."""

    suffixes: Sequence[str]
    name: str


_CAPTIONS = _Kind(NOTE_SUFFIXES, "captions")
_CLASS = _Kind((".cls",), "a class")


def read_shards(paths: Sequence[Path], left_out: LeftOut) -> list[Sample]:
    """The samples of all shards, in their order; what lacks a part goes to `left_out`. Raises `DataError`.

    Different samples of one key stay if they are in different shards: as "SHARD/KEY".
    """
    return _read(paths, _CAPTIONS, left_out)


def read_class_shards(paths: Sequence[Path], left_out: LeftOut) -> list[tuple[str, Member, str]]:
    """(key, media, class) of the images or videos with a KEY.cls. Otherwise as `read_shards`."""
    return [(sample.key, sample.media, *sample.captions) for sample in _read(paths, _CLASS, left_out)]  # type: ignore[misc]


def _read(paths: Sequence[Path], kind: _Kind, left_out: LeftOut) -> list[Sample]:
    of_key: dict[str, list[Sample]] = {}
    for path in paths:
        for sample in _samples(path, kind, left_out):
            others = of_key.setdefault(sample.key, [])
            if any((sample.size, sample.captions) == (other.size, other.captions) for other in others):
                left_out.add("twice, in different shards", str(sample.media))
            else:
                others.append(sample)
    samples = [
        replace(sample, key=f"{sample.file.stem}/{sample.key}") if len(group) > 1 else sample
        for group in of_key.values()
        for sample in group
    ]
    if len({sample.key for sample in samples}) < len(samples):
        raise DataError("shards of the same name hold different samples of the same key: give the shards other names")
    return samples


def _samples(path: Path, kind: _Kind, left_out: LeftOut) -> Iterator[Sample]:
    """The samples of a shard; the captions of a class's are its name alone."""
    groups, dotted = _groups(path, kind, left_out)
    with path.open("rb") as shard:
        for key, group in groups.items():
            media = [member for suffix, member in group.items() if suffix in MEDIA_SUFFIXES]
            notes = [group[suffix] for suffix in kind.suffixes if suffix in group]
            for other in media[1:]:
                left_out.add("images beside another one of the same key", str(other))
            if media and notes:
                yield from _sample(shard, key, media[0], notes, kind, left_out)
            elif key in dotted:
                left_out.add("with a dot in the key, and no pair of an image and a text", str((media or notes)[0]))
            elif media:
                left_out.add(f"without a file of {kind.name}", str(media[0]))
            else:
                left_out.add(f"{kind.name} without an image", str(notes[0]))


def _groups(path: Path, kind: _Kind, left_out: LeftOut) -> tuple[dict[str, dict[str, Member]], set[str]]:
    """The files of each key, by suffix, and which keys have a dot."""
    groups: dict[str, dict[str, Member]] = {}
    dotted, known = set(), MEDIA_SUFFIXES.union(kind.suffixes)
    for member in members(path, left_out):
        folder, _, name = member.name.rpartition("/")
        stem, _, suffix = name.partition(".")
        if f".{suffix}".lower() not in known:
            stem, _, suffix = name.rpartition(".")
        key = f"{folder}/{stem}".removeprefix("./").removeprefix("/")
        suffix = f".{suffix}".lower()
        if not stem or suffix not in known:
            left_out.add(_OTHERS, str(member))
            continue
        if "." in stem:
            dotted.add(key)
        group = groups.setdefault(key, {})
        if suffix in group:
            left_out.add("twice in their shard", str(member))
        else:
            group[suffix] = member
    return groups, dotted


def _sample(
    shard: BinaryIO, key: str, media: Member, notes: Sequence[Member], kind: _Kind, left_out: LeftOut
) -> Iterator[Sample]:
    """The sample with what the first of its readable notes says; none if there is no such."""
    reasons = []
    for note in notes:
        shard.seek(note.offset)
        content = shard.read(min(note.size, MOST_BYTES + 1))
        try:
            if kind is _CLASS:
                yield Sample(key, media, (class_in(content),))
            else:
                yield Sample(key, media, captions_in(note.name, content, left_out, by_line=False))
            return
        except UnreadableNote as error:
            reasons.append(str(error))
    left_out.add(reasons[0], str(notes[0]))
