"""Examples of a retrieval: hits and misses in both directions, for a report.

Shapes: N images, T texts, D different ones among them.
"""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from sightline.data import Sample
from sightline.evaluate.encode import cosines_of
from sightline.evaluate.small_images import small_images
from sightline.metrics.pairs import Scores

HITS, MISSES = 3, 6
FOUND = 3  # answers that are shown


class TextExample(TypedDict):
    """A `text`, the `key` of its image, the `rank` (from 1) of the best right image, and the keys of the images that
    were `found` first, the best first."""

    text: str
    key: str
    rank: int
    found: list[str]


class ImageExample(TypedDict):
    """The `key` of an image, one of its texts, the `rank` (from 1) of the best right text, and the different texts that
    were `found` first, the best first."""

    key: str
    text: str
    rank: int
    found: list[str]


class Examples(TypedDict):
    """Examples of each direction, the hits first, then the misses, the worst of all first. `images`: small JPEGs as
    base64 text (RFC 4648, section 4), by the samples' keys."""

    text_to_image: list[TextExample]
    image_to_text: list[ImageExample]
    images: dict[str, str]


def examples(
    samples: Sequence[Sample],
    scores: Scores,
    tile: tuple[int, int],
    text: NDArray[np.int64],
    of_images: NDArray[np.int64],
    of_texts: NDArray[np.int64],
) -> Examples:
    """From the `scores` of images with different texts, asked for in tiles, the number (T,) of each text among these,
    and the ranks from 0 of images (N,) and of texts (T,)."""
    captions = [caption for sample in samples for caption in sample.captions]
    owner = np.repeat(np.arange(len(samples)), [len(sample.captions) for sample in samples])
    first = np.unique(text, return_index=True)[1]
    every_image, every_text = range(len(samples)), range(len(first))
    by_text: list[TextExample] = []
    for i in chosen(of_texts, owner):
        column = cosines_of(scores, tile, every_image, range(text[i], text[i] + 1))[:, 0]
        found = [samples[at].key for at in np.argsort(-column, kind="stable")[:FOUND]]
        by_text.append(
            {"text": captions[i], "key": samples[owner[i]].key, "rank": int(of_texts[i]) + 1, "found": found}
        )
    by_image: list[ImageExample] = []
    for i in chosen(of_images, np.arange(len(samples))):
        row = cosines_of(scores, tile, range(i, i + 1), every_text)[0]
        texts = [captions[first[at]] for at in np.argsort(-row, kind="stable")[:FOUND]]
        by_image.append(
            {"key": samples[i].key, "text": samples[i].captions[0], "rank": int(of_images[i]) + 1, "found": texts}
        )
    shown = {key for one in by_text for key in (one["key"], *one["found"])} | {one["key"] for one in by_image}
    images = small_images(sample for sample in samples if sample.key in shown)
    return {"text_to_image": by_text, "image_to_text": by_image, "images": images}


def chosen(ranks: NDArray[np.int64], image: NDArray[np.int64]) -> list[int]:
    """`HITS` questions whose answer came first, spread over all of these, then the `MISSES` with the worst ranks; no
    two of the same image, `image` (Q,)."""
    hits = np.flatnonzero(ranks == 0)
    hits = hits[np.unique(np.linspace(0, len(hits) - 1, HITS).round().astype(np.int64))] if len(hits) else hits
    misses = np.argsort(-ranks, kind="stable")[: np.count_nonzero(ranks)]
    chosen: list[int] = []
    for questions, most in ((hits, HITS), (misses, MISSES)):
        seen: set[int] = set()
        for i in questions:
            if len(seen) < most and int(image[i]) not in seen:
                seen.add(int(image[i]))
                chosen.append(int(i))
    return chosen
