"""All pairs of two lists: for each text its nearest pictures, for each picture its nearest texts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sightline.errors import UsageError

if TYPE_CHECKING:
    from sightline.encoder import Encoder

# Rows of one product of texts and of pictures: 16 MB of scores at a time.
TEXTS, IMAGES = 1024, 4096


@dataclass(frozen=True)
class Nearest:
    """For each row of one list the positions in the other list, best first, equal scores by position.

    `index` int64 (n, k), `score` float32 (n, k).
    """

    index: NDArray[np.int64]
    score: NDArray[np.float32]


@dataclass(frozen=True)
class Pairs:
    """Both directions of one comparison."""

    text_to_image: Nearest
    image_to_text: Nearest


def retrieve(
    model: Encoder | str | os.PathLike[str] | None,
    images: Sequence[Any] | NDArray[np.floating[Any]],
    texts: Sequence[str] | NDArray[np.floating[Any]],
    k: int = 10,
) -> Pairs:
    """The k nearest pictures of every text and the k nearest texts of every picture, exactly.

    `model` is an encoder or what `sightline.load` takes. `images` and `texts` are what the encoder reads, or matrices
    (n, dim) of vectors made before, which are taken as they are (give unit rows and the scores are cosines; with two
    matrices `model` may be None). k is cut to the length of the list that is searched. Memory: the vectors, the
    answers and some 100 MB, never the whole (texts, images) matrix.
    """
    if k < 1:
        raise UsageError(f"k is {k}: ask for at least 1 result")
    encoder = None if model is None or (_given(images) and _given(texts)) else _encoder(model)
    image_rows = _rows("images", images, encoder)
    text_rows = _rows("texts", texts, encoder)
    if len(image_rows) and len(text_rows) and image_rows.shape[1] != text_rows.shape[1]:
        raise UsageError(
            f"vectors of {image_rows.shape[1]} numbers for the images and {text_rows.shape[1]} for the texts: "
            "use one model for both"
        )

    of_texts = _empty(len(text_rows), min(k, len(image_rows)))
    of_images = _empty(len(image_rows), min(k, len(text_rows)))
    for top in range(0, len(text_rows), TEXTS):
        text_block = text_rows[top : top + TEXTS]
        for left in range(0, len(image_rows), IMAGES):
            scores = text_block @ image_rows[left : left + IMAGES].T
            _merge(of_texts[top : top + TEXTS], _pack(scores, left))
            _merge(of_images[left : left + IMAGES], _pack(scores.T, top))
    return Pairs(_unpack(of_texts), _unpack(of_images))


def _given(rows: object) -> bool:
    return isinstance(rows, np.ndarray) and rows.ndim == 2


def _encoder(model: Encoder | str | os.PathLike[str]) -> Encoder:
    if isinstance(model, str | os.PathLike):
        from sightline.encoder import load

        return load(model)
    return model


def _rows(name: str, items: Any, encoder: Encoder | None) -> NDArray[np.float32]:
    if _given(items):
        rows = np.asarray(items, dtype=np.float32)
        if not np.isfinite(rows).all():
            raise UsageError(f"the vectors of the {name} hold numbers that are not finite")
        return rows
    if encoder is None:
        raise UsageError(f"the {name} are not a matrix of vectors (n, dim): a model is needed")
    return encoder.encode_text(items) if name == "texts" else encoder.encode_images(items)


# The best so far are kept as int64 keys: a score's bits, made to order as integers, above the complement of its
# position. Keys are all different, so that a plain partition settles ties by position and every block size gives the
# same answer.


def _empty(n: int, k: int) -> NDArray[np.int64]:
    return np.full((n, k), np.iinfo(np.int64).min)


def _ordered(bits: NDArray[np.int32]) -> NDArray[np.int32]:
    """Float bits to integers of the same order, and back (its own inverse)."""
    return bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))


def _pack(scores: NDArray[np.float32], start: int) -> NDArray[np.int64]:
    positions = 0xFFFFFFFF - np.arange(start, start + scores.shape[1], dtype=np.int64)
    bits = np.add(scores, np.float32(0), order="C").view(np.int32)  # -0.0 becomes 0.0
    keys: NDArray[np.int64] = (_ordered(bits).astype(np.int64) << 32) | positions
    return keys


def _merge(best: NDArray[np.int64], keys: NDArray[np.int64]) -> None:
    k = best.shape[1]
    if k:
        both = np.concatenate([best, keys], axis=1)
        both.partition(both.shape[1] - k, axis=1)
        best[:] = both[:, -k:]


def _unpack(best: NDArray[np.int64]) -> Nearest:
    best = np.sort(best, axis=1)[:, ::-1]
    score = _ordered((best >> 32).astype(np.int32)).view(np.float32)
    return Nearest(index=0xFFFFFFFF - (best & 0xFFFFFFFF), score=score)
