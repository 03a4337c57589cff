"""The pictures and films of a data set, and words, as a model sees them.

Shapes: N pictures or films that can be read, T texts, D numbers in a vector.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.data import Item
from sightline.encoder.encoder import Encoder
from sightline.encoder.inputs import video_frames
from sightline.encoder.rescorer import Rescorer
from sightline.encoder.source import Vectors
from sightline.errors import DataError, ImageError
from sightline.evaluate.result import Skipped
from sightline.metrics import exact_cosines
from sightline.metrics.pairs import TILE, Scores
from sightline.processing.image.reading import open_image

S = TypeVar("S", bound=Item)

_TEXTS = 4096
RESCORED = (32, 128)
"""Films and texts whose exact scores are computed at a time, where a text reads differently for each film."""


@dataclass(frozen=True)
class Progress:
    """How far an evaluation is: `done` of `total` in this stage, `skipped` pictures that could not be read."""

    stage: str
    done: int
    total: int
    skipped: int = 0


Report = Callable[[Progress], None]


class DataSet(Protocol):
    """What a result tells of its data."""

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...


def quiet(progress: Progress) -> None:
    """Reports to nobody."""


@dataclass(frozen=True)
class Seen(Generic[S]):
    """The samples that could be read, in their order, with unit vectors (N, D); `summaries` float16 (N, rows, D) where
    the model scores by more than vectors. `skipped` are the others."""

    samples: list[S]
    vectors: Vectors
    summaries: NDArray[np.float16] | None
    skipped: list[Skipped]


def see(encoder: Encoder, samples: Sequence[S], report: Report = quiet) -> Seen[S]:
    """Pictures and films through the model, as `Encoder.encode_images` and `encode_videos` see them.

    What cannot be read is skipped and shifts nothing. Raises `DataError` if nothing can be read.
    """
    good: list[S] = []
    vectors: list[Vectors] = []
    skipped: list[Skipped] = []
    summaries: list[NDArray[np.float16]] = []

    def read(sample: S) -> tuple[Image.Image | list[Image.Image], None]:
        try:
            content = sample.content()
        except DataError as error:
            raise ImageError(str(sample.media), str(error)) from error
        if sample.is_video:
            return video_frames(content, encoder.frames, encoder.size_hint), None
        return open_image(content, short_side=encoder.size_hint), None

    is_rescored = encoder.family.is_rescored
    stream = encoder.stream(samples, read, lambda sample: sample.is_video, extras=is_rescored)
    with closing(stream):
        for done, encoded in enumerate(stream, 1):
            if isinstance(encoded.vector, ImageError):
                skipped.append(Skipped(str(encoded.item.media), encoded.vector.reason))
            else:
                good.append(encoded.item)
                vectors.append(encoded.vector)
                if encoded.extras is not None:
                    summaries.append(encoded.extras)
            report(Progress("encoding", done, len(samples), len(skipped)))
    if not good:
        why = f"the first: {skipped[0].source}: {skipped[0].reason}" if skipped else "there are none"
        raise DataError(f"none of {len(samples)} pictures and films can be read; {why}")
    return Seen(good, np.stack(vectors), np.stack(summaries) if is_rescored else None, skipped)


def about(encoder: Encoder, data: DataSet) -> dict[str, Any]:
    """What a `Result` says of its model and its data. Raises `DataError`."""
    return {
        "model": encoder.name,
        "model_fingerprint": encoder.fingerprint,
        "data": data.name,
        "data_fingerprint": data.fingerprint,
        "precision": encoder.precision,
    }


def read_texts(encoder: Encoder, texts: Sequence[str], report: Report = quiet) -> Vectors:
    """Texts as `score_pairs` takes them, (T, D): of unit length, unless they are to be scored by more than vectors."""
    encode = encoder.embed_text if encoder.family.is_rescored else encoder.encode_text
    vectors = np.empty((len(texts), encoder.dim), np.float32)
    for start in range(0, len(texts), _TEXTS):
        vectors[start : start + _TEXTS] = encode(texts[start : start + _TEXTS])
        report(Progress("reading texts", min(start + _TEXTS, len(texts)), len(texts)))
    return vectors


def score_pairs(encoder: Encoder, seen: Seen[Any], texts: Vectors) -> tuple[Scores, tuple[int, int]]:
    """What the model says of pairs of pictures and texts (`read_texts`), and how many to ask for at a time.

    Cosines, exact in tiles of any shape. For X-CLIP, whose texts read differently for each film, the whole model's
    scores of all pairs (Ni et al., 2022, section 3.3), divided by the scale.
    """
    if seen.summaries is None:
        return exact_cosines(seen.vectors, texts), TILE
    rescorer, summaries = Rescorer(encoder), seen.summaries

    def scores(films: slice, words: slice) -> Vectors:
        return rescorer.cosines(texts[words], seen.vectors[films], summaries[films])

    return scores, RESCORED
