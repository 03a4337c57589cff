"""Results of evaluations, made by hand."""

import numpy as np

from sightline.evaluate import Result
from sightline.evaluate.retrieval import measure


def result(**changes):
    given = {
        "kind": "retrieval",
        "figures": {"text_to_image_R@1": 0.5},
        "model": "mini",
        "model_fingerprint": "0" * 32,
        "data": "scenes",
        "data_fingerprint": "1" * 32,
        "precision": "float32",
    }
    return Result(**given | changes)


def made(model, data, hits, count=400, seed=0):
    """A retrieval's result in which a share of `hits` is found at once."""
    rng = np.random.default_rng(seed)
    ranks = np.where(rng.random(count) < hits, 1, rng.integers(2, count, count))
    samples = {
        "key": [str(i) for i in range(count)],
        "image_to_text": ranks.tolist(),
        "text_to_image": [[int(rank)] for rank in ranks],
    }
    figures = {name: float(value[0]) for name, value in measure(samples, np.ones((1, count))).items()}
    return Result(
        kind="retrieval", figures=figures, model=model, model_fingerprint=f"print of {model}", data=data,
        data_fingerprint=f"print of {data}", precision="float32", samples=samples,
    )  # fmt: skip
