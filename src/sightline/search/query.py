"""What somebody looks for, as one direction in the space of the embeddings.

Words, pictures and things to avoid become one unit vector, so that the exact scan and any approximate index answer
every kind of query alike. Plain averages would not do. In CLIP-like models the texts and the pictures lie in two
narrow cones (Liang et al. 2022, "Mind the Gap"): the cosines of a text with a collection of pictures keep within a
few hundredths of one another, those of a picture spread three times as wide, and a plain sum of the two vectors
ranks as the picture alone does. Therefore each part is divided by the spread (standard deviation) of its scores over
the collection before the parts are added: each has the same say in the order, whatever the model's gap.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.errors import UsageError
from sightline.processing import suffixes

# How strongly a thing to avoid is subtracted, measured in spreads. On captioned photos, for "A but not B": at 0.5 a
# fifth of the B leaves the first ten while the A stay; at 1 the A begin to leave as well.
AVOID_WEIGHT = 0.5


@dataclass(frozen=True, init=False)
class Query:
    """Words and pictures to come near to, words to keep away from.

    `texts` and `avoid` are strings, `images` what the encoder reads (a path, bytes, a PIL picture, an array), films
    among them by their paths; a single one may be given without a tuple. Several of one kind count as their average.
    Raises UsageError when there is nothing to look for, or a text is blank.
    """

    texts: tuple[str, ...]
    images: tuple[Any, ...]
    avoid: tuple[str, ...]

    def __init__(
        self, texts: str | Sequence[str] = (), images: Any | Sequence[Any] = (), avoid: str | Sequence[str] = ()
    ) -> None:
        for name, given in (("texts", texts), ("images", images), ("avoid", avoid)):
            object.__setattr__(self, name, tuple(given) if isinstance(given, tuple | list) else (given,))
        if not all(isinstance(text, str) and text.strip() for text in self.texts + self.avoid):
            raise UsageError("a text of the query is empty: say in words what to look for")
        if not self.texts and not self.images:
            more = ", not only what to avoid" if self.avoid else ""
            raise UsageError(f"the query is empty: give words or a picture to look for{more}")

    @classmethod
    def of(cls, query: Any) -> Query:
        """The query that a plain string (words), a path of a picture or film, or any other picture stands for."""
        if isinstance(query, Query):
            return query
        return cls(texts=(query,)) if isinstance(query, str) else cls(images=(query,))

    def vector(self, encoder: Any, collection: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """The query's direction, float32 (dim,), of unit length.

        `encoder` has `encode_text`, and for pictures and films `encode_images` and `encode_videos`. `collection`
        (n, dim) is a sample of the vectors to be searched, from which the spreads are measured. It does not matter
        where the query has one part only: that part is the direction. Raises UsageError when the parts cancel each
        other out, and what the encoder raises for pictures and films that it cannot read.
        """
        texts = encoder.encode_text([*self.texts, *self.avoid]) if self.texts or self.avoid else None
        parts: list[NDArray[np.float32]] = []
        if texts is not None and self.texts:
            parts.append(_mean(texts[: len(self.texts)]))
        if self.images:
            films = [image for image in self.images if is_video(image)]
            pictures = [image for image in self.images if not is_video(image)]
            seen = [encoder.encode_images(pictures)] if pictures else []
            seen += [encoder.encode_videos(films)] if films else []
            parts.append(_mean(np.concatenate(seen)))
        if texts is not None and self.avoid:
            parts.append(-AVOID_WEIGHT * _mean(texts[len(self.texts) :]))
        if len(parts) > 1:
            sample = np.asarray(collection, dtype=np.float32)
            parts = [part / _spread(part, sample) for part in parts]
        return _unit(np.sum(parts, axis=0, dtype=np.float32))

    def __str__(self) -> str:
        said = [f"“{text}”" for text in self.texts]
        said += [Path(image).name if isinstance(image, (str, Path)) else "a picture" for image in self.images]
        return " + ".join(said) + "".join(f" − “{text}”" for text in self.avoid)


def is_video(image: Any) -> bool:
    """Whether a picture of a query is a path whose suffix is a film's."""
    return isinstance(image, str | os.PathLike) and suffixes.is_video(image)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    if not length > 1e-6:
        raise UsageError("the parts of the query cancel each other out: leave one away")
    return np.asarray(vector / np.float32(length), dtype=np.float32)


def _mean(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return _unit(vectors.mean(axis=0, dtype=np.float32))


def _spread(part: NDArray[np.float32], sample: NDArray[np.float32]) -> np.float32:
    """The standard deviation of a unit vector's scores over the sample; 1 where too few rows tell."""
    spread = np.std(sample @ _unit(part)) if len(sample) > 1 else np.float32(1)
    return np.float32(spread if spread > 1e-4 else 1)
