"""How good a model is: each evaluation gives a `Result`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sightline.evaluate.result import Result, Skipped

if TYPE_CHECKING:
    from sightline.evaluate.bootstrap import compare
    from sightline.evaluate.classify import video, zeroshot
    from sightline.evaluate.masks import segmentation
    from sightline.evaluate.recall import retrieval

_HOMES = {
    "compare": "bootstrap",
    "retrieval": "recall",
    "segmentation": "masks",
    "video": "classify",
    "zeroshot": "classify",
}

__all__ = ["Result", "Skipped", "compare", "retrieval", "segmentation", "video", "zeroshot"]


def __getattr__(name: str) -> Any:
    """What needs torch is imported when first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sightline.evaluate' has no attribute {name!r}")
    return getattr(import_module(f"sightline.evaluate.{_HOMES[name]}"), name)
