"""Two results over the same data: the difference of each figure, and its interval."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from sightline.errors import UsageError
from sightline.evaluate.result import Result
from sightline.evaluate.retrieval import measure as measure_retrieval
from sightline.evaluate.segmentation import measure as measure_segmentation
from sightline.evaluate.zeroshot import measure as measure_classes

Floats = NDArray[np.float64]
Measure = Callable[[Mapping[str, Sequence[Any]], Floats], dict[str, Floats]]

MEASURES: dict[str, Measure] = {
    "retrieval": measure_retrieval,
    "zeroshot": measure_classes,
    "video": measure_classes,
    "segmentation": measure_segmentation,
}
"""By kind: a result's samples and how often each counts, (W, N) -> the figures, (W,) each."""

TASK = ("split", "classes", "background")
"""Settings that are part of the question, not of the answer: results that differ in them are of different tasks."""

DRAWS = 2000
CONFIDENCE = 0.95
_DRAWS_AT_ONCE = 100


class CompareRow(TypedDict):
    """A figure of both results with its intervals, their difference b - a with its interval, and the share of the draws
    in which b is above a."""

    figure: str
    a: float
    a_interval: list[float]
    b: float
    b_interval: list[float]
    difference: float
    interval: list[float]
    b_above_a: float


class CompareDetails(TypedDict):
    """A row for each figure, and how many samples the data set has."""

    rows: list[CompareRow]
    samples: int


def compare(a: Result, b: Result, *, draws: int = DRAWS, seed: int = 0) -> Result:
    """Each figure of both, the difference b - a, and its 95% interval. Details: `CompareDetails`.

    The paired bootstrap (Efron and Tibshirani, 1993, chapters 13 and 16): samples are drawn from the data set with
    replacement, as many as it has, the same for both results, and the middle 95% of the differences over `draws` such
    sets is the interval. A draw takes an image with all its captions, which are not independent of one another.

    Raises `UsageError` for results over different data or tasks, which have no difference, and for kinds of results
    that are not made of samples.
    """
    check_comparable(a, b, draws)
    drawn_a, drawn_b = _bootstrap(a, b, draws, seed)
    rows: list[CompareRow] = [
        {
            "figure": name,
            "a": a.figures[name],
            "a_interval": _middle(of_a),
            "b": b.figures[name],
            "b_interval": _middle(drawn_b[name]),
            "difference": b.figures[name] - a.figures[name],
            "interval": _middle(drawn_b[name] - of_a),
            "b_above_a": float((drawn_b[name] - of_a > 0).mean()),
        }
        for name, of_a in drawn_a.items()
    ]
    return Result(
        kind="compare",
        figures={row["figure"]: row["difference"] for row in rows},
        model=f"{b.model} against {a.model}",
        model_fingerprint=f"{b.model_fingerprint} against {a.model_fingerprint}",
        data=a.data,
        data_fingerprint=a.data_fingerprint,
        precision=a.precision if a.precision == b.precision else f"{b.precision} against {a.precision}",
        seed=seed,
        settings={
            "draws": draws,
            "confidence": CONFIDENCE,
            "kind": a.kind,
            "a": dict(a.settings),
            "b": dict(b.settings),
        },
        details=CompareDetails(rows=rows, samples=len(a.samples["key"])),
    )


def check_comparable(a: Result, b: Result, draws: int) -> None:
    """Raises `UsageError` for results that have no difference, and says why."""
    if draws < 1:
        raise UsageError(f"draws is {draws}: take at least 1, better {DRAWS}")
    if a.kind != b.kind:
        raise UsageError(f"a {a.kind} and a {b.kind} have no figures in common: compare results of one kind")
    if a.kind not in MEASURES:
        raise UsageError(f"results of {a.kind} can't be compared; those of {', '.join(MEASURES)} can")
    if a.data_fingerprint != b.data_fingerprint:
        raise UsageError(
            f"the results are over different data ({a.data} and {b.data}, or its files have changed): "
            "evaluate both models on the same"
        )
    for name in TASK:
        if a.settings.get(name) != b.settings.get(name):
            raise UsageError(
                f"the results differ in their {name} ({_short(a.settings.get(name))} and "
                f"{_short(b.settings.get(name))}): evaluate both with the same"
            )
    keys = [list(result.samples.get("key", ())) for result in (a, b)]
    if keys[0] != keys[1]:
        alone = sorted(set(keys[0]) ^ set(keys[1]))
        what = f"{_short(alone[0])} is in one of them only" if alone else "they are in another order"
        raise UsageError(
            f"the results are not over the same images: {what}; evaluate both where all can be read, in one order"
        )


def _bootstrap(a: Result, b: Result, draws: int, seed: int) -> list[dict[str, Floats]]:
    """The figures (draws,) of both results over data sets drawn from their samples, the same for both."""
    measure, count = MEASURES[a.kind], len(a.samples["key"])
    rng = np.random.default_rng(seed)
    parts: list[list[dict[str, Floats]]] = [[], []]
    for start in range(0, draws, _DRAWS_AT_ONCE):
        size = min(_DRAWS_AT_ONCE, draws - start)
        weights = rng.multinomial(count, np.full(count, 1 / count), size).astype(np.float64)
        for part, result in zip(parts, (a, b), strict=True):
            part.append(measure(result.samples, weights))
    return [{name: np.concatenate([figures[name] for figures in part]) for name in part[0]} for part in parts]


def _middle(values: Floats) -> list[float]:
    edge = (1 - CONFIDENCE) / 2
    return [float(value) for value in np.quantile(values, [edge, 1 - edge])]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
