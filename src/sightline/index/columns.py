"""The columns that a condition may name: what each is, in plain words, and of which kind its values are."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

Kind = Literal["number", "text", "date", "yes or no", "list of texts"]

MEANINGS = {
    "id": "the row's number; grows with each row",
    "uri": "the file's absolute path",
    "kind": "'image', or 'moment' for a piece of a video",
    "start": "where a moment begins, in seconds",
    "end": "where a moment ends, in seconds",
    "moments": "how many moments the video has",
    "size": "the file's size in bytes",
    "mtime": "when the file was changed, in nanoseconds since 1970",
    "hash": "BLAKE2b-128 of the file, in hex",
    "etag": "the tag of a file in object storage",
    "added": "when the row entered the index, in UTC",
    "width": "pixels, as the image is seen",
    "height": "pixels, as the image is seen",
    "orientation": "the EXIF flag, 1 to 8",
    "frames": "images of an animated image",
    "duration": "the video's length in seconds",
    "fps": "the video's frames per second",
    "codec": "the video's codec, such as 'h264'",
    "has_audio": "whether the video has sound",
    "taken": "when it was taken, by the camera's clock",
    "taken_offset": "the minutes by which that clock is east of UTC",
    "taken_source": "where the date was read, such as 'exif'",
    "camera_make": "the camera's maker",
    "camera_model": "the camera",
    "lens": "the lens",
    "iso": "the sensitivity",
    "f_number": "the aperture: 2.8 for f/2.8",
    "exposure": "the exposure time in seconds",
    "focal_length": "millimetres",
    "latitude": "degrees north",
    "longitude": "degrees east",
    "altitude": "metres above the sea",
    "title": "the title in the file",
    "caption": "the caption in the file",
    "caption_source": "where the caption was read",
    "keywords": "the keywords (tags) in the file",
    "rating": "0 to 5 stars; -1 is rejected",
    "text": "what can be read in the image",
    "pair_id": "the same for the image and the video of a Live Photo",
    "burst_id": "the same for the images of a burst",
    "phash": "the thumbnail's perceptual hash",
    "precision": "the numbers in which the vector was computed",
}
"""Of each column of `schema.item_schema` but `schema.LARGE_COLUMNS`."""


@dataclass(frozen=True)
class Column:
    """`stored`: its name in the table, which differs from `name` in older formats."""

    name: str
    stored: str
    type: pa.DataType

    @property
    def kind(self) -> Kind:
        if pa.types.is_list(self.type):
            return "list of texts"
        if pa.types.is_timestamp(self.type):
            return "date"
        if pa.types.is_boolean(self.type):
            return "yes or no"
        return "text" if pa.types.is_string(self.type) else "number"

    @property
    def is_whole(self) -> bool:
        """Whether its numbers are whole ones."""
        return bool(pa.types.is_integer(self.type))

    @property
    def has_zone(self) -> bool:
        """Whether its dates are in UTC; others are wall-clock times of an unknown zone."""
        return self.kind == "date" and self.type.tz is not None

    @property
    def meaning(self) -> str:
        return MEANINGS[self.name]
