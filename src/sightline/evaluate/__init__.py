"""Evaluations of a model: each is a function in the file of its name, as is its command, and returns a `Result`."""

from sightline.evaluate.compare import compare
from sightline.evaluate.confusions import confusions
from sightline.evaluate.diagnosis import diagnosis
from sightline.evaluate.knn import knn
from sightline.evaluate.linear_probe import linear_probe
from sightline.evaluate.projection import projection
from sightline.evaluate.result import Result, Skipped, open_results, save_results
from sightline.evaluate.retrieval import retrieval
from sightline.evaluate.segmentation import segmentation
from sightline.evaluate.table import table
from sightline.evaluate.temperature import temperature
from sightline.evaluate.video import video
from sightline.evaluate.zeroshot import zeroshot

__all__ = [
    "Result",
    "Skipped",
    "compare",
    "confusions",
    "diagnosis",
    "knn",
    "linear_probe",
    "open_results",
    "projection",
    "retrieval",
    "save_results",
    "segmentation",
    "table",
    "temperature",
    "video",
    "zeroshot",
]
