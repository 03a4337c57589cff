"""All pairs of two lists: for each text its nearest images, for each image its nearest texts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sightline.errors import UsageError
from sightline.vectors import tiles

if TYPE_CHECKING:
    from sightline.encoder import Encoder

TILE = 1024, 4096
"""Texts and images of a product: 16 MB of scores at a time."""


@dataclass(frozen=True)
class Neighbors:
    """For each row of one list the positions in the other list, best first, equal scores by position.

    `index` int64 (n, k), `score` float32 (n, k).
    """

    index: NDArray[np.int64]
    score: NDArray[np.float32]


@dataclass(frozen=True)
class Retrieval:
    """The images nearest to each text, and the texts nearest to each image."""

    text_to_image: Neighbors
    image_to_text: Neighbors


def retrieve(
    model: Encoder | str | os.PathLike[str] | None,
    images: Sequence[Any] | NDArray[np.floating[Any]],
    texts: Sequence[str] | NDArray[np.floating[Any]],
    k: int = 10,
    *,
    tile: tuple[int, int] = TILE,
) -> Retrieval:
    """The k nearest images of every text and the k nearest texts of every image, exactly.

    `model` is an encoder or what `sightline.load` takes. `images` and `texts` are what the encoder reads, or matrices
    (n, dim), arrays or tensors, of vectors made before, which are taken as they are (of unit rows the scores are
    cosines; with two matrices `model` may be None). k is cut to the length of the list that is searched. `tile`: how
    many texts and images are compared at a time. Memory: the vectors, the answers and about 100 MB, never the whole
    (texts, images) matrix.

    Raises UsageError for k below 1, vectors that are not finite or of two lengths, and a missing `model`.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise UsageError(f"k is {k!r}: ask for at least 1 result")
    encoder = None if model is None or (_is_matrix(images) and _is_matrix(texts)) else _encoder(model)
    image_rows = _rows("images", images, encoder)
    text_rows = _rows("texts", texts, encoder)
    if len(image_rows) and len(text_rows) and image_rows.shape[1] != text_rows.shape[1]:
        raise UsageError(
            f"vectors of {image_rows.shape[1]} numbers for the images and {text_rows.shape[1]} for the texts: "
            "use one model for both"
        )

    of_texts = _empty(len(text_rows), min(k, len(image_rows)))
    of_images = _empty(len(image_rows), min(k, len(text_rows)))
    for above, beside in tiles(len(text_rows), len(image_rows), tile):
        scores = text_rows[above] @ image_rows[beside].T
        _merge(of_texts[above], _pack(scores, beside.start))
        _merge(of_images[beside], _pack(scores.T, above.start))
    return Retrieval(_unpack(of_texts), _unpack(of_images))


def _is_matrix(rows: Any) -> bool:
    """Whether these are vectors: an array or a torch tensor of numbers with two dimensions."""
    if isinstance(rows, np.ndarray):
        return rows.ndim == 2 and rows.dtype.kind in "fiub"
    return hasattr(rows, "detach") and getattr(rows, "ndim", 0) == 2


def _encoder(model: Encoder | str | os.PathLike[str]) -> Encoder:
    if isinstance(model, str | os.PathLike):
        from sightline.encoder import load

        return load(model)
    return model


def _rows(name: str, items: Any, encoder: Encoder | None) -> NDArray[np.float32]:
    if _is_matrix(items):
        rows = np.asarray(items.detach().cpu().float() if hasattr(items, "detach") else items, dtype=np.float32)
        if not np.isfinite(rows).all():
            raise UsageError(f"the vectors of the {name} hold numbers that are not finite")
        return rows
    if encoder is None:
        raise UsageError(f"the {name} are not a matrix of vectors (n, dim): a model is needed")
    return encoder.encode_text(items) if name == "texts" else encoder.encode_images(items)


# The best so far are kept as int64 keys: a score's bits, made to order as integers, above the complement of its
# position. All keys differ, so that a plain partition orders ties by position and every tile gives the same answer.


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


def _unpack(best: NDArray[np.int64]) -> Neighbors:
    best = np.sort(best, axis=1)[:, ::-1]
    score = _ordered((best >> 32).astype(np.int32)).view(np.float32)
    return Neighbors(index=0xFFFFFFFF - (best & 0xFFFFFFFF), score=score)
