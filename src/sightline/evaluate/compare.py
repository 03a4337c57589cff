"""Two results over the same data: the difference of each figure, and its interval."""

from typing import Any, TypedDict

from sightline.errors import UsageError
from sightline.evaluate.classification import measure as measure_classes
from sightline.evaluate.intervals import CONFIDENCE, DRAWS, Measure, draw, interval, middle
from sightline.evaluate.result import Result
from sightline.evaluate.retrieval import measure as measure_retrieval
from sightline.evaluate.segmentation import measure as measure_segmentation
from sightline.format import distinct_names, label

MEASURES: dict[str, Measure] = {
    "retrieval": measure_retrieval,
    "zeroshot": measure_classes,
    "video": measure_classes,
    "linear_probe": measure_classes,
    "knn": measure_classes,
    "segmentation": measure_segmentation,
}
"""How figures are computed from a result's samples, by its kind."""

TASK = ("split", "classes", "background", "train_fingerprint")
"""Settings that are part of the question, not of the answer: results that differ in them are of different tasks."""


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
    """A row for each figure, how many samples the data set has, the names of both models, and what speaks against the
    comparison, a sentence each."""

    rows: list[CompareRow]
    samples: int
    models: list[str]
    warnings: list[str]


def compare(a: Result, b: Result, *, draws: int = DRAWS, seed: int = 0) -> Result:
    """Each figure of both, the difference b - a, and its 95% interval. Details: `CompareDetails`.

    The paired bootstrap (Efron and Tibshirani, 1993, chapters 13 and 16): samples are drawn from the data set with
    replacement, as many as it has, the same for both results, and the middle 95% of the differences over `draws` such
    sets is the interval. A draw takes an image with all its captions, which are not independent of one another.

    Raises `UsageError` for results over different data or tasks, which have no difference, and for kinds of results
    that are not made of samples.
    """
    check_comparable(a, b, draws)
    count = len(a.samples["key"])
    drawn_a, drawn_b = draw(MEASURES[a.kind], [a.samples, b.samples], count, draws, seed)
    rows: list[CompareRow] = [
        {
            "figure": name,
            "a": a.figures[name],
            "a_interval": interval(name, a.figures[name], of_a, count),
            "b": b.figures[name],
            "b_interval": interval(name, b.figures[name], drawn_b[name], count),
            "difference": b.figures[name] - a.figures[name],
            "interval": middle(drawn_b[name] - of_a),
            "b_above_a": float((drawn_b[name] - of_a > 0).mean()),
        }
        for name, of_a in drawn_a.items()
        if name in a.figures and name in b.figures
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
            "kind": a.kind if a.kind == b.kind else f"{b.kind} against {a.kind}",
            "a": dict(a.settings),
            "b": dict(b.settings),
        },
        details=CompareDetails(
            rows=rows, samples=count, models=distinct_names([a.model, b.model]), warnings=warnings(a, b)
        ),
    )


def check_comparable(a: Result, b: Result, draws: int) -> None:
    """Raises `UsageError` for results that have no difference, and says why."""
    if draws < 1:
        raise UsageError(f"draws is {draws}: take at least 1, better {DRAWS}")
    for kind in (a.kind, b.kind):
        if kind not in MEASURES:
            raise UsageError(
                f"results of {label(kind)} can't be compared; those of {', '.join(map(label, MEASURES))} can"
            )
    if MEASURES[a.kind] is not MEASURES[b.kind]:
        raise UsageError(
            f"a {label(a.kind)} and a {label(b.kind)} have no figures in common: compare results of one kind"
        )
    if a.data_fingerprint != b.data_fingerprint:
        raise UsageError(
            f"the results are over different data ({a.data} and {b.data}, or its files have changed): "
            "evaluate both models on the same"
        )
    for name in TASK:
        if name == "train_fingerprint" and not all(result.settings.get(name) for result in (a, b)):
            continue  # one of them is zero-shot, which learns from no data
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


def warnings(a: Result, b: Result) -> list[str]:
    """What speaks against comparing two results that can be compared, a sentence each."""
    found = []
    if a.precision != b.precision:
        found.append(
            f"{a.model} was computed in {a.precision} and {b.model} in {b.precision}: a part of the difference is that"
        )
    for result in (a, b):
        if result.selection and result.selection.get("data_fingerprint") == result.data_fingerprint:
            found.append(
                f"{result.model} was chosen by these very data, as the best of {result.selection['checkpoints']:,} "
                "checkpoints, so that its figures here are too good; compare on data that chose nothing"
            )
    for older, newer in ((a, b), (b, a)):
        texts, different = (newer.details.get(name) for name in ("texts", "different_texts"))
        if different != texts and "different_texts" not in older.details:
            found.append(
                f"the result of {older.model} is of an older version, which counted one of several equal captions as "
                "right: evaluate again"
            )
    return found


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
