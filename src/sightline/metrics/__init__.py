"""Metrics: functions from arrays to numbers."""

from sightline.metrics.pairs import exact_cosines, pair_ranks
from sightline.metrics.recall import ranks, recall_at
from sightline.metrics.segmentation import confusion, iou, mean_iou

__all__ = ["confusion", "exact_cosines", "iou", "mean_iou", "pair_ranks", "ranks", "recall_at"]
