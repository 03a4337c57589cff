"""Karpathy's splits of COCO, Flickr8k and Flickr30k (https://cs.stanford.edu/people/karpathy/deepimagesent/)."""

from collections.abc import Iterator
from typing import Any

from sightline.data.entry import NO_RECORD, Entry, json_objects, make_entry
from sightline.data.sample import LeftOut


def matches(data: Any) -> bool:
    """Whether JSON has this layout: a list "images" whose objects have "sentences"."""
    return isinstance(data, dict) and isinstance(data.get("images"), list)


def entries(data: dict[str, Any], left_out: LeftOut) -> Iterator[Entry]:
    """An entry for each image."""
    for image in json_objects(data["images"], left_out):
        name, folder = image.get("filename"), image.get("filepath")
        if not isinstance(name, str) or not name:
            left_out.add(NO_RECORD, str(image)[:60])
            continue
        sentences = image.get("sentences")
        objects = [item for item in sentences if isinstance(item, dict)] if isinstance(sentences, list) else []
        path = f"{folder}/{name}" if isinstance(folder, str) and folder else name
        yield make_entry(path, [item.get("raw") for item in objects], image.get("split"))
