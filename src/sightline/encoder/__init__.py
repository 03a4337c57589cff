"""From files and strings to unit vectors."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightline.encoder.encoder import Encoder, load
    from sightline.encoder.text_encoder import TextEncoder

__all__ = ["Encoder", "TextEncoder", "load"]


def __getattr__(name: str) -> Any:
    """Names are imported when first used: `Encoder` and `load` need torch, and a search by words does without it."""
    if name not in __all__:
        raise AttributeError(f"module 'sightline.encoder' has no attribute {name!r}")
    module = "text_encoder" if name == "TextEncoder" else "encoder"
    return getattr(import_module(f"sightline.encoder.{module}"), name)
