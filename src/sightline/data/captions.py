"""Opens a data set of captioned images or videos, whatever the layout of its files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sightline.data.annotations import read_entries
from sightline.data.media import MediaFiles
from sightline.data.paths import TABLE_SUFFIXES, PathOrPaths, dataset_files, source_name
from sightline.data.sample import Captions, LeftOut, Sample
from sightline.data.shards import read_shards
from sightline.errors import DataError, UsageError


def captions(
    source: PathOrPaths, *, split: str | Sequence[str] | None = None, image_root: PathOrPaths | None = None
) -> Captions:
    """Opens a data set of captions; images and videos are not read.

    `source`: WebDataset shards ("train-{0000..0005}.tar", a glob, a list, a folder of them); a table (CSV, TSV, JSON
    lines) with a column of files and one or more of captions, or a folder with one; Karpathy's JSON, COCO's captions,
    MSR-VTT's. Several of these at once are one data set, its keys numbered by source. `split`: those of a table or JSON
    that has them, several as a list or "train+restval"; None takes all. `image_root`: the folder or the shards that
    files are named in, if not the table's own folder. What is missing is in the result's `left_out`. Raises
    `DataError`, `UsageError`.
    """
    name, paths, left_out = source_name(source), dataset_files(source), LeftOut()
    only_shards = all(path.suffix == ".tar" for path in paths)
    if split is not None or image_root is not None:
        if len(paths) > 1 and not only_shards:
            raise UsageError(f"{name}: splits and folders of pictures are one source's; give it alone")
        if only_shards:
            raise UsageError(f"{name}: shards have no splits and hold their pictures; name the shards that are meant")
    if only_shards:
        samples = read_shards(paths, left_out)
    elif len(paths) > 1:
        samples = _several(paths, left_out)
    elif paths[0].suffix.lower() in TABLE_SUFFIXES | {".json"}:
        samples = _annotated(paths[0], split.split("+") if isinstance(split, str) else split, image_root, left_out)
    else:
        suffixes = ", ".join(sorted(TABLE_SUFFIXES))
        raise UsageError(f"{name}: give shards (.tar, unpacked), or one table ({suffixes}) or .json")
    if not samples:
        raise DataError(f"{name}: not one picture with a caption; left out: {left_out}")
    return Captions(name, tuple(samples), left_out)


def _several(paths: Sequence[Path], left_out: LeftOut) -> list[Sample]:
    """The samples of several sources, the source's number before each key."""
    samples: list[Sample] = []
    for number, path in enumerate(paths, 1):
        part = captions(path)
        samples += [replace(sample, key=f"{number}/{sample.key}") for sample in part.samples]
        left_out.update(part.left_out)
    return samples


def _annotated(
    path: Path, splits: Sequence[str] | None, image_root: PathOrPaths | None, left_out: LeftOut
) -> list[Sample]:
    """The samples of a table or JSON file, a sample for each file that it names."""
    texts: dict[str, list[str]] = {}
    for entry in read_entries(path, splits, left_out):
        texts.setdefault(entry.name, []).extend(entry.captions)
    files = MediaFiles(path.parent if image_root is None else image_root)
    samples = []
    for name, of_file in texts.items():
        if not of_file:
            left_out.add("with no caption", name)
        elif (media := files.find(name, left_out)) is not None:
            samples.append(Sample(name, media, tuple(of_file)))
    return samples
