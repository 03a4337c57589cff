"""Images into regions by words."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightline.segment.segmenter import Segmentation, Segmenter

__all__ = ["Segmentation", "Segmenter"]


def __getattr__(name: str) -> Any:
    """What needs torch is imported when first used."""
    if name not in __all__:
        raise AttributeError(f"module 'sightline.segment' has no attribute {name!r}")
    from sightline.segment import segmenter

    return getattr(segmenter, name)
