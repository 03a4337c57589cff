"""Two results over the same data: how far apart they are, and how sure that is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.errors import UsageError
from sightline.evaluate.result import Result
from sightline.evaluate.retrieval import measure as measure_retrieval
from sightline.evaluate.segmentation import measure as measure_segmentation
from sightline.evaluate.zeroshot import measure as measure_classes

Measure = Callable[[Mapping[str, Sequence[Any]], NDArray[np.float64]], dict[str, NDArray[np.float64]]]

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
_AT_ONCE = 100


def compare(a: Result, b: Result, *, draws: int = DRAWS, seed: int = 0) -> Result:
    """Each figure of both, the difference b - a, and where it lies with a confidence of 95%.

    The paired bootstrap (Efron and Tibshirani, 1993, chapters 13 and 16): samples are drawn anew from the data set, as
    many as there are, the same for both results, and the middle 95% of the differences over `draws` such sets is the
    interval. What is drawn is a picture with all its captions, for these are not independent of one another. `details`
    has a row for each figure, and for each the share of draws in which b is above a.

    Raises `UsageError` for results over different data or tasks, which have no difference, and for kinds of results
    that are not made of samples.
    """
    _check(a, b, draws)
    measure, count = MEASURES[a.kind], len(a.samples["key"])
    rng = np.random.default_rng(seed)
    found: list[list[NDArray[np.float64]]] = [[], []]
    names: list[str] = []
    for start in range(0, draws, _AT_ONCE):
        drawn = rng.multinomial(count, np.full(count, 1 / count), min(_AT_ONCE, draws - start)).astype(np.float64)
        for part, result in zip(found, (a, b), strict=True):
            figures = measure(result.samples, drawn)
            names = list(figures)
            part.append(np.stack(list(figures.values())))
    of_a, of_b = (np.concatenate(part, axis=1) for part in found)
    rows: list[dict[str, Any]] = []
    for name, drawn_a, drawn_b in zip(names, of_a, of_b, strict=True):
        difference = drawn_b - drawn_a
        rows.append(
            {
                "figure": name,
                "a": a.figures[name],
                "a_interval": _middle(drawn_a),
                "b": b.figures[name],
                "b_interval": _middle(drawn_b),
                "difference": b.figures[name] - a.figures[name],
                "interval": _middle(difference),
                "b_above_a": float((difference > 0).mean()),
            }
        )
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
        details={"rows": rows, "samples": count},
    )


def _middle(values: NDArray[np.float64]) -> list[float]:
    edge = (1 - CONFIDENCE) / 2
    return [float(value) for value in np.quantile(values, [edge, 1 - edge])]


def _check(a: Result, b: Result, draws: int) -> None:
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
            f"the results are not over the same pictures: {what}; evaluate both where all can be read, in one order"
        )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
