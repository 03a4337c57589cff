"""Arrays in, numbers out."""

from sightline.metrics.recall import ranks, recall_at
from sightline.metrics.segmentation import confusion, iou, mean_iou

__all__ = ["confusion", "iou", "mean_iou", "ranks", "recall_at"]
