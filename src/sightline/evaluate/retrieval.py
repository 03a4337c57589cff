"""Pictures by their captions, captions by their pictures: Recall@K and ranks, over all pairs of a data set.

A picture with several captions is found by any of them, a caption finds its own picture only: Radford et al. (2021),
as the Karpathy splits of COCO and Flickr30k are counted. Equal scores are ordered by position.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.data import Captions
from sightline.encoder.encoder import Encoder
from sightline.evaluate.encode import Progress, Report, about, quiet, read_texts, score_pairs, see
from sightline.evaluate.result import Result
from sightline.metrics import pair_ranks

AT = (1, 5, 10)
Floats = NDArray[np.float64]


def retrieval(
    encoder: Encoder, data: Captions, report: Report = quiet, *, settings: Mapping[str, Any] | None = None
) -> Result:
    """Recall@1, 5, 10, median and mean rank (ranks from 1) in both directions, and the mean of the six recalls.

    Pictures that cannot be read are left out with their captions, and named. `settings` are kept with the result.
    Memory: the vectors and some 100 MB, never the matrix of all scores. Raises `DataError` if nothing can be read.
    """
    seen = see(encoder, data.samples, report)
    texts = list(chain.from_iterable(sample.captions for sample in seen.samples))
    counts = [len(sample.captions) for sample in seen.samples]
    owner = np.repeat(np.arange(len(counts)), counts)
    vectors = read_texts(encoder, texts, report)
    scores, tile = score_pairs(encoder, seen, vectors)
    of_images, of_texts = pair_ranks(
        scores, owner, tile, lambda done: report(Progress("ranking", done, len(seen.samples)))
    )
    samples = {
        "key": [sample.key for sample in seen.samples],
        "image_to_text": (of_images + 1).tolist(),
        "text_to_image": [part.tolist() for part in np.split(of_texts + 1, np.cumsum(counts)[:-1])],
    }
    return Result(
        kind="retrieval",
        figures={name: float(value[0]) for name, value in measure(samples, np.ones((1, len(counts)))).items()},
        **about(encoder, data),
        settings=settings or {},
        samples=samples,
        details={"pictures": len(counts), "texts": len(texts), "left_out": dict(data.left_out.counts)},
        skipped=seen.skipped,
    )


def measure(samples: Mapping[str, Sequence[Any]], weights: Floats) -> dict[str, Floats]:
    """The figures of a data set in which each picture, with all its captions, counts as often as `weights` (W, N) say:
    (W,) each."""
    figures: dict[str, Floats] = {}
    for way, ranks in (("image_to_text", [[rank] for rank in samples["image_to_text"]]),
                       ("text_to_image", samples["text_to_image"])):  # fmt: skip
        picture = np.repeat(np.arange(len(ranks)), [len(one) for one in ranks])
        flat = np.fromiter(chain.from_iterable(ranks), np.int64, len(picture))

        def mean(values: NDArray[Any], picture: NDArray[np.int64] = picture) -> Floats:
            sums = (np.bincount(picture, of, weights.shape[1]) for of in (values, np.ones(len(picture))))
            above, below = (weights @ each for each in sums)
            return np.asarray(above / below)

        figures |= {f"{way}_R@{k}": mean(flat <= k) for k in AT}
        figures[f"{way}_median_rank"] = _median(flat, picture, weights)
        figures[f"{way}_mean_rank"] = mean(flat)
    recalls = [value for name, value in figures.items() if "_R@" in name]
    return {"mean_recall": np.mean(recalls, axis=0), **figures}


def _median(values: NDArray[np.int64], picture: NDArray[np.int64], weights: Floats) -> Floats:
    """Medians (W,) of values that count as often as their pictures."""
    order = np.argsort(values, kind="stable")
    medians = np.empty(len(weights))
    for row, each in enumerate(weights):
        until = np.cumsum(each[picture[order]])
        middle = [(until[-1] + 1) // 2, until[-1] // 2 + 1]
        medians[row] = values[order][np.searchsorted(until, middle)].mean()
    return medians
