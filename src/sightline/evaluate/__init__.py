"""How good a model is: each evaluation gives a `Result`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sightline.evaluate.result import Result, Skipped

if TYPE_CHECKING:
    from sightline.evaluate.bootstrap import compare
    from sightline.evaluate.classify import video, zeroshot
    from sightline.evaluate.dimensions import projection
    from sightline.evaluate.masks import segmentation
    from sightline.evaluate.mistakes import confusions, diagnosis
    from sightline.evaluate.recall import retrieval
    from sightline.evaluate.scales import temperature
    from sightline.evaluate.tables import side_by_side

_HOMES = {
    "compare": "bootstrap",
    "confusions": "mistakes",
    "diagnosis": "mistakes",
    "projection": "dimensions",
    "retrieval": "recall",
    "segmentation": "masks",
    "side_by_side": "tables",
    "temperature": "scales",
    "video": "classify",
    "zeroshot": "classify",
}

__all__ = [
    "Result",
    "Skipped",
    "compare",
    "confusions",
    "diagnosis",
    "projection",
    "retrieval",
    "segmentation",
    "side_by_side",
    "temperature",
    "video",
    "zeroshot",
]


def __getattr__(name: str) -> Any:
    """What needs torch is imported when first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sightline.evaluate' has no attribute {name!r}")
    return getattr(import_module(f"sightline.evaluate.{_HOMES[name]}"), name)
