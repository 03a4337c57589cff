"""A linear probe: logistic regression on the features of a frozen image tower.

Radford et al. (2021), appendix A.3: L-BFGS, at most 1,000 iterations, the features before the projection, and the
strength of the L2 regularization chosen by a part of the training data.

Shapes: N images or videos, W width of the tower's pooled states, C classes.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.data import Labelled
from sightline.distribution import install
from sightline.encoder.encoder import Encoder
from sightline.encoder.source import Vectors
from sightline.errors import UsageError
from sightline.evaluate.classification import Floats, classified
from sightline.evaluate.encode import describe_run
from sightline.evaluate.features import Features
from sightline.evaluate.intervals import SEED
from sightline.evaluate.kept import KeptVectors
from sightline.evaluate.result import Result, Settings
from sightline.progress import Progress, ProgressCallback, no_progress

EXPONENTS = range(-6, 7, 2)
"""Of the first values of C, the inverse of the regularization's strength, as powers of ten."""
HALVINGS = 4
"""How often the step between values is halved about the best one: to 8 values in a decade."""
ITERATIONS = 1000
HELD_OUT = 5
"""One of so many samples of each class is held out to choose C."""


def linear_probe(
    encoder: Encoder,
    train: Labelled,
    data: Labelled,
    progress: ProgressCallback = no_progress,
    *,
    settings: Settings | None = None,
    kept: KeptVectors | None = None,
) -> Result:
    """Top-1 and top-5 accuracy on `data` of logistic regression on `train`, and the mean of the classes' accuracies.

    C is the value with the most right answers on a fifth of `train`, drawn class by class; then all of `train` is
    fitted. `settings` of the result hold it, as "C". Details: `ClassificationDetails`. Raises `UsageError` for data
    that don't fit, and without scikit-learn.
    """
    check_installed()
    features = Features.of(encoder, train, data, progress, kept)
    vectors, labels = features.train.vectors, features.train_labels
    if len(np.unique(labels)) < 2:
        raise UsageError(f"{train.name}: images of one class alone can be read, to tell apart there must be two")
    strength = choose(vectors, labels, progress)
    model, converged = fit(vectors, labels, strength)

    def scores(rows: slice, columns: slice) -> Floats:
        return decide(model, features.test.vectors[rows], len(features.names))[:, columns]

    chosen = {"C": strength, "converged": converged, "iterations": ITERATIONS, "held_out": 1 / HELD_OUT}
    return Result(
        kind="linear_probe",
        **classified(data, features.test, features.names, features.test_labels, scores, progress),
        **describe_run(encoder, data),
        settings={**features.settings(train), **chosen, **(settings or {})},
    )


def check_installed() -> None:
    """Raises `UsageError` if scikit-learn is not installed."""
    try:
        import sklearn.linear_model  # noqa: F401
    except ImportError as error:
        raise UsageError(f"a linear probe needs scikit-learn: {install('probe')}") from error


def choose(vectors: Vectors, labels: NDArray[np.int64], progress: ProgressCallback = no_progress) -> float:
    """The C of the most right answers on the part that is held out, of equal ones the least; a coarse sweep, then finer
    ones about the best."""
    held_out = split(labels)
    if not held_out.any():
        return 1.0  # no class has a sample to spare
    right: dict[float, float] = {}
    exponents, step = [float(exponent) for exponent in EXPONENTS], 2.0
    total = len(exponents) + 2 * HALVINGS
    for _ in range(HALVINGS + 1):
        for exponent in exponents:
            model, _ = fit(vectors[~held_out], labels[~held_out], 10**exponent)
            right[exponent] = float((model.predict(vectors[held_out]) == labels[held_out]).mean())
            progress(Progress("fitting", len(right), total))
        best = max(sorted(right), key=lambda exponent: right[exponent])
        step /= 2
        exponents = [each for each in (best - step, best + step) if abs(each) <= EXPONENTS[-1]]
    return float(10 ** max(sorted(right), key=lambda exponent: right[exponent]))


def split(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which samples (N,) are held out: of each class one of `HELD_OUT`, rounded up, but never all of them."""
    rng, held_out = np.random.default_rng(SEED), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        of_class = rng.permutation(np.flatnonzero(labels == label))
        held_out[of_class[: min(-(-len(of_class) // HELD_OUT), len(of_class) - 1)]] = True
    return held_out


def fit(vectors: Vectors, labels: NDArray[np.int64], strength: float) -> tuple[Any, bool]:
    """Logistic regression with this C, and whether it converged in `ITERATIONS`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=strength, max_iter=ITERATIONS, random_state=SEED)
        model.fit(vectors.astype(np.float64), labels)
    return model, bool(model.n_iter_.max() < ITERATIONS)


def decide(model: Any, vectors: Vectors, classes: int) -> Floats:
    """The scores (N, classes); minus infinity for a class that has no sample to train on."""
    found = model.decision_function(vectors.astype(np.float64))
    if found.ndim == 1:  # of two classes there is one score
        found = np.stack([-found, found], axis=1)
    scores = np.full((len(vectors), classes), -np.inf)
    scores[:, model.classes_] = found
    return scores
