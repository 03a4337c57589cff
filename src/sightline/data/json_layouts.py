"""JSON files of captions in the layouts of COCO, Karpathy's splits and MSR-VTT, read into entries."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sightline.data.left_out import LeftOut
from sightline.data.sample import Entry
from sightline.data.tables import Table, row_entries
from sightline.data.texts import read_text
from sightline.errors import DataError

Layout = tuple[Callable[[Any], bool], Callable[[dict[str, Any], LeftOut], Iterator[Entry]]]

_NO_RECORD = "that are no record of the kind"  # the reason for which a value is left out


def json_entries(path: Path, left_out: LeftOut) -> Iterator[Entry]:
    """An entry for each object of JSON in one of `LAYOUTS`, or in a list, which are a table's rows.

    What is no entry goes to `left_out`. Raises `DataError`.
    """
    try:
        data = json.loads(read_text(path, left_out))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: not JSON ({error}); fetch it again, or name it .jsonl if each line is an object"
        ) from error
    if isinstance(data, list):
        rows = list(_objects(data, left_out))
        if not rows:
            raise DataError(f"{path}: a list without one object in it; left out: {left_out}")
        return row_entries(Table.of(path, rows), left_out)
    for matches, entries in LAYOUTS:
        if matches(data):
            return entries(data, left_out)
    raise DataError(
        f'{path}: no data set that is known here: Karpathy\'s has "images" with "sentences", COCO\'s "images" and '
        '"annotations", MSR-VTT\'s "videos" and "sentences"; a list of objects is a table'
    )


def _has_lists(*keys: str) -> Callable[[Any], bool]:
    return lambda data: isinstance(data, dict) and all(isinstance(data.get(key), list) for key in keys)


def _coco(data: dict[str, Any], left_out: LeftOut) -> Iterator[Entry]:
    """COCO's captions (https://cocodataset.org/#format-data, section 5)."""
    captions = _captions_by_id(data["annotations"], "image_id", left_out)
    for name, image in _named(data["images"], "file_name", left_out):
        yield Entry.of(name, captions.pop(str(image.get("id")), []), None, left_out)
    _count_strays(captions, "image", left_out)


def _karpathy(data: dict[str, Any], left_out: LeftOut) -> Iterator[Entry]:
    """Karpathy's splits of COCO, Flickr8k and Flickr30k (https://cs.stanford.edu/people/karpathy/deepimagesent/)."""
    for name, image in _named(data["images"], "filename", left_out):
        folder, sentences = image.get("filepath"), image.get("sentences")
        objects = [item for item in sentences if isinstance(item, dict)] if isinstance(sentences, list) else []
        path = f"{folder}/{name}" if isinstance(folder, str) and folder else name
        yield Entry.of(path, [item.get("raw") for item in objects], image.get("split"), left_out)


def _msr_vtt(data: dict[str, Any], left_out: LeftOut) -> Iterator[Entry]:
    """MSR-VTT's videodatainfo (Xu et al., "MSR-VTT: A Large Video Description Dataset", 2016)."""
    captions = _captions_by_id(data["sentences"], "video_id", left_out)
    for name, video in _named(data["videos"], "video_id", left_out):
        yield Entry.of(name, captions.pop(name, []), video.get("split"), left_out)
    _count_strays(captions, "video", left_out)


LAYOUTS: Sequence[Layout] = (
    (_has_lists("images", "annotations"), _coco),
    (_has_lists("images"), _karpathy),
    (_has_lists("videos", "sentences"), _msr_vtt),
)
"""Each layout's test and its reader, in the order in which they are tried."""


def _named(values: Iterable[Any], key: str, left_out: LeftOut) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects that have a name under `key`, each with its name."""
    for item in _objects(values, left_out):
        name = item.get(key)
        if isinstance(name, str) and name:
            yield name, item
        else:
            left_out.add(_NO_RECORD, str(item)[:60])


def _captions_by_id(notes: Iterable[Any], id_key: str, left_out: LeftOut) -> dict[str, list[Any]]:
    """The captions of each image or video, of objects {`id_key`: ..., "caption": ...}."""
    captions: dict[str, list[Any]] = {}
    for note in _objects(notes, left_out):
        if note.get(id_key) is None:
            left_out.add(_NO_RECORD, str(note)[:60])
        else:
            captions.setdefault(str(note[id_key]), []).append(note.get("caption"))
    return captions


def _count_strays(captions: Mapping[str, Sequence[Any]], what: str, left_out: LeftOut) -> None:
    """Counts the captions that are left over when each image or video has got its own."""
    for key, texts in captions.items():
        for text in texts:
            left_out.add(f"captions of no {what} in the file", f"{text!r} ({what} {key})")


def _objects(values: Iterable[Any], left_out: LeftOut) -> Iterator[dict[str, Any]]:
    """The values that are objects; the others go to `left_out`."""
    for value in values:
        if isinstance(value, dict):
            yield value
        else:
            left_out.add(_NO_RECORD, str(value)[:60])
