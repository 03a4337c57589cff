"""How good a model is: each evaluation gives a `Result`."""

from typing import TYPE_CHECKING, Any

from sightline.evaluate.result import Result, Skipped

if TYPE_CHECKING:
    from sightline.evaluate.retrieval import retrieval

__all__ = ["Result", "Skipped", "retrieval"]


def __getattr__(name: str) -> Any:
    """What needs torch is imported when first used."""
    if name not in __all__:
        raise AttributeError(f"module 'sightline.evaluate' has no attribute {name!r}")
    from sightline.evaluate import retrieval

    return getattr(retrieval, name)
