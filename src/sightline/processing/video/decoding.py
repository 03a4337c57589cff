"""Limits of decoding with several decoders at a time, and the reason to decode in order instead."""

import os

MAX_DECODERS = 4
"""Decoders at a time: each keeps about twenty frames in memory."""

MAX_HELD_BYTES = 1 << 26
"""Bytes that may wait in memory: of packets to be decoded, or of decoded frames to be handed on."""

_LARGE_FRAME = 1 << 23
"""Pixels. A decoder of frames beyond 4K may hold half a gigabyte."""


class UnreliableMarksError(Exception):
    """A video is not as its index or its keyframe marks say: only decoding all frames in order gives the right ones."""


def decoder_count(pixels: int) -> int:
    """How many decoders may run at a time, for frames of `pixels` pixels."""
    return 1 if pixels > _LARGE_FRAME else min(os.cpu_count() or 1, MAX_DECODERS)
