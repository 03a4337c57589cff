"""An image and words -> the word that fits each pixel best."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightline.encoder.encoder import load
from sightline.encoder.inputs import ImageInput
from sightline.encoder.lists import as_list
from sightline.encoder.precision import Precision
from sightline.errors import UsageError
from sightline.models import FAMILIES
from sightline.processing.image.reading import open_image
from sightline.processing.image.sources import is_image_source
from sightline.segment.defaults import DEFAULT_MODEL, Mode
from sightline.segment.maps import Maps, by_logits, by_windows, enlarge
from sightline.templates import IMAGE_TEMPLATE


@dataclass(frozen=True)
class Segmentation:
    """`labels` int32 (H, W): for each pixel of the image a position in `classes`, -1 for the background.

    `scores` float32 (H, W): the probability of that label. `shares` float64 (len(classes),): each class's part of the
    image, from 0 to 1; the rest is background. `maps` float32 (K, h, w): how well the classes `mapped` (K,), -1 for the
    background, fit each place of the image as the model saw it: probabilities in mode "paper", where a class without a
    map is nowhere in the image; logits in mode "transformers".
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int32]
    scores: NDArray[np.float32]
    shares: NDArray[np.float64]
    maps: NDArray[np.float32]
    mapped: NDArray[np.int64]


class Segmenter:
    """A GroupViT checkpoint as a function from an image and words to labels. Raises what `load` raises, and UsageError
    for a model that does not group pixels.

    The default precision is float32: bfloat16 changes labels at edges. "fast" is a `UsageError`.
    """

    def __init__(
        self,
        name_or_folder: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        device: str | torch.device = "auto",
        precision: Precision = "float32",
        **source: Any,
    ) -> None:
        if precision == "fast":
            raise UsageError('precision "fast" is checked by vectors, not by labels of pixels: choose another')
        self.encoder = load(name_or_folder, device=device, precision=precision, **source)
        if self.encoder.exported is not None:
            raise self.encoder.vectors_only("regions need")
        if self.encoder.regions is None:
            kinds = " or ".join(kind for kind, family in FAMILIES.items() if family.has_regions)
            raise UsageError(
                f"{self.encoder.name}: a {self.encoder.config.model_type} model does not group pixels; segmentation "
                f"needs a model of type {kinds}, {DEFAULT_MODEL} say, or mini-groupvit"
            )
        self._texts: tuple[tuple[tuple[str, ...], str], Tensor] | None = None

    def __repr__(self) -> str:
        return repr(self.encoder).replace("Encoder", "Segmenter", 1)

    def __call__(
        self,
        image: ImageInput,
        classes: Iterable[str],
        *,
        mode: Mode = "paper",
        background: float | None = None,
        prompt: str = IMAGE_TEMPLATE,
    ) -> Segmentation:
        """Labels each pixel of an image (a path, bytes, an open file, PIL, an array or a tensor) with the class that
        fits it best.

        `mode` "paper" is the protocol of Xu et al. (2022), section 4.1 (`by_windows`); "transformers" is what the
        reference's `segmentation_logits` gives, enlarged (`by_logits`). Pixels whose best probability is under
        `background` (0 to 1; the paper's for photos is 0.95, or 0.35 where nearly everything has a class) are
        background; without it each pixel gets a class. In mode "transformers" the probability is the logits' softmax.
        `prompt` is the text of a class, which takes the place of its "{}".

        Raises `ImageError` for an image that cannot be read and `UsageError` for less than two classes, for two classes
        with the same tokens, and for unknown modes.
        """
        if mode not in get_args(Mode):
            raise UsageError(f"mode {mode!r} is not known: choose {' or '.join(get_args(Mode))}")
        if background is not None and not 0 < background <= 1:
            raise UsageError(f"background is {background}, expected a probability above 0 and up to 1")
        if not is_image_source(image):
            raise UsageError(f"a Segmenter takes one image (a path, bytes, PIL, an array), not {type(image).__name__}")
        classes = as_list("a Segmenter", "word", classes)
        texts = self._vectors(classes, prompt)
        picture = open_image(image)
        if mode == "paper":
            maps = by_windows(self.encoder, picture, texts, background)
            labels, scores = _best(maps, *picture.size)
        else:
            maps = by_logits(self.encoder, picture, texts)
            labels, best = _best(maps, *picture.size)
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
        """Unit vectors (N, P) of the classes; the vectors of the last call are kept."""
        if not all(isinstance(name, str) for name in classes):
            raise UsageError("classes are a list of words")
        if prompt.count("{}") != 1:
            raise UsageError(f'the prompt {prompt!r} needs one "{{}}", where the class goes')
        key = (tuple(classes), prompt)
        if self._texts is None or self._texts[0] != key:
            texts = [prompt.replace("{}", name) for name in classes]
            self._check(classes, texts)
            self.encoder.tokens(
                classes
            )  # tells the logger of words that the vocabulary lacks, which a prompt would hide
            self._texts = (key, torch.from_numpy(self.encoder.encode_text(texts)))
        return self._texts[1]

    def _check(self, classes: Sequence[str], texts: list[str]) -> None:
        """Raises `UsageError` for classes that are blank, less than two, or the same to the model."""
        if blank := [name for name in classes if not name.strip()]:
            raise UsageError(f"{blank[0]!r} is not a class: name what to look for")
        if len(classes) < 2:
            named = f"{classes[0]!r} alone" if classes else "no class at all"
            raise UsageError(
                f"{named} tells nothing apart: each pixel gets the class that fits it best, so name what else the "
                'image may show ("cat" "sofa" "wall")'
            )
        first: dict[bytes, int] = {}
        for i, (name, tokens) in enumerate(zip(classes, self.encoder.tokenizer.encode(texts), strict=True)):
            if (earlier := first.setdefault(tokens.tobytes(), i)) != i:
                other = classes[earlier]
                same = "is given twice" if other == name else f"and {other!r} are the same to the model"
                raise UsageError(f"class {name!r} {same}: name each once")


def _best(maps: Maps, width: int, height: int) -> tuple[Tensor, Tensor]:
    """The class with the highest value at each of the image's pixels, int32 (height, width), and that value."""
    labels = torch.full((height, width), -1, dtype=torch.int32)
    best = torch.full((height, width), -torch.inf)
    for index, values in enlarge(maps, height, width):
        labels.masked_fill_(values > best, index)
        torch.maximum(best, values, out=best)
    return labels, best
