"""The images and videos of a data set, and texts, encoded by a model.

Shapes: N images or videos that can be read, T texts, D numbers in a vector.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.checkpoint.selection import read_selection
from sightline.data import Captions, Item, Labelled
from sightline.data.masks import Masks
from sightline.encoder.encoder import Encoder
from sightline.encoder.source import Vectors
from sightline.errors import DataError, ImageError
from sightline.evaluate.kept import Entry, KeptVectors, key_of
from sightline.evaluate.result import Skipped
from sightline.metrics import exact_cosines
from sightline.metrics.pairs import TILE, Scores
from sightline.progress import Progress, ProgressCallback, no_progress
from sightline.vectors import tiles

S = TypeVar("S", bound=Item)

RESCORED = (32, 128)
"""Videos and texts whose exact scores are computed at a time, where a text reads differently for each video."""


@dataclass(frozen=True)
class EncodedData(Generic[S]):
    """The samples that could be read, in their order, with unit vectors (N, D); `rescoring` float16 (N, rows, D) if the
    model scores by more than vectors. `skipped` are the samples that could not be read."""

    samples: list[S]
    vectors: Vectors
    rescoring: NDArray[np.float16] | None
    skipped: list[Skipped]

    def subset(self, rows: NDArray[np.int64]) -> "EncodedData[S]":
        """The samples at these rows."""
        rescoring = None if self.rescoring is None else self.rescoring[rows]
        return EncodedData([self.samples[i] for i in rows], self.vectors[rows], rescoring, [])


def encode(
    encoder: Encoder,
    samples: Sequence[S],
    progress: ProgressCallback = no_progress,
    *,
    project: bool = True,
    kept: KeptVectors | None = None,
) -> EncodedData[S]:
    """Images and videos as `Encoder.encode_images` and `encode_videos` encode them.

    With `project=False` the vectors are the tower's pooled states before its projection, of unit length. What cannot be
    read is skipped and shifts nothing. Vectors that are `kept` from an earlier run are the same bits, and those that
    are not are kept. Raises `DataError` if nothing can be read.
    """
    if kept is None:
        return _encode(encoder, samples, progress, project)
    key = key_of(encoder, samples, project)
    if (entry := kept.find(key)) is not None:
        skipped = [Skipped(str(samples[at].media), why) for at, why in entry.reasons.items()]
        return EncodedData([samples[at] for at in entry.readable], entry.vectors, entry.rescoring, skipped)
    encoded = _encode(encoder, samples, progress, project)
    place = {sample.key: at for at, sample in enumerate(samples)}
    readable = np.array([place[sample.key] for sample in encoded.samples], np.int64)
    unreadable = np.setdiff1d(np.arange(len(samples)), readable).tolist()
    reasons = {at: skipped.reason for at, skipped in zip(unreadable, encoded.skipped, strict=True)}
    kept.keep(key, Entry(readable, encoded.vectors, encoded.rescoring, reasons))
    return encoded


def _encode(encoder: Encoder, samples: Sequence[S], progress: ProgressCallback, project: bool) -> EncodedData[S]:
    readable: list[S] = []
    vectors: list[Vectors] = []
    rescoring: list[NDArray[np.float16]] = []
    skipped: list[Skipped] = []

    def read(sample: S) -> tuple[Image.Image | list[Image.Image], None]:
        try:
            content = sample.content()
        except DataError as error:
            raise ImageError(str(sample.media), str(error)) from error
        if sample.is_video:
            return encoder.sample_frames(content), None
        return encoder.open_image(content), None

    is_rescored = encoder.rescoring > 0 and project
    stream = encoder.stream(samples, read, lambda sample: sample.is_video, extras=is_rescored, project=project)
    with closing(stream):
        for done, encoded in enumerate(stream, 1):
            if isinstance(encoded.vector, ImageError):
                skipped.append(Skipped(str(encoded.item.media), encoded.vector.reason))
            else:
                readable.append(encoded.item)
                vectors.append(encoded.vector)
                if encoded.extras is not None:
                    rescoring.append(encoded.extras)
            progress(Progress("encoding", done, len(samples), skipped=len(skipped)))
    if not readable:
        why = f"the first: {skipped[0].source}: {skipped[0].reason}" if skipped else "there are none"
        raise DataError(f"none of {len(samples)} images and videos can be read; {why}")
    return EncodedData(readable, np.stack(vectors), np.stack(rescoring) if is_rescored else None, skipped)


def encode_texts(
    encoder: Encoder, texts: Sequence[str], progress: ProgressCallback = no_progress, *, project: bool = True
) -> Vectors:
    """Texts as `score_pairs` takes them, (T, D): of unit length, unless the model scores by more than vectors.

    With `project=False` the tower's pooled states before its projection, not of unit length.
    """
    if encoder.rescoring or not project:
        return encoder.embed_text(texts, project=project, progress=progress)
    return encoder.encode_text(texts, progress=progress)


def score_pairs(encoder: Encoder, encoded: EncodedData[Any], texts: Vectors) -> tuple[Scores, tuple[int, int]]:
    """The model's scores of pairs of images and texts (from `encode_texts`), and how many to ask for at a time.

    Cosines, exact in tiles of any shape. For X-CLIP, whose texts read differently for each video, the whole model's
    scores of all pairs (Ni et al., 2022, section 3.3), divided by the scale.
    """
    if encoded.rescoring is None:
        return exact_cosines(encoded.vectors, texts), TILE
    from sightline.encoder.rescorer import Rescorer  # torch, which an export does without

    rescorer, rescoring = Rescorer(encoder), encoded.rescoring

    def scores(videos: slice, columns: slice) -> Vectors:
        return rescorer.cosines(texts[columns], encoded.vectors[videos], rescoring[videos])

    return scores, RESCORED


def cosines_of(scores: Scores, tile: tuple[int, int], images: range, texts: range) -> Vectors:
    """The cosines of a range of images with a range of texts, in float32, asked for in tiles."""
    cosines = np.empty((len(images), len(texts)), np.float32)
    for rows, columns in tiles(len(images), len(texts), tile):
        r, c = images[rows], texts[columns]
        cosines[rows, columns] = scores(slice(r.start, r.stop), slice(c.start, c.stop))
    return cosines


def describe_run(encoder: Encoder, data: Captions | Labelled | Masks) -> dict[str, Any]:
    """The fields of a `Result` about its model and its data. Raises `DataError`, `CheckpointError`."""
    selection = read_selection(encoder.folder)
    return {
        "selection": None if selection is None else asdict(selection),
        "model": encoder.name,
        "model_fingerprint": encoder.fingerprint,
        "data": data.name,
        "data_fingerprint": data.fingerprint,
        "precision": encoder.precision,
    }
