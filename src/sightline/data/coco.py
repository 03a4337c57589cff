"""COCO's captions (https://cocodataset.org/#format-data, section 5)."""

from collections.abc import Iterator
from typing import Any

from sightline.data.entry import NO_RECORD, Entry, captions_by_id, json_objects, make_entry
from sightline.data.sample import LeftOut


def matches(data: Any) -> bool:
    """Whether JSON has this layout: the lists "images" and "annotations"."""
    return isinstance(data, dict) and all(isinstance(data.get(key), list) for key in ("images", "annotations"))


def entries(data: dict[str, Any], left_out: LeftOut) -> Iterator[Entry]:
    """An entry for each image."""
    captions = captions_by_id(data["annotations"], "image_id", left_out)
    for image in json_objects(data["images"], left_out):
        name = image.get("file_name")
        if isinstance(name, str) and name:
            yield make_entry(name, captions.get(str(image.get("id")), []), None)
        else:
            left_out.add(NO_RECORD, str(image)[:60])
