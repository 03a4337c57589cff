"""Opens a data set of captioned images or videos, whatever the layout of its files."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sightline.data.json_layouts import json_entries
from sightline.data.left_out import LeftOut
from sightline.data.media import MediaFiles
from sightline.data.pairs import read_pairs
from sightline.data.paths import (
    NO_ROOT,
    TABLE_SUFFIXES,
    PathOrPaths,
    check_exist,
    files_in_folder,
    is_shard,
    resolve_paths,
    source_name,
)
from sightline.data.sample import Captions, Sample
from sightline.data.shards import read_shards
from sightline.data.tables import read_table, row_entries, select_splits
from sightline.data.texts import words_of
from sightline.errors import DataError, UsageError


def captions(
    source: PathOrPaths, *, split: str | Sequence[str] | None = None, image_root: PathOrPaths | None = None
) -> Captions:
    """Opens a data set of captions; images and videos are not read.

    `source`: WebDataset shards ("train-{0000..0005}.tar", a glob, a list, a folder of them); a table (CSV, TSV, JSON
    lines, Parquet) with a column of files and one or more of captions, or a folder with one; Karpathy's JSON, COCO's
    captions, MSR-VTT's; a folder of images with a text each beside them (1.jpg, 1.txt). Several of these at once are
    one data set, its keys numbered by source. `split`: those of a table or JSON that has them, several as a list or
    "train+restval"; None takes all. `image_root`: the folder or the shards that files are named in, if not the table's
    own folder; shards hold their own. What is missing is in the result's `left_out`. Raises `DataError`, `UsageError`.
    """
    left_out = LeftOut()
    splits = split.split("+") if isinstance(split, str) else split
    samples = _samples(source, splits, image_root, left_out)
    return Captions(source_name(source), tuple(samples), left_out)


def equal_captions(samples: Sequence[Sample]) -> str | None:
    """Says how far captions repeat, for people: "32 captions, 4 different; 32 of 32 images share a caption with another
    (most often 'a red square': 8 images)". None if no two images share a caption.

    Captions are equal if they are the same words: capitals, white space and the form of their Unicode aside.
    """
    words = [dict.fromkeys(map(words_of, sample.captions)) for sample in samples]
    images = Counter(text for texts in words for text in texts)
    sharing = sum(any(images[text] > 1 for text in texts) for texts in words)
    if not sharing:
        return None
    ((text, most),) = images.most_common(1)
    count = sum(len(sample.captions) for sample in samples)
    return (
        f"{count:,} captions, {len(images):,} different; {sharing:,} of {len(samples):,} images share a caption with "
        f"another (most often {text!r}: {most:,} images)"
    )


def _samples(
    source: PathOrPaths, splits: Sequence[str] | None, image_root: PathOrPaths | None, left_out: LeftOut
) -> list[Sample]:
    name = source_name(source)
    paths = resolve_paths(source)
    check_exist(paths)
    folder = paths[0] if len(paths) == 1 and paths[0].is_dir() else None
    if folder is not None:
        paths = files_in_folder(folder, left_out)
    only_shards = bool(paths) and all(map(is_shard, paths))
    holds_images = only_shards or not paths
    if splits is not None and holds_images:
        what, meant = ("shards have", "shards") if only_shards else ("a folder of images with texts has", "folder")
        raise UsageError(f"{name}: {what} no splits; name the {meant} that {'are' if only_shards else 'is'} meant")
    if image_root is not None and holds_images:
        left_out.remark(NO_ROOT.format(name))
    if only_shards:
        samples = read_shards(paths, left_out)
    elif folder is not None and not paths:
        samples = read_pairs(folder, left_out)
    elif len(paths) > 1:
        samples = [
            replace(sample, key=f"{number}/{sample.key}")
            for number, path in enumerate(paths, 1)
            for sample in _samples(path, splits, image_root, left_out)
        ]
    elif paths[0].suffix.lower() in TABLE_SUFFIXES | {".json"}:
        samples = _annotated(paths[0], splits, image_root, left_out)
    else:
        suffixes = ", ".join(sorted(TABLE_SUFFIXES))
        raise UsageError(
            f"{name}: give shards (.tar, unpacked), one table ({suffixes}) or .json, or a folder with these"
        )
    if not samples:
        raise DataError(f"{name}: not one image with a caption; left out: {left_out}")
    return samples


def _annotated(
    path: Path, splits: Sequence[str] | None, image_root: PathOrPaths | None, left_out: LeftOut
) -> list[Sample]:
    """A sample for each file that a table or JSON names, with the captions of all its entries."""
    is_json = path.suffix.lower() == ".json"
    entries = list(json_entries(path, left_out) if is_json else row_entries(read_table(path, left_out), left_out))
    if splits is not None:
        entries = select_splits(path, entries, splits, lambda entry: entry.split)
    captions: dict[str, list[str]] = {}
    for entry in entries:
        captions.setdefault(entry.name, []).extend(entry.captions)
    files = MediaFiles(path.parent if image_root is None else image_root, captions, left_out)
    samples = []
    for name, of_file in captions.items():
        if not of_file:
            left_out.add("with no caption", name)
        elif (media := files.find(name)) is not None:
            samples.append(Sample(name, media, tuple(of_file)))
    return samples
