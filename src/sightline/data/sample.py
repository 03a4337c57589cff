"""A picture or film with what is said of it: where its bytes lie, and reading them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

from sightline.errors import DataError
from sightline.processing import suffixes


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a tar: `size` bytes from `offset` on."""

    path: Path
    name: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Its bytes, by one seek. Raises `DataError` where the tar is no longer as it was."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as error:
            raise DataError(f"{self}: can't be read ({error.strerror or error})") from error
        if len(content) < self.size:
            raise DataError(f"{self}: the tar is shorter than it was; fetch it again and start anew")
        return content

    def __str__(self) -> str:
        return f"{self.path}/{self.name}"


@dataclass(frozen=True, slots=True)
class Item:
    """One picture or film; `key` is its own in the data set."""

    key: str
    media: Path | Member

    def content(self) -> Path | bytes:
        """What `open_image` and `video.sampling.sample` take. Raises `DataError`."""
        return self.media.read() if isinstance(self.media, Member) else self.media

    @property
    def file(self) -> Path:
        """The file that has to be opened: a shard has many samples."""
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
        """Going by the suffix."""
        return suffixes.is_video(self.media.name)


@dataclass(frozen=True, slots=True)
class Sample(Item):
    """With its captions, at least one."""

    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabelledSample(Item):
    """With the number of its class."""

    label: int


class LeftOut:
    """Samples that a data set names and does not have, counted by reason; of each reason a few by name."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._names: dict[str, list[str]] = {}

    def add(self, reason: str, name: str) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1
        names = self._names.setdefault(reason, [])
        if len(names) < 3:
            names.append(name if len(name) <= 100 else f"{name[:100]}...")

    def update(self, other: "LeftOut") -> None:
        """Counts another source's as well."""
        for reason, count in other.counts.items():
            for name in other._names[reason]:
                self.add(reason, name)
            self.counts[reason] += count - len(other._names[reason])

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __str__(self) -> str:
        """For people: "12 without a caption: a.jpg, b.jpg, c.jpg, ...; 1 ..."."""
        parts = []
        for reason, count in self.counts.items():
            names = self._names[reason]
            parts.append(f"{count:,} {reason}: {', '.join(names)}{', ...' if count > len(names) else ''}")
        return "; ".join(parts) or "nothing"


@dataclass(frozen=True)
class Captions:
    """A data set of captioned pictures or films. `name` is for people, `left_out` what is not among the samples."""

    name: str
    samples: tuple[Sample, ...]
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of keys, captions and sizes in bytes, in whatever order the files were found. Raises `DataError`."""
        return _fingerprint([sample.key, sample.size, *sample.captions] for sample in self.samples)


@dataclass(frozen=True)
class Labelled:
    """A data set of pictures or films with a class each; `classes` are their names by number."""

    name: str
    samples: tuple[LabelledSample, ...]
    classes: tuple[str, ...]
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of keys, names of classes and sizes in bytes, as `Captions.fingerprint`. Raises `DataError`."""
        return _fingerprint([sample.key, sample.size, self.classes[sample.label]] for sample in self.samples)


def _fingerprint(rows: Iterable[list[str | int]]) -> str:
    digests = sorted(blake2b(json.dumps(row).encode(), digest_size=32).digest() for row in rows)
    return blake2b(b"".join(digests), digest_size=32).hexdigest()
