"""From files and strings to unit vectors."""

from typing import TYPE_CHECKING, Any

from sightline.encoder.source import Words

if TYPE_CHECKING:
    from sightline.encoder.encoder import Encoder, load

__all__ = ["Encoder", "Words", "load"]


def __getattr__(name: str) -> Any:
    """What needs torch is imported when first used: a search by words does without."""
    if name not in __all__:
        raise AttributeError(f"module 'sightline.encoder' has no attribute {name!r}")
    from sightline.encoder import encoder

    return getattr(encoder, name)
