"""How well each class fits each place of an image, by the two methods in use.

Shapes: N classes, G groups, P projection, K classes with a map, h and w of the image as the model saw it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from PIL.Image import Resampling
from torch import Tensor
from torch.nn import functional as F

from sightline.encoder.encoder import Encoder

TOP_CLASSES = 5
MAX_SCALE = 100.0
MAX_ASPECT = 2048 / 448
"""Of the paper's protocol: classes that a window may show, the highest scale, the longest side in short sides."""
BATCH = 4


@dataclass(frozen=True)
class Maps:
    """`values` (K, h, w) of the classes `kept` (K,), -1 for the background; other classes fit no place."""

    kept: Tensor
    values: Tensor


def by_logits(encoder: Encoder, image: Image.Image, texts: Tensor) -> Maps:
    """The reference's `segmentation_logits`, for the whole image squashed to the model's size.

    `texts` (N, P) are unit vectors. The reference's processor crops the center square of an image, which would leave
    the rest of the image without a label.
    """
    side = encoder.config.vision_config.image_size
    squashed = image.resize((side, side), Resampling(encoder.profile.resample))
    segments = encoder.segments(encoder.profile.normalize(np.asarray(squashed)[None]))
    # The reference multiplies by the scale twice.
    logits = (segments.groups[0] @ texts.T).T @ segments.shares[0].flatten(1) * segments.scale**2
    grid = logits.view(1, len(texts), *segments.shares.shape[-2:])
    return Maps(torch.arange(len(texts)), F.interpolate(grid, (side, side), mode="bilinear")[0])


def by_windows(encoder: Encoder, image: Image.Image, texts: Tensor, background: float | None) -> Maps:
    """The protocol of Xu et al. (2022), section 4.1 and its code: probabilities, averaged over sliding windows.

    The image's short side becomes twice the model's (448 of 224), and windows of that side move in steps of half of it.
    In each window every pixel belongs to a group. A group's probabilities are the product of two softmaxes: over all
    classes, and over the five that fit the window best. `background`: pixels whose best probability is lower are
    background; the group that fits best keeps its class.
    """
    window = 2 * encoder.config.vision_config.image_size
    pixels = np.asarray(image.resize(_working_size(image, window, encoder), Resampling.BILINEAR))
    height, width = pixels.shape[:2]
    high, wide = min(window, height), min(window, width)
    corners = [(y, x) for y in _starts(height, window) for x in _starts(width, window)]
    groups, probabilities = [], []
    for i in range(0, len(corners), BATCH):
        batch = np.stack([pixels[y : y + high, x : x + wide] for y, x in corners[i : i + BATCH]])
        segments = encoder.segments(encoder.profile.normalize(batch))
        groups += [_group_of_pixels(shares, high, wide) for shares in segments.shares]
        scale = min(segments.scale, MAX_SCALE)
        probabilities += [
            _probabilities(vector, vectors, texts, scale)
            for vector, vectors in zip(segments.images, segments.groups, strict=True)
        ]
    shown = torch.stack([table.amax(0) for table in probabilities]).amax(0).nonzero()[:, 0]
    first = 0 if background is None else 1
    values = torch.zeros(first + len(shown), height, width)
    counts = torch.zeros(height, width)
    for (y, x), group, table in zip(corners, groups, probabilities, strict=True):
        table = table[:, shown]
        if background is not None:
            best = table.amax(1)
            is_background = (best < min(background, float(best.max()))).float()
            table = torch.cat([is_background[:, None], table], dim=1)
        values[:, y : y + high, x : x + wide] += table.T[:, group]
        counts[y : y + high, x : x + wide] += 1
    return Maps(torch.cat([torch.full((first,), -1), shown]), values.div_(counts))


def _working_size(image: Image.Image, short: int, encoder: Encoder) -> tuple[int, int]:
    """(width, height): the short side `short`, or less where the long side would be too long; at least a patch."""
    factor = min(short / min(image.size), MAX_ASPECT * short / max(image.size))
    patch = encoder.config.vision_config.patch_size
    return max(patch, int(image.width * factor + 0.5)), max(patch, int(image.height * factor + 0.5))


def _starts(length: int, window: int) -> list[int]:
    """Where windows begin: in steps of half a window, the last window flush with the end."""
    last = max(length - window, 0)
    return sorted({min(start, last) for start in range(0, last + window // 2, window // 2)})


def _group_of_pixels(shares: Tensor, height: int, width: int) -> Tensor:
    """(G, rows, columns) -> int64 (height, width): the group that each pixel belongs to."""
    return F.interpolate(shares[None], (height, width), mode="bilinear")[0].argmax(0)


def _probabilities(window: Tensor, groups: Tensor, texts: Tensor, scale: float) -> Tensor:
    """Unit vectors (P,) of a window, (G, P) of its groups, (N, P) of the texts -> (G, N) probabilities."""
    logits = groups @ texts.T * scale
    best = (window @ texts.T).topk(min(TOP_CLASSES, len(texts))).indices
    shown = torch.full((len(texts),), -torch.inf).index_fill_(0, best, 0.0)
    return logits.softmax(-1) * (logits + shown).softmax(-1)


def enlarge(maps: Maps, height: int, width: int) -> Iterator[tuple[int, Tensor]]:
    """Each class with its map (height, width), one at a time: all maps would not fit into memory for many classes."""
    for index, values in zip(maps.kept.tolist(), maps.values, strict=True):
        yield index, F.interpolate(values[None, None], (height, width), mode="bilinear")[0, 0]
