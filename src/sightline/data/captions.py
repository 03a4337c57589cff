"""Captioned pictures and films, however they are kept."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sightline.data.annotations import Entry, read
from sightline.data.pictures import Pictures
from sightline.data.places import Source, expand, name_of
from sightline.data.sample import Captions, LeftOut, Sample
from sightline.data.shards import shard_samples
from sightline.data.tables import SUFFIXES, check_split
from sightline.errors import DataError, UsageError


def captions(source: Source, *, split: str | Sequence[str] | None = None, image_root: Source | None = None) -> Captions:
    """Opens a data set of captions; pictures are not read.

    `source`: WebDataset shards ("train-{0000..0005}.tar", a glob, a list, a folder of them); a table (CSV, TSV, JSON
    lines) with a column of files and one or more of captions, or a folder with one; Karpathy's JSON, COCO's captions,
    MSR-VTT's. Several of these at once are one data set, its keys numbered by source. `split`: those of a table or JSON
    that has them, several as a list or "train+restval"; None takes all. `image_root`: the folder or the shards that
    files are named in, if not the table's own folder. What is missing is in `left_out` of what is returned. Raises
    `DataError`, `UsageError`.
    """
    name, left_out = name_of(source), LeftOut()
    split = split.split("+") if isinstance(split, str) else split
    paths = expand(source)
    if len(paths) == 1 and paths[0].is_dir():
        paths = in_folder(paths[0])
    if len(paths) > 1 and not all(path.suffix == ".tar" for path in paths):
        if split is not None or image_root is not None:
            raise UsageError(f"{name}: splits and folders of pictures are one source's; give it alone")
        return _together(name, paths)
    if all(path.suffix == ".tar" for path in paths):
        if split is not None or image_root is not None:
            raise UsageError(f"{name}: shards have no splits and hold their pictures; name the shards that are meant")
        samples = shard_samples(paths, left_out)
    elif paths[0].suffix.lower() in SUFFIXES | {".json"}:
        entries = read(paths[0], left_out)
        if split is not None:
            check_split(paths[0], split, [entry.split for entry in entries])
            entries = [entry for entry in entries if entry.split in split]
        samples = _samples(entries, Pictures(paths[0].parent if image_root is None else image_root), left_out)
    else:
        raise UsageError(f"{name}: give shards (.tar, unpacked), or one table ({', '.join(sorted(SUFFIXES))}) or .json")
    if not samples:
        raise DataError(f"{name}: not one picture with a caption; left out: {left_out}")
    return Captions(name, tuple(samples), left_out)


def _together(name: str, paths: Sequence[Path]) -> Captions:
    """Several sources as one."""
    samples: list[Sample] = []
    left_out = LeftOut()
    for number, path in enumerate(paths, 1):
        own = captions(path)
        samples += [replace(sample, key=f"{number}/{sample.key}") for sample in own.samples]
        left_out.update(own.left_out)
    return Captions(name, tuple(samples), left_out)


def in_folder(folder: Path) -> list[Path]:
    """The one table in a folder, or its shards. Raises `DataError`."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}") from error
    found = [path for path in files if path.suffix.lower() in SUFFIXES - {".txt"}]
    if len(found) > 1:
        raise DataError(
            f"{folder}: several tables ({', '.join(path.name for path in found)}); name the one that is meant"
        )
    found = found or [path for path in files if path.suffix == ".tar"]
    if not found:
        raise DataError(f"{folder}: no table (.csv, .tsv, .jsonl) and no shards in it; name the file that is meant")
    return found


def _samples(entries: list[Entry], pictures: Pictures, left_out: LeftOut) -> list[Sample]:
    said: dict[str, list[str]] = {}
    for entry in entries:
        said.setdefault(entry.name, []).extend(entry.captions)
    samples = []
    for name, captions in said.items():
        if not captions:
            left_out.add("with no caption", name)
        elif (media := pictures.find(name, left_out)) is not None:
            samples.append(Sample(name, media, tuple(captions)))
    return samples
