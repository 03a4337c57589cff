"""Makes models smaller and faster: what comes out is opened by others."""

from sightline.optimize.calibrate import calibrate_int8
from sightline.optimize.structured import Pruned, TowerCut, prune_structured
from sightline.optimize.unstructured import Sparsity, keep_zeros, prune_model, sparsity

__all__ = [
    "Pruned",
    "Sparsity",
    "TowerCut",
    "calibrate_int8",
    "keep_zeros",
    "prune_model",
    "prune_structured",
    "sparsity",
]
