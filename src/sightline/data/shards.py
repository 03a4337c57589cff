"""WebDataset shards: tars in which KEY.jpg lies beside KEY.json or KEY.txt with its captions.

The format is that of https://github.com/webdataset/webdataset: a key is a name up to the first dot of its last part.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sightline.data.media import MEDIA_SUFFIXES
from sightline.data.sample import LeftOut, Sample, plain_texts
from sightline.data.tar import Member, members
from sightline.errors import DataError

_CAPTION_SUFFIXES = (".json", ".txt")
_MOST_BYTES = 1 << 24
"""The largest file of captions that is read."""


def read_shards(paths: Sequence[Path], left_out: LeftOut) -> list[Sample]:
    """The samples of all shards, in their order; what lacks a part goes to `left_out`. Raises `DataError`.

    Different samples of one key stay if they are in different shards: as "SHARD/KEY".
    """
    of_key: dict[str, list[Sample]] = {}
    for path in paths:
        for sample in _samples(path, left_out):
            others = of_key.setdefault(sample.key, [])
            if any((sample.size, sample.captions) == (other.size, other.captions) for other in others):
                left_out.add("twice, in different shards", str(sample.media))
            else:
                others.append(sample)
    samples = [
        Sample(f"{sample.file.stem}/{sample.key}", sample.media, sample.captions) if len(group) > 1 else sample
        for group in of_key.values()
        for sample in group
    ]
    if len({sample.key for sample in samples}) < len(samples):
        raise DataError("shards of the same name hold different samples of the same key: give the shards other names")
    return samples


def _samples(path: Path, left_out: LeftOut) -> Iterator[Sample]:
    of_key: dict[str, dict[str, Member]] = {}
    for member in members(path):
        folder, _, name = member.name.rpartition("/")
        stem, dot, suffix = name.partition(".")
        group = of_key.setdefault(f"{folder}/{stem}".removeprefix("./").removeprefix("/"), {})
        suffix = (dot + suffix).lower()
        if suffix in MEDIA_SUFFIXES or suffix in _CAPTION_SUFFIXES:
            if suffix in group:
                left_out.add("twice in their shard", str(member))
            else:
                group[suffix] = member
    with path.open("rb") as shard:
        for key, group in of_key.items():
            media = [member for suffix, member in group.items() if suffix in MEDIA_SUFFIXES]
            notes = [group[suffix] for suffix in _CAPTION_SUFFIXES if suffix in group]
            if not media and notes:
                left_out.add("captions without an image", str(notes[0]))
            elif media and not notes:
                left_out.add("without a file of captions", str(media[0]))
            elif media:
                captions = next(filter(None, (_captions(shard, note) for note in notes)), ())
                if captions:
                    yield Sample(key, media[0], captions)
                else:
                    left_out.add("with no caption in their file", str(notes[0]))


def _captions(shard: Any, note: Member) -> tuple[str, ...]:
    """The captions in a file of an open shard: JSON's "captions" or "caption", or the whole text; () if broken."""
    if note.size > _MOST_BYTES:
        return ()
    shard.seek(note.offset)
    content = shard.read(note.size)
    try:
        if not note.name.lower().endswith(".json"):
            return _texts(content.decode("utf-8"))
        data = json.loads(content)
    except (ValueError, RecursionError):
        return ()
    return (_texts(data.get("captions")) or _texts(data.get("caption"))) if isinstance(data, dict) else ()


def _texts(value: Any) -> tuple[str, ...]:
    """The texts in a string or a list."""
    return plain_texts(value if isinstance(value, list) else [value])
