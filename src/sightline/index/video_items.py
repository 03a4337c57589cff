"""A video or an animated image as items, one for each moment. Apart from `item`: what decodes videos is imported when
there is a video."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from sightline.errors import ImageError
from sightline.index.item import THUMBNAIL_SIDE, Facts, FileFacts, ImageItem, Item, facts_of, hash_file, unchanged
from sightline.processing.metadata import Metadata, read_image_metadata, read_video_metadata
from sightline.processing.video.animation import animation_moments
from sightline.processing.video.sampling import duration

if TYPE_CHECKING:
    from sightline.encoder import Encoder


@dataclass(frozen=True, eq=False)
class MomentItem(Item):
    """A moment of a video, from second `start` to `end`, decoded already: to find the moments is to decode them."""

    path: Path
    start: float
    end: float
    images: list[Image.Image] = field(repr=False)
    file: FileFacts
    metadata: Metadata
    is_last: bool = False
    is_video = True

    def read(self, encoder: "Encoder") -> tuple[list[Image.Image], Facts]:
        middle = self.images[len(self.images) // 2]
        return self.images, facts_of(self.file, self.metadata, middle, self.start, self.end)


@dataclass(frozen=True, eq=False)
class BrokenVideo(Item):
    """The end of a video that cannot be read, or not to its end; reading it raises the error."""

    path: Path
    error: Exception
    end, is_last, is_video = None, True, True

    def read(self, encoder: "Encoder") -> tuple[list[Image.Image], Facts]:
        raise self.error


def animation_items(path: Path, encoder: "Encoder") -> Iterator[Item]:
    """The moments of an animated image as those of a video; an image that does not move, or not for long, as it is."""
    try:
        with unchanged(path) as (opened, size, mtime):
            item = file = None
            for moment in animation_moments(path, encoder.frames, max(encoder.size_hint, THUMBNAIL_SIDE)):
                if file is None:
                    file, metadata = FileFacts(size, mtime, hash_file(opened)), read_image_metadata(path)
                if item is not None:
                    yield item
                item = MomentItem(path, moment.start, moment.end, moment.frames, file, metadata)
        yield ImageItem(path) if item is None else replace(item, is_last=True)
    except (ImageError, OSError) as error:
        yield BrokenVideo(path, error)
    except MemoryError:
        yield BrokenVideo(path, ImageError(str(path), "not enough memory to read it"))


def video_items(path: Path, encoder: "Encoder") -> Iterator[Item]:
    """A video's moments, each with the frames by which the encoder sees it, as they are decoded: two at a time are in
    memory.

    There is at least one moment: a video in which nothing can be seen is a single moment, so that not every run decodes
    it again. If something goes wrong the last item is a BrokenVideo, and the whole video is to be left out.
    """
    try:
        with unchanged(path) as (opened, size, mtime):
            file, metadata = FileFacts(size, mtime, hash_file(opened)), read_video_metadata(path)
            item = None
            for moment in encoder.moments(path, THUMBNAIL_SIDE):
                if item is not None:
                    yield item
                item = MomentItem(path, moment.start, moment.end, moment.frames, file, metadata)
            if item is None:
                end = duration(path)
                item = MomentItem(path, 0.0, end, encoder.sample_frames(path, THUMBNAIL_SIDE), file, metadata)
        yield replace(item, is_last=True)
    except (ImageError, OSError) as error:
        yield BrokenVideo(path, error)
    except MemoryError:
        yield BrokenVideo(path, ImageError(str(path), "not enough memory to read it"))
