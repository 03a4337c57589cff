"""A checkpoint's tower, opened in a precision."""

import torch

from sightline.encoder.int8 import calibrated
from sightline.encoder.source import EncoderSource, Noun
from sightline.errors import UsageError
from sightline.models.tower import Tower


def open_tower(source: EncoderSource, noun: Noun, precision: str, dtype: torch.dtype) -> Tower:
    """The tower, on the processor. `precision`: neither "auto" nor "fast"; `dtype`: of the pixels that it takes.
    Raises `UsageError` for a tower that cannot be computed in it."""
    kind = source.family.text if noun == "texts" else source.family.image
    if precision == "int8":
        if not kind.int8_blocks:
            raise UsageError(
                f"{source.name}: its tower for {noun} is made of convolutions, which int8 does not make faster: "
                "take --precision bfloat16 (precision=)"
            )
        tower = kind.for_encoding(source.path, dtype).check_plain(source.name)
        return tower.to_int8(calibrated(source, noun, tower), torch.from_numpy(source.profile.byte_values))
    opened = kind.in_4_bits if precision == "int4" else kind.for_encoding
    return opened(source.path, dtype)
