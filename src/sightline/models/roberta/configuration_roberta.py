"""RoBERTa's config in the place that the reference gives it."""

from sightline.models.dual.config import RobertaConfig

__all__ = [
    "RobertaConfig",
]
