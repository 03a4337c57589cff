"""A query, and the unit vector that stands for it among the vectors of the index.

Words, images and words to avoid become a single unit vector, so that the exact scan and an approximate first pass
answer every kind of query alike. Plain averages would not do. In CLIP-like models the texts and the images lie in two
narrow cones (Liang et al. 2022, "Mind the Gap"): the cosines of a text with a collection of images keep within a few
hundredths of one another, those of an image spread three times as wide, and a plain sum of the two vectors ranks as the
image alone does. Therefore each part is divided by the spread (standard deviation) of its scores over the collection
before the parts are added: each part then has the same weight in the order, whatever the model's gap.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, filterfalse, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sightline.errors import UsageError
from sightline.processing.suffixes import is_video

if TYPE_CHECKING:
    from sightline.index.table import Table
    from sightline.search.lazy_encoder import LazyEncoder

AVOID_WEIGHT = 0.5
"""How strongly the words to avoid are subtracted, in spreads. On captioned photos, for "A but not B": at 0.5 a fifth of
the B leaves the first ten while the A stay; at 1 the A begin to leave as well."""


@dataclass(frozen=True, init=False)
class Query:
    """Words, images and vectors to come near to, words to keep away from.

    `texts` and `avoid` are strings, `images` what the encoder reads (a path, bytes, a PIL image, an array), videos
    among them by their paths. `vectors` are made before by the model of the index, or worked out from such: an array
    or tensor (dim,) or (n, dim), or a list of them; they are scaled to unit length. A single text, image or vector
    needs no tuple. Several of one kind count as their average. Raises UsageError for a query without texts, images and
    vectors, for a blank text, and for vectors that are no finite numbers, or zero.
    """

    texts: tuple[str, ...]
    images: tuple[Any, ...]
    avoid: tuple[str, ...]
    vectors: tuple[NDArray[np.float32], ...]

    def __init__(
        self,
        texts: str | Sequence[str] = (),
        images: Any | Sequence[Any] = (),
        avoid: str | Sequence[str] = (),
        vectors: Any = (),
    ) -> None:
        for name, value in (("texts", texts), ("images", images), ("avoid", avoid)):
            object.__setattr__(self, name, tuple(value) if isinstance(value, tuple | list) else (value,))
        if not all(isinstance(text, str) and text.strip() for text in self.texts + self.avoid):
            raise UsageError("a text of the query is empty: say in words what to look for")
        object.__setattr__(self, "vectors", _unit_rows(vectors))
        if not self.texts and not self.images and not self.vectors:
            more = ", not only what to avoid" if self.avoid else ""
            raise UsageError(f"the query is empty: give words or an image to look for{more}")

    @classmethod
    def of(cls, query: Any) -> Query:
        """The query of a plain string (words), of the path of an image or video, or of any other image."""
        if isinstance(query, Query):
            return query
        return cls(texts=(query,)) if isinstance(query, str) else cls(images=(query,))

    @property
    def is_words(self) -> bool:
        """Whether it is words alone."""
        return not self.images and not self.avoid and not self.vectors

    def __repr__(self) -> str:
        """Without what fills pages: images by their names, vectors by their numbers."""
        parts = {"texts": list(self.texts), "images": [_name(image) for image in self.images], "avoid": self.avoid}
        shown = [f"{name}={list(value)}" for name, value in parts.items() if value]
        if self.vectors:
            shown.append(f"vectors=<{len(self.vectors)} of {len(self.vectors[0])} numbers>")
        return f"Query({', '.join(shown)})"

    def __str__(self) -> str:
        wanted = [f"“{text}”" for text in self.texts]
        wanted += map(_name, self.images)
        wanted += {0: [], 1: ["a vector"]}.get(len(self.vectors), [f"{len(self.vectors)} vectors"])
        return " + ".join(wanted) + "".join(f" − “{text}”" for text in self.avoid)


def _name(image: Any) -> str:
    return Path(image).name if isinstance(image, (str, Path)) else "an image"


def _unit_rows(vectors: Any) -> tuple[NDArray[np.float32], ...]:
    """Vectors (dim,) or (n, dim) as rows of unit length. Raises UsageError for what is none."""
    if isinstance(vectors, list | tuple):
        vectors = [_array(vector) for vector in vectors]
    try:
        rows = np.asarray(_array(vectors))
        is_numbers = rows.dtype.kind in "fiu"
        rows = np.atleast_2d(rows.astype(np.float64)) if is_numbers else rows
    except (TypeError, ValueError):  # rows of several lengths, objects
        is_numbers = False
    if not is_numbers or rows.ndim != 2:
        raise UsageError("the vectors of the query are no numbers in one row, (dim,), or in several, (n, dim)")
    if not rows.size:
        return ()
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if not np.isfinite(largest).all():
        raise UsageError("the vectors of the query hold numbers that are not finite")
    if not largest.all():
        raise UsageError("a vector of the query is zero, and points nowhere")
    rows = rows / largest  # so that no square overflows
    return tuple((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))


def _array(vector: Any) -> Any:
    """A torch tensor, on any device and in any precision, as an array; all else as it is."""
    return vector.detach().cpu().double().numpy() if hasattr(vector, "detach") else vector


def check_dim(query: Query, dim: int, folder: Path) -> None:
    """Raises UsageError for vectors of another length than those of the index."""
    if query.vectors and len(query.vectors[0]) != dim:
        raise UsageError(
            f"the vectors of the query have {len(query.vectors[0])} numbers, those of {folder} have {dim}: make them "
            "with the model that built the index"
        )


def query_vectors(
    queries: Sequence[Query], encoder: LazyEncoder, table: Table, sample: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """The queries' unit vectors, float32 (q, dim).

    The texts of all queries without images are encoded in one batch. An image's vector depends in its last bits on the
    batch, so that queries with images are encoded one by one. `sample` (n, dim) are vectors of the table, from which
    the spreads are measured; a query of one part needs none. Raises UsageError when the parts of a query cancel each
    other out, what `LazyEncoder` raises, and what the encoder raises for images and videos that it cannot read.
    """
    texts = list(chain.from_iterable(query.texts + query.avoid for query in queries if not query.images))
    encoded = iter(encoder.for_words(table).encode_text(texts) if texts else ())
    return np.stack(
        [
            _mixed(query, encoder.for_images(table), sample)
            if query.images
            else _combined(query, np.array(list(islice(encoded, len(query.texts + query.avoid)))), None, sample)
            for query in queries
        ]
    )


def _mixed(query: Query, encoder: Any, sample: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """The unit vector (dim,) of a query with images."""
    texts, videos = query.texts + query.avoid, list(filter(is_video_path, query.images))
    images = list(filterfalse(is_video_path, query.images))
    vectors = encoder.encode_text(list(texts)) if texts else np.empty((0, 0), np.float32)
    encoded = [encoder.encode_images(images)] if images else []
    encoded += [encoder.encode_videos(videos)] if videos else []
    return _combined(query, vectors, np.concatenate(encoded), sample)


def _combined(
    query: Query, texts: NDArray[np.float32], images: NDArray[np.float32] | None, sample: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """The unit vector (dim,) of a query whose `texts` are the vectors of its texts and of what it avoids, and whose
    `images` are those of its images and videos."""
    parts: list[NDArray[np.float32]] = []
    if query.texts:
        parts.append(_mean(texts[: len(query.texts)]))
    if images is not None:
        parts.append(_mean(images))
    if query.vectors:
        parts.append(_mean(np.stack(query.vectors)))
    if query.avoid:
        parts.append(-AVOID_WEIGHT * _mean(texts[len(query.texts) :]))
    if len(parts) > 1:
        wide = np.asarray(sample, dtype=np.float32)
        parts = [vector / _spread(vector, wide) for vector in parts]
    return _unit(np.sum(parts, axis=0, dtype=np.float32))


def is_video_path(image: Any) -> bool:
    """Whether an image of a query is the path of a video."""
    return isinstance(image, str | os.PathLike) and is_video(image)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """A vector (dim,) scaled to length 1. Raises UsageError for a vector that is nearly zero."""
    length = float(np.linalg.norm(vector))
    if not length > 1e-6:
        raise UsageError("the parts of the query cancel each other out: leave one away")
    return np.asarray(vector / np.float32(length), dtype=np.float32)


def _mean(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return _unit(vectors.mean(axis=0, dtype=np.float32))


def _spread(vector: NDArray[np.float32], sample: NDArray[np.float32]) -> np.float32:
    """The standard deviation of a vector's cosines with the sample; 1 for a sample that has none."""
    spread = np.std(sample @ _unit(vector)) if len(sample) > 1 else np.float32(1)
    return np.float32(spread if spread > 1e-4 else 1)
