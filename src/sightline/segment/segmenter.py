"""A picture and words -> which word each pixel goes by."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightline.encoder.encoder import Picture, load
from sightline.errors import UsageError
from sightline.processing.image.reading import open_image
from sightline.segment.maps import Maps, by_logits, by_windows, enlarge
from sightline.templates import IMAGE_TEMPLATE

DEFAULT_MODEL = "nvidia/groupvit-gcc-yfcc"
Mode = Literal["paper", "transformers"]


@dataclass(frozen=True)
class Segmentation:
    """`labels` int32 (H, W), a number into `classes` for each pixel of the picture, -1 for the background.

    `scores` float32 (H, W): the probability of that label. `shares` float64 (len(classes),): each class's part of the
    picture, from 0 to 1; what is left is background. `maps` float32 (K, h, w) says how well the classes `mapped` (K,)
    fit each place of the picture as the model saw it, -1 among them for the background: probabilities in mode "paper",
    where a class that has no map is nowhere, logits in mode "transformers".
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int32]
    scores: NDArray[np.float32]
    shares: NDArray[np.float64]
    maps: NDArray[np.float32]
    mapped: NDArray[np.int64]


class Segmenter:
    """A GroupViT checkpoint as a function from a picture and words to labels. Raises what `load` raises.

    float32 unless `dtype` says otherwise: bfloat16 shows at edges.
    """

    def __init__(
        self,
        name_or_folder: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "float32",
        **where: Any,
    ) -> None:
        self.encoder = load(name_or_folder, device=device, dtype=dtype, **where)
        if self.encoder.regions is None:
            raise UsageError(
                f"{self.encoder.name}: a {self.encoder.config.model_type} model does not group pixels; segmentation "
                f"needs a GroupViT, {DEFAULT_MODEL} say, or mini-groupvit"
            )
        self._texts: tuple[tuple[tuple[str, ...], str], Tensor] | None = None

    def __call__(
        self,
        picture: Picture,
        classes: Sequence[str],
        *,
        mode: Mode = "paper",
        background: float | None = None,
        prompt: str = IMAGE_TEMPLATE,
    ) -> Segmentation:
        """Labels a picture (path, bytes, PIL, array (H, W, 3)) with the class that fits each pixel best.

        `mode` "paper" is the protocol of Xu et al. (2022), section 4.1 (`by_windows`); "transformers" is what the
        reference's `segmentation_logits` gives, enlarged (`by_logits`). Pixels whose best probability is under
        `background` (0 to 1; the paper's for photos is 0.95, or 0.35 where nearly everything has a class) are
        background; without it each pixel gets a class. In mode "transformers" the probability is the logits' softmax.
        `prompt` makes a text of a class at its "{}".

        Raises `ImageError` for a picture that cannot be read and `UsageError` for less than two classes, for two that
        are one to the model, and for unknown modes.
        """
        if mode not in get_args(Mode):
            raise UsageError(f"mode {mode!r} is not known; there is {' and '.join(get_args(Mode))}")
        if background is not None and not 0 < background <= 1:
            raise UsageError(f"background is {background}, expected a probability above 0 and up to 1")
        texts = self._vectors(classes, prompt)
        image = open_image(picture)
        if mode == "paper":
            maps = by_windows(self.encoder, image, texts, background)
            labels, scores = _best(maps, *image.size)
        else:
            maps = by_logits(self.encoder, image, texts)
            labels, best = _best(maps, *image.size)
            scores = torch.zeros_like(best)
            for _, values in enlarge(maps, *best.shape):
                scores += (values - best).exp()
            scores.reciprocal_()
            if background is not None:
                labels[scores < background] = -1
        counts = np.bincount(labels.numpy().ravel() + 1, minlength=len(classes) + 1)
        return Segmentation(
            tuple(classes),
            labels.numpy(),
            scores.numpy(),
            counts[1:] / labels.numel(),
            maps.values.numpy(),
            maps.kept.numpy(),
        )

    def _vectors(self, classes: Sequence[str], prompt: str) -> Tensor:
        """Unit vectors (N, P) of the classes; those of the last call are kept."""
        if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
            raise UsageError("classes are a list of words")
        if prompt.count("{}") != 1:
            raise UsageError(f'the prompt {prompt!r} needs one "{{}}", where the class goes')
        asked = (tuple(classes), prompt)
        if self._texts is None or self._texts[0] != asked:
            if empty := [name for name in classes if not name.strip()]:
                raise UsageError(f"{empty[0]!r} is no class: name what to look for")
            if len(classes) < 2:
                named = f"{classes[0]!r} alone" if classes else "no class at all"
                raise UsageError(
                    f"{named} tells nothing apart: each pixel gets the class that fits it best, so name what else "
                    'there may be ("cat" "sofa" "wall")'
                )
            texts = [prompt.replace("{}", name) for name in classes]
            first: dict[bytes, int] = {}
            for i, (name, row) in enumerate(zip(classes, self.encoder.tokens(texts), strict=True)):
                if (earlier := first.setdefault(row.tobytes(), i)) != i:
                    other = classes[earlier]
                    same = "is given twice" if other == name else f"and {other!r} are one to the model"
                    raise UsageError(f"class {name!r} {same}: name each once")
            self._texts = (asked, torch.from_numpy(self.encoder.encode_text(texts)))
        return self._texts[1]


def _best(maps: Maps, width: int, height: int) -> tuple[Tensor, Tensor]:
    """The class with the highest value at each of the picture's pixels, int32 (height, width), and that value."""
    labels = torch.full((height, width), -1, dtype=torch.int32)
    best = torch.full((height, width), -torch.inf)
    for index, values in enlarge(maps, height, width):
        labels.masked_fill_(values > best, index)
        torch.maximum(best, values, out=best)
    return labels, best
