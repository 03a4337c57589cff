"""Arrays in, numbers out."""

from sightline.metrics.recall import ranks, recall_at

__all__ = ["ranks", "recall_at"]
