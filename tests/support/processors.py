"""What processors are given, and whether two of them give the same."""

import numpy as np
import torch
from PIL import Image


def picture(height=40, width=60, channels=3, seed=0):
    """Noise, uint8 (height, width, channels)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def agree(ours, theirs):
    """The same names, types, dtypes and values."""
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        if isinstance(value, list) and name != "pixel_values":
            assert ours[name] == value
            continue
        assert type(ours[name]) is type(value)
        for mine, other in zip(ours[name], value, strict=True):
            assert mine.dtype == other.dtype
            np.testing.assert_array_equal(np.asarray(mine), np.asarray(other))


FLOATS = picture() / 255
IMAGES = {
    "PIL": Image.fromarray(picture()),
    "PIL, transparent": Image.fromarray(picture(channels=4)),
    "PIL, grey": Image.fromarray(picture()).convert("L"),
    "PILs": [Image.fromarray(picture(seed=seed)) for seed in range(3)],
    "array": picture(),
    "array, channels first": picture().transpose(2, 0, 1),
    "array, one channel": picture(channels=1),
    "array, transparent": picture(channels=4),
    "array, whole floats": picture().astype(np.float32),
    "array, fractions": FLOATS.astype(np.float32),
    "arrays": [picture(seed=seed) for seed in range(2)],
    "a batch": np.stack([picture(seed=seed) for seed in range(2)]),
    "tensor": torch.from_numpy(picture().transpose(2, 0, 1).copy()),
    "tensor, fractions": torch.from_numpy(FLOATS.transpose(2, 0, 1).astype(np.float32)),
    "tensors": [torch.from_numpy(picture().transpose(2, 0, 1).copy())] * 2,
    "a batch of tensors": torch.from_numpy(np.stack([picture().transpose(2, 0, 1)] * 2)),
}
