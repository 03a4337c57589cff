"""A film cut into items, one for each moment. Apart from `item`: what decodes film is imported when there is one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sightline.errors import ImageError
from sightline.index.item import THUMBNAIL, FileFacts, Item, hash_file, unchanged
from sightline.processing.video.moments import moments
from sightline.processing.video.sampling import duration, sample_frames


def cut(path: Path, count: int, short_side: int) -> Iterator[Item]:
    """A film's moments with `count` frames each, as they are decoded: two at a time are in memory.

    There is at least one: a film in which nothing can be seen is one moment, so that it is not decoded again by each
    run. What goes wrong is the `error` of the last item, and then all of the film is to be left out.
    """
    short_side = max(short_side, THUMBNAIL)
    try:
        with unchanged(path) as (opened, size, mtime):
            file = FileFacts(size, mtime, hash_file(opened))
            item = None
            for moment in moments(path, count, short_side):
                if item is not None:
                    yield item
                item = Item(path, moment.start, moment.end, moment.frames, file, is_last=False)
            if item is None:
                end = duration(path)
                item = Item(path, 0.0, end, sample_frames(path, count, 0.0, end, short_side), file)
        yield replace(item, is_last=True)
    except (ImageError, OSError) as error:
        yield Item(path, error=error)
    except MemoryError:
        yield Item(path, error=ImageError(str(path), "not enough memory to read it"))
