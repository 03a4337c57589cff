"""Makes models smaller and faster, and measures them: what comes out is opened by others."""

from sightline.optimize.calibrate import calibrate_int8
from sightline.optimize.profile import ModelProfiler
from sightline.optimize.structured import Pruned, TowerCut, prune_structured
from sightline.optimize.unstructured import Sparsity, keep_zeros, prune_model, sparsity

__all__ = [
    "ModelProfiler",
    "Pruned",
    "Sparsity",
    "TowerCut",
    "calibrate_int8",
    "keep_zeros",
    "prune_model",
    "prune_structured",
    "sparsity",
]
