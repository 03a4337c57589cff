"""Classification by the nearest neighbours: an image belongs to the class for which the training images nearest to it
vote.

Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance-level Discrimination" (2018), section 3.4: each of
the k nearest votes with the weight exp(cosine / temperature). Caron et al. (2021), DINO: k 20, temperature 0.07.
"""

import numpy as np

from sightline.data import Labelled
from sightline.encoder.encoder import Encoder
from sightline.errors import UsageError
from sightline.evaluate.classification import Floats, classified
from sightline.evaluate.encode import describe_run
from sightline.evaluate.features import Features
from sightline.evaluate.kept import KeptVectors
from sightline.evaluate.result import Result, Settings
from sightline.metrics import exact_cosines
from sightline.progress import ProgressCallback, no_progress

K, TEMPERATURE = 20, 0.07


def knn(
    encoder: Encoder,
    train: Labelled,
    data: Labelled,
    progress: ProgressCallback = no_progress,
    *,
    k: int = K,
    temperature: float = TEMPERATURE,
    settings: Settings | None = None,
    kept: KeptVectors | None = None,
) -> Result:
    """Top-1 and top-5 accuracy on `data` by the `k` nearest of `train`, and the mean of the classes' accuracies.

    Features are the image tower's pooled states before its projection. The search is exact; equal cosines are ordered
    by position. Details: `ClassificationDetails`. Raises `UsageError` for data that don't fit, for a `k` that is less
    than 1 or more than there are images to train on, and for a temperature that is not above 0.
    """
    if k < 1 or not temperature > 0:
        raise UsageError(f"k is {k} and the temperature {temperature:g}: k is at least 1, the temperature above 0")
    features = Features.of(encoder, train, data, progress, kept)
    count = len(features.train.samples)
    if k > count:
        raise UsageError(f"k is {k}, but there are {count:,} images to train on: give a smaller k")
    cosines = exact_cosines(features.test.vectors, features.train.vectors)
    labels, classes = features.train_labels, len(features.names)

    def votes(rows: slice, columns: slice) -> Floats:
        near = np.asarray(cosines(rows, slice(0, count)))
        nearest = np.argsort(-near, axis=1, kind="stable")[:, :k]
        weights = np.exp(np.take_along_axis(near, nearest, 1) / temperature)
        of_classes = np.zeros((len(near), classes))
        np.add.at(of_classes, (np.arange(len(near))[:, None], labels[nearest]), weights)
        return of_classes[:, columns]

    return Result(
        kind="knn",
        **classified(data, features.test, features.names, features.test_labels, votes, progress),
        **describe_run(encoder, data),
        settings={**features.settings(train), "k": k, "temperature": temperature, **(settings or {})},
    )
