"""Retrieval of images by their captions, and of captions by their images: Recall@K and ranks over a data set.

An image with several captions is found by any of them, a caption finds its own image: Radford et al. (2021), as the
Karpathy splits of COCO and Flickr30k are counted. Equal captions are all right: no model can tell a text from itself.
Equal scores are ordered by position.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from sightline.data import Captions
from sightline.encoder.encoder import Encoder
from sightline.evaluate.encode import describe_run, encode, score_pairs
from sightline.evaluate.equal_texts import encode_different, equal_texts
from sightline.evaluate.examples import Examples, examples
from sightline.evaluate.intervals import SEED, intervals
from sightline.evaluate.kept import KeptVectors
from sightline.evaluate.result import Result, Settings
from sightline.metrics import pair_ranks
from sightline.progress import Progress, ProgressCallback, no_progress

AT = (1, 5, 10)
Floats = NDArray[np.float64]


class RetrievalDetails(TypedDict):
    """How many images and texts were ranked, and how many `different_texts` there are; what the data set lacks, counted
    by reason; `pairs_only`: the figures that differ, as they would be if of equal texts only an image's own were right;
    `examples` of hits and misses."""

    images: int
    texts: int
    different_texts: int
    left_out: dict[str, int]
    pairs_only: dict[str, float]
    examples: Examples


def retrieval(
    encoder: Encoder,
    data: Captions,
    progress: ProgressCallback = no_progress,
    *,
    settings: Settings | None = None,
    kept: KeptVectors | None = None,
) -> Result:
    """Recall@1, 5, 10, median and mean rank (ranks from 1) in both directions, and the mean of the six recalls.

    Images that cannot be read are left out with their captions, and named. `settings` are kept with the result.
    Samples: the image's rank for each image ("image_to_text"), a list of ranks of its captions ("text_to_image").
    Details: `RetrievalDetails`. Intervals: of all figures. Memory: the vectors and some 100 MB, never the matrix of all
    scores. Raises `DataError` if nothing can be read.
    """
    encoded = encode(encoder, data.samples, progress, kept=kept)
    texts = list(chain.from_iterable(sample.captions for sample in encoded.samples))
    counts = [len(sample.captions) for sample in encoded.samples]
    owner, text = np.repeat(np.arange(len(counts)), counts), equal_texts(texts)
    vectors = encode_different(encoder, texts, text, progress)
    scores, tile = score_pairs(encoder, encoded, vectors)

    def ranked(done: int) -> None:
        progress(Progress("ranking", done, len(counts)))

    of_images, of_texts = pair_ranks(scores, owner, text, tile, ranked)
    ranks = rank_samples(of_images, of_texts, counts)
    figures, pairs_only = figures_of(ranks), {}
    if len(vectors) < len(texts):
        scores_of_all, _ = score_pairs(encoder, encoded, vectors[text])
        of_pairs = figures_of(rank_samples(*pair_ranks(scores_of_all, owner, np.arange(len(texts)), tile), counts))
        pairs_only = {name: value for name, value in of_pairs.items() if value != figures[name]}
    return Result(
        kind="retrieval",
        figures=figures,
        intervals=intervals(measure, ranks, figures),
        **describe_run(encoder, data),
        seed=SEED,
        settings=settings or {},
        samples={"key": [sample.key for sample in encoded.samples]} | ranks,
        details=RetrievalDetails(
            images=len(counts),
            texts=len(texts),
            different_texts=len(vectors),
            left_out=dict(data.left_out.counts),
            pairs_only=pairs_only,
            examples=examples(encoded.samples, scores, tile, text, of_images, of_texts),
        ),
        skipped=encoded.skipped,
    )


def rank_samples(
    of_images: NDArray[np.int64], of_texts: NDArray[np.int64], captions: Sequence[int]
) -> dict[str, list[Any]]:
    """Ranks from 0 of images (N,) and texts (T,), and each image's number of captions -> ranks from 1 by image."""
    of_captions = np.split(of_texts + 1, np.cumsum(captions)[:-1])
    return {"image_to_text": (of_images + 1).tolist(), "text_to_image": [part.tolist() for part in of_captions]}


def figures_of(samples: Mapping[str, Sequence[Any]]) -> dict[str, float]:
    """The figures of a data set."""
    weights = np.ones((1, len(samples["image_to_text"])))
    return {name: float(value[0]) for name, value in measure(samples, weights).items()}


def measure(samples: Mapping[str, Sequence[Any]], weights: Floats) -> dict[str, Floats]:
    """The figures, (W,) each, of data sets in which each image with all its captions counts `weights` (W, N) times."""
    figures: dict[str, Floats] = {}
    directions = {
        "image_to_text": [[rank] for rank in samples["image_to_text"]],
        "text_to_image": samples["text_to_image"],
    }
    for direction, by_image in directions.items():
        image = np.repeat(np.arange(len(by_image)), [len(ranks) for ranks in by_image])
        ranks = np.fromiter(chain.from_iterable(by_image), np.int64, len(image))
        figures |= {f"{direction}_R@{k}": _mean(ranks <= k, image, weights) for k in AT}
        figures[f"{direction}_median_rank"] = _median(ranks, image, weights)
        figures[f"{direction}_mean_rank"] = _mean(ranks, image, weights)
    recalls = [value for name, value in figures.items() if "_R@" in name]
    return {"mean_recall": np.mean(recalls, axis=0), **figures}


def _mean(values: NDArray[Any], image: NDArray[np.int64], weights: Floats) -> Floats:
    """Means (W,) of values that count as often as their images."""
    sums, counts = (np.bincount(image, of, weights.shape[1]) for of in (values, np.ones(len(image))))
    return np.asarray((weights @ sums) / (weights @ counts))


def _median(values: NDArray[np.int64], image: NDArray[np.int64], weights: Floats) -> Floats:
    """Medians (W,) of values that count as often as their images."""
    # How often each image has each of the values that occur: far fewer numbers than images with values.
    of_values, at = np.unique(values, return_inverse=True)
    order = np.argsort(at, kind="stable")
    starts, images = np.searchsorted(at[order], np.arange(len(of_values))), image[order]
    medians = np.empty(len(weights))
    for row, weight in enumerate(weights):
        until = np.cumsum(np.add.reduceat(weight[images], starts))
        middle = [(until[-1] + 1) // 2, until[-1] // 2 + 1]
        medians[row] = of_values[np.searchsorted(until, middle)].mean()
    return medians
