"""Whether an exported tower gives what torch gives."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from sightline.errors import SightlineError
from sightline.optimize.runtimes import Run
from sightline.optimize.samples import Inputs
from sightline.optimize.sides import Side

TOLERANCE = 1e-4
"""The largest difference of a float32 vector from torch's, as a part of its length."""
LEAST_COSINE = {"float16": 0.9999, "int8": 0.99}
"""The least mean cosine to float32's vectors."""
_ROUNDING = 4e-6
_PART = 16


def check(
    side: Side, run: Run, precision: str, real: Inputs, *, noise: bool = True, unit: bool = False
) -> dict[str, float | int]:
    """Compares the exported graph with torch on `real` inputs and, with `noise`, on random ones of several batch sizes
    and lengths. What int8 gives for noise says nothing, as its scales were measured on images: there, only shapes are
    compared. `unit`: the graph gives unit vectors.

    Returns what was measured: the largest relative difference, the mean and the least cosine, and how many vectors were
    compared. Raises `SightlineError` where they are too far from torch's.
    """
    differences: list[NDArray[np.float64]] = []
    cosines: list[NDArray[np.float64]] = []
    undecided = 0
    random = list(_random(side)) if noise else []
    for number, inputs in enumerate((*random, *_parts(real))):
        expected = _torch(side, inputs)
        if unit:
            expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        found = run(inputs).astype(np.float64)
        if found.shape != expected.shape:
            raise SightlineError(f"the {side.name} tower gives {found.shape}, torch {expected.shape}: not exported")
        if precision == "int8" and number < len(random):
            continue
        sizes = np.maximum(np.linalg.norm(expected, axis=1), 1e-12)
        off = np.linalg.norm(found - expected, axis=1) / sizes
        close = precision != "float32" or (off <= TOLERANCE).all()
        sure = np.ones(len(off), bool) if close else _decided(side, inputs)
        undecided += int((~sure).sum())
        differences.append(off[sure])
        lengths = np.maximum(np.linalg.norm(found, axis=1), 1e-12)
        cosines.append((found * expected).sum(1)[sure] / (lengths * sizes)[sure])
    off, cosine = np.concatenate(differences), np.concatenate(cosines)
    if not len(off) or not np.isfinite(off).all():
        raise SightlineError(f"the {side.name} tower cannot be compared with torch: are its weights broken?")
    measured: dict[str, float | int] = {
        "difference": float(off.max()),
        "cosine": float(cosine.mean()),
        "least_cosine": float(cosine.min()),
        "vectors": len(off),
        "undecided": undecided,
    }
    _refuse(side.name, precision, measured)
    return measured


def _refuse(name: str, precision: str, measured: dict[str, float | int]) -> None:
    if precision == "float32" and measured["difference"] > TOLERANCE:
        raise SightlineError(
            f"the exported {name} tower differs from torch by {measured['difference']:.1e} of a vector's length, more "
            f"than {TOLERANCE:g}: not exported; please report it"
        )
    least = LEAST_COSINE.get(precision, -1.0)
    if measured["cosine"] < least:
        raise SightlineError(
            f"the {name} tower in {precision} has a mean cosine of {measured['cosine']:.4f} to float32, less than "
            f"{least:g}: not exported; calibrate by images and texts of your collection (--calibrate, --texts), or "
            "export float32"
        )


def _torch(side: Side, inputs: Inputs) -> NDArray[np.float64]:
    return side({name: torch.from_numpy(array) for name, array in inputs.items()}).double().numpy()


def _decided(side: Side, inputs: Inputs) -> NDArray[np.bool_]:
    """Which vectors stay within the tolerance when the pixels change by a rounding error.

    GroupViT gives each patch to one group: where two groups are as near, rounding decides, in torch as well.
    """
    expected = _torch(side, inputs)
    sure = np.ones(len(expected), bool)
    if "pixel_values" not in inputs:
        return sure
    generator, pixels = np.random.default_rng(0), inputs["pixel_values"].astype(np.float32)
    for _ in range(4):
        noise = 1 + _ROUNDING * generator.standard_normal(pixels.shape, np.float32)
        moved = _torch(side, {"pixel_values": pixels * noise})
        sure &= np.linalg.norm(moved - expected, axis=1) <= TOLERANCE * np.linalg.norm(expected, axis=1)
    return sure


def _random(side: Side) -> Iterator[Inputs]:
    """Batches of 1, 3 and several, of texts the shortest, a middling length and the longest."""
    longest = max(side.longest, 1)
    for batch, length in ((1, 1), (3, (longest + 1) // 2), (5, longest)):
        yield {name: tensor.numpy() for name, tensor in side.example(batch, length).items()}


def _parts(inputs: Inputs) -> Iterator[Inputs]:
    count = len(next(iter(inputs.values())))
    for start in range(0, count, _PART):
        yield {name: array[start : start + _PART] for name, array in inputs.items()}
