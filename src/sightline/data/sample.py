"""Samples, images or videos with their captions or their class, and the data sets that they make up."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any, Self

from sightline.data.classes import Classes
from sightline.data.left_out import LeftOut
from sightline.data.tar import Member
from sightline.errors import DataError
from sightline.processing import suffixes


@dataclass(frozen=True, slots=True)
class Item:
    """An image or video: a file, or a file inside a tar. `key` names it in the data set, and nothing else there."""

    key: str
    media: Path | Member

    def content(self) -> Path | bytes:
        """What `open_image` and `video.sampling.sample` take. Raises `DataError`."""
        return self.media.read() if isinstance(self.media, Member) else self.media

    @property
    def file(self) -> Path:
        """The file that has to be opened; many samples share a shard."""
        return self.media.path if isinstance(self.media, Member) else self.media

    @property
    def size(self) -> int:
        """Bytes. Raises `DataError` for a file that is gone."""
        if isinstance(self.media, Member):
            return self.media.size
        try:
            return self.media.stat().st_size
        except OSError as error:
            raise DataError(f"{self.media}: {error.strerror or error}") from error

    @property
    def is_video(self) -> bool:
        """Whether the suffix is a video's."""
        return suffixes.is_video(self.media.name)


@dataclass(frozen=True, slots=True)
class Sample(Item):
    """An image or video with its captions, at least one."""

    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabelledSample(Item):
    """An image or video with the number of its class."""

    label: int


@dataclass(frozen=True)
class Entry:
    """What a table or JSON says of the file `name`: `captions`, and its `split` (None without splits). A file may have
    several entries."""

    name: str
    captions: tuple[str, ...]
    split: str | None

    @classmethod
    def of(cls, name: str, captions: Iterable[Any], split: Any, left_out: LeftOut) -> Self:
        """The name as a plain path, so that entries of one file come together; captions that are no text are left
        out."""
        texts = plain_texts(captions, name, left_out)
        return cls(str(PurePosixPath(name)), texts, None if split is None else str(split))


def plain_texts(values: Iterable[Any], name: str, left_out: LeftOut) -> tuple[str, ...]:
    """The texts among the captions of `name`, without the space and the marks (BOM) around them. Empty ones and None,
    which tables have for no caption, are dropped; all else that is no text goes to `left_out`."""
    texts = []
    for value in values:
        if isinstance(value, str):
            texts.append(value.strip().strip("\ufeff").strip())
        elif value is not None:
            left_out.add("captions that are no text", f"{value!r} ({name})")
    return tuple(filter(None, texts))


@dataclass(frozen=True)
class Captions:
    """A data set of captioned images or videos. `name` is for people; `left_out` counts what is not in `samples`."""

    name: str
    samples: tuple[Sample, ...]
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of keys, captions and sizes in bytes, the same in any order of the samples. Raises `DataError`."""
        return _fingerprint([sample.key, sample.size, *sample.captions] for sample in self.samples)


@dataclass(frozen=True)
class Labelled:
    """A data set of images or videos with a class each; `classes` are the names by number. `known`: the list of
    classes and templates that came with the data, in which these are found by number or name; None without one."""

    name: str
    samples: tuple[LabelledSample, ...]
    classes: tuple[str, ...]
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)
    known: Classes | None = None

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of keys, names of classes and sizes in bytes, as `Captions.fingerprint`. Raises `DataError`."""
        return _fingerprint([sample.key, sample.size, self.classes[sample.label]] for sample in self.samples)


def _fingerprint(rows: Iterable[list[str | int]]) -> str:
    digests = sorted(blake2b(json.dumps(row).encode(), digest_size=32).digest() for row in rows)
    return blake2b(b"".join(digests), digest_size=32).hexdigest()
