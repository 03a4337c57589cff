"""How sure figures are: 95% intervals by the bootstrap, over data sets drawn from the samples.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 13 and 16.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Samples = Mapping[str, Sequence[Any]]
Measure = Callable[[Samples, Floats], dict[str, Floats]]
"""A result's samples and how often each counts, (W, N) -> the figures, (W,) each."""

DRAWS = 2000
CONFIDENCE = 0.95
SEED = 0
"""From which the intervals of a single result are drawn."""
_DRAWS_AT_ONCE = 100
_Z = 1.959963984540054  # of the middle 95% of a normal distribution


def intervals(
    measure: Measure, samples: Samples, figures: Mapping[str, float], *, draws: int = DRAWS, seed: int = SEED
) -> dict[str, list[float]]:
    """The interval of each of the figures. A sample is drawn with all its captions, which are not independent."""
    count = len(next(iter(samples.values())))
    (drawn,) = draw(measure, [samples], count, draws, seed)
    return {name: interval(name, value, drawn[name], count) for name, value in figures.items() if name in drawn}


def interval(name: str, value: float, drawn: Floats, count: int) -> list[float]:
    """The middle 95% of a figure's values over drawn data sets, (draws,).

    A share of `count` samples that are all hits, or all misses, is the same in all of them, which says nothing: then
    Wilson's interval.
    """
    if not name.endswith("rank") and value in (0, 1) and (drawn == value).all():
        return wilson(round(value) * count, count)
    return middle(drawn)


def middle(drawn: Floats) -> list[float]:
    """The middle 95% of values."""
    edge = (1 - CONFIDENCE) / 2
    return [float(value) for value in np.quantile(drawn, [edge, 1 - edge])]


def wilson(hits: int, count: int) -> list[float]:
    """The 95% interval of a share of independent samples (Wilson, 1927): 24 hits of 24 are 86% to 100%."""
    share, more = hits / count, _Z**2 / count
    center, half = share + more / 2, _Z * np.sqrt(share * (1 - share) / count + more / (4 * count))
    return [max(0.0, float((center - half) / (1 + more))), min(1.0, float((center + half) / (1 + more)))]


def draw(measure: Measure, samples: Iterable[Samples], count: int, draws: int, seed: int) -> list[dict[str, Floats]]:
    """The figures (draws,) of each of the results' `samples` over data sets drawn from them, the same for all: as many
    as there are, `count`, with replacement."""
    results = list(samples)
    rng = np.random.default_rng(seed)
    parts: list[list[dict[str, Floats]]] = [[] for _ in results]
    for start in range(0, draws, _DRAWS_AT_ONCE):
        size = min(_DRAWS_AT_ONCE, draws - start)
        weights = rng.multinomial(count, np.full(count, 1 / count), size).astype(np.float64)
        for part, of_result in zip(parts, results, strict=True):
            part.append(measure(of_result, weights))
    return [{name: np.concatenate([figures[name] for figures in part]) for name in part[0]} for part in parts]
