"""Motion photos: images that hold a short video in the same file."""

import hashlib
import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

from sightline.processing.metadata.xmp import Packet

_HASHED = 1 << 16
_MAX_BOXES = 64
_MAX_TRAILER = 1 << 16
_SAMSUNG = b"MotionPhoto_Data"


def motion_id(file: BinaryIO, packet: Packet | None) -> str | None:
    """ "motion:" and a hash of the first 64 KiB of the video; None where the file holds no video.

    The identifier says that the image has a video, and is equal for copies of the image only: the partner of a motion
    photo is in the file itself, no other row of an index.
    """
    size = file.seek(0, io.SEEK_END)
    for start, end in _videos(file, size, packet):
        if 0 < start < end <= size:
            file.seek(start)
            video = file.read(min(_HASHED, end - start))
            if video[4:8] == b"ftyp":
                return f"motion:{hashlib.blake2b(video, digest_size=16).hexdigest()}"
    return None


def _videos(file: BinaryIO, size: int, packet: Packet | None) -> Iterator[tuple[int, int]]:
    """Where the video may begin and end. Google's XMP says how many bytes before the file's end it begins."""
    yield from _heif_videos(file)
    length = packet.video_length() if packet else None
    if length:
        yield size - length, size
    yield from _samsung_videos(file, size)


def _heif_videos(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """In HEIF the video is in the box "mpvd" (boxes: ISO/IEC 14496-12, 4.2)."""
    start = 0
    for _ in range(_MAX_BOXES):
        file.seek(start)
        head = file.read(8)
        length, kind = int.from_bytes(head[:4]), head[4:]
        if length < 8 or (start == 0 and kind != b"ftyp"):
            return
        if kind == b"mpvd":
            yield start + 8, start + length
        start += length


def _samsung_videos(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Samsung's trailer ends in a directory: "SEFH", fields with their distances before it, its length, "SEFT"."""
    file.seek(max(size - 8, 0))
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    begin = size - 8 - length
    if tail[4:] != b"SEFT" or begin < 0 or length > _MAX_TRAILER:
        return
    file.seek(begin + 12)
    for _, _, back, field_size in struct.iter_unpack("<HHII", file.read(max(length - 12, 0) // 12 * 12)):
        file.seek(max(begin - back, 0))
        if file.read(8 + len(_SAMSUNG))[8:] == _SAMSUNG:
            yield begin - back + 8 + len(_SAMSUNG), begin - back + field_size
