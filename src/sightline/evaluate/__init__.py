"""How good a model is: each evaluation gives a `Result`, and is a file of its command's name."""

from sightline.evaluate.compare import compare
from sightline.evaluate.diagnosis import confusions, diagnosis
from sightline.evaluate.projection import projection
from sightline.evaluate.result import Result, Skipped
from sightline.evaluate.retrieval import retrieval
from sightline.evaluate.segmentation import segmentation
from sightline.evaluate.table import side_by_side
from sightline.evaluate.temperature import temperature
from sightline.evaluate.zeroshot import video, zeroshot

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
