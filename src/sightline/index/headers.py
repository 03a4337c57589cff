"""The metadata of many files, without decoding any."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sightline.processing.metadata import Metadata, read_image_metadata, read_video_metadata
from sightline.processing.suffixes import is_video

_THREADS = 8
"""Files that are read at a time: waiting for the disk is most of the work."""


def read_headers(paths: Sequence[Path | None]) -> list[Metadata | None]:
    """What each file's header says, None for None; a file that comes several times is read once."""
    once = [path for path in dict.fromkeys(paths) if path is not None]
    pool = ThreadPoolExecutor(_THREADS)
    try:
        metadata = dict(zip(once, pool.map(_read, once), strict=True))
    finally:
        pool.shutdown(cancel_futures=True)
    return [None if path is None else metadata[path] for path in paths]


def _read(path: Path) -> Metadata:
    return read_video_metadata(path) if is_video(path) else read_image_metadata(path)
