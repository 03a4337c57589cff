"""How well each class fits each place of a picture, by the two ways that are in use.

Shapes: N classes, G groups, P projection, K classes with a map, h and w of the picture as the model saw it.
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

TOP = 5
MOST_SCALE = 100.0
LONGEST = 2048 / 448
"""Of the paper's protocol: classes that a picture may show, the highest scale, the long side in short sides."""
BATCH = 4


@dataclass(frozen=True)
class Maps:
    """`values` (K, h, w) of the classes `kept` (K,), -1 for the background; other classes are nowhere."""

    kept: Tensor
    values: Tensor


def by_logits(encoder: Encoder, image: Image.Image, texts: Tensor) -> Maps:
    """The reference's `segmentation_logits`, for the whole picture squashed to the model's size.

    `texts` (N, P) are unit vectors. The reference's processor would crop the picture's centre, where it is no square;
    the rest of the picture would have no label.
    """
    side = encoder.config.vision_config.image_size
    squashed = image.resize((side, side), Resampling(encoder.profile.resample))
    seen = encoder.segments(encoder.profile.normalize(np.asarray(squashed)[None]))
    # The reference multiplies by the scale twice.
    logits = (seen.groups[0] @ texts.T).T @ seen.shares[0].flatten(1) * seen.scale**2
    grid = logits.view(1, len(texts), *seen.shares.shape[-2:])
    return Maps(torch.arange(len(texts)), F.interpolate(grid, (side, side), mode="bilinear")[0])


def by_windows(encoder: Encoder, image: Image.Image, texts: Tensor, background: float | None) -> Maps:
    """The protocol of Xu et al. (2022), section 4.1 and its code: probabilities, averaged over sliding windows.

    The picture's short side becomes twice the model's (448 of 224), windows of that side go in steps of half of it.
    In each, every pixel belongs to one group, and a group to the classes by the product of two softmaxes: over all,
    and over the five that fit the window best. `background`: the probability under which a pixel of a window is none
    of the classes; the best group stays what it is.
    """
    window = 2 * encoder.config.vision_config.image_size
    pixels = np.asarray(image.resize(_working_size(image, window, encoder), Resampling.BILINEAR))
    height, width = pixels.shape[:2]
    high, wide = min(window, height), min(window, width)
    corners = [(y, x) for y in _starts(height, window) for x in _starts(width, window)]
    places, chances = [], []
    for i in range(0, len(corners), BATCH):
        batch = np.stack([pixels[y : y + high, x : x + wide] for y, x in corners[i : i + BATCH]])
        seen = encoder.segments(encoder.profile.normalize(batch))
        places += [_one_group_each(shares, high, wide) for shares in seen.shares]
        scale = min(seen.scale, MOST_SCALE)
        chances += [_chances(i, g, texts, scale) for i, g in zip(seen.images, seen.groups, strict=True)]
    shown = torch.stack([c.amax(0) for c in chances]).amax(0).nonzero()[:, 0]
    first = 0 if background is None else 1
    values = torch.zeros(first + len(shown), height, width)
    counts = torch.zeros(height, width)
    for (y, x), place, chance in zip(corners, places, chances, strict=True):
        table = chance[:, shown]
        if background is not None:
            best = table.amax(1)
            none = (best < min(background, float(best.max()))).float()
            table = torch.cat([none[:, None], table], dim=1)
        values[:, y : y + high, x : x + wide] += table.T[:, place]
        counts[y : y + high, x : x + wide] += 1
    return Maps(torch.cat([torch.full((first,), -1), shown]), values.div_(counts))


def _working_size(image: Image.Image, short: int, encoder: Encoder) -> tuple[int, int]:
    """(width, height): the short side `short`, or less where the long one would be too long, at least a patch."""
    factor = min(short / min(image.size), LONGEST * short / max(image.size))
    patch = encoder.config.vision_config.patch_size
    return max(patch, int(image.width * factor + 0.5)), max(patch, int(image.height * factor + 0.5))


def _starts(length: int, window: int) -> list[int]:
    """Where windows begin: in steps of half a window, the last one flush with the end."""
    last = max(length - window, 0)
    return sorted({min(start, last) for start in range(0, last + window // 2, window // 2)})


def _one_group_each(shares: Tensor, height: int, width: int) -> Tensor:
    """(G, rows, columns) -> (height, width): the group that each pixel belongs to."""
    return F.interpolate(shares[None], (height, width), mode="bilinear")[0].argmax(0)


def _chances(image: Tensor, groups: Tensor, texts: Tensor, scale: float) -> Tensor:
    """Unit vectors (P,) of a window, (G, P) of its groups, (N, P) of the texts -> (G, N) probabilities."""
    logits = groups @ texts.T * scale
    best = (image @ texts.T).topk(min(TOP, len(texts))).indices
    shown = torch.full((len(texts),), -torch.inf).index_fill_(0, best, 0.0)
    return logits.softmax(-1) * (logits + shown).softmax(-1)


def enlarge(maps: Maps, height: int, width: int) -> Iterator[tuple[int, Tensor]]:
    """Each class with its map (height, width), one at a time: all of them would not fit for many classes."""
    for index, values in zip(maps.kept.tolist(), maps.values, strict=True):
        yield index, F.interpolate(values[None, None], (height, width), mode="bilinear")[0, 0]
