"""BERT's config in the place that the reference gives it."""

from sightline.models.dual.config import BertConfig

__all__ = [
    "BertConfig",
]
