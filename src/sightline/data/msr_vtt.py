"""MSR-VTT's videodatainfo (Xu et al., "MSR-VTT: A Large Video Description Dataset", 2016)."""

from collections.abc import Iterator
from typing import Any

from sightline.data.entry import NO_RECORD, Entry, captions_by_id, json_objects, make_entry
from sightline.data.sample import LeftOut


def matches(data: Any) -> bool:
    """Whether JSON has this layout: the lists "videos" and "sentences"."""
    return isinstance(data, dict) and all(isinstance(data.get(key), list) for key in ("videos", "sentences"))


def entries(data: dict[str, Any], left_out: LeftOut) -> Iterator[Entry]:
    """An entry for each video."""
    captions = captions_by_id(data["sentences"], "video_id", left_out)
    for video in json_objects(data["videos"], left_out):
        name = video.get("video_id")
        if isinstance(name, str) and name:
            yield make_entry(name, captions.get(name, []), video.get("split"))
        else:
            left_out.add(NO_RECORD, str(video)[:60])
