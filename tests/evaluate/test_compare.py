"""Two results over the same data."""

import numpy as np
import pytest

from sightline.errors import UsageError
from sightline.evaluate import Result, compare
from sightline.evaluate.retrieval import measure
from support.results import result


def retrieved(rng, count=400, better=0.0, **changes):
    """A result in which each rank is 1 with a chance that `better` raises; a picture's two captions go together."""
    first = rng.random(count) < 0.3 + better
    ranks = np.where(first, 1, rng.integers(2, 100, count))
    samples = {
        "key": [str(i) for i in range(count)],
        "image_to_text": ranks.tolist(),
        "text_to_image": [[rank, rank] for rank in ranks.tolist()],
    }
    figures = {name: float(value[0]) for name, value in measure(samples, np.ones((1, count))).items()}
    return result(samples=samples, figures=figures, **changes)


def row(compared, figure):
    return next(row for row in compared.details["rows"] if row["figure"] == figure)


def test_the_interval_is_that_of_statistics():
    """Of independent samples the interval of a share is known: 1.96 standard errors about it."""
    a, b = retrieved(np.random.default_rng(0)), retrieved(np.random.default_rng(1), better=0.2)
    compared = compare(a, b, draws=4000)
    one = row(compared, "image_to_text_R@1")
    p, q = one["a"], one["b"]
    for share, ends in ((p, one["a_interval"]), (q, one["b_interval"])):
        error = 1.96 * np.sqrt(share * (1 - share) / 400)
        assert ends == pytest.approx([share - error, share + error], abs=0.15 * error)
    hits = [np.array(r.samples["image_to_text"]) == 1 for r in (a, b)]
    error = 1.96 * np.std(hits[1].astype(float) - hits[0]) / 20  # paired
    assert one["difference"] == pytest.approx(q - p)
    assert one["interval"] == pytest.approx([q - p - error, q - p + error], abs=0.15 * error)
    assert one["b_above_a"] == 1.0
    # Captions of one picture say the same: twice as many captions are no more evidence.
    assert row(compared, "text_to_image_R@1")["interval"] == pytest.approx(one["interval"])
    assert compared.figures["text_to_image_R@1"] == pytest.approx(q - p)


def test_a_result_against_itself():
    a = retrieved(np.random.default_rng(0))
    compared = compare(a, a, draws=50)
    assert all(one["interval"] == [0, 0] and one["difference"] == 0 for one in compared.details["rows"])


def test_the_seed_decides(tmp_path):
    a, b = retrieved(np.random.default_rng(0)), retrieved(np.random.default_rng(1))
    once, again, other = (compare(a, b, draws=150, seed=seed).details for seed in (3, 3, 4))
    assert once == again
    assert once != other
    compared = compare(a, b, draws=150, seed=3)
    compared.save(tmp_path / "compared.json")
    assert Result.open(tmp_path / "compared.json").details == once
    assert (compared.kind, compared.seed, compared.data_fingerprint) == ("compare", 3, a.data_fingerprint)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "zeroshot"}, "no figures in common"),
        ({"data_fingerprint": "2", "data": "other"}, "different data .*other"),
        ({"settings": {"split": "val"}}, "differ in their split"),
        ({"samples": {"key": [str(i) for i in range(1, 401)]}}, "0 is in one of them only"),
        ({"samples": {"key": [str(i) for i in reversed(range(400))]}}, "another order"),
    ],
    ids=["kind", "data", "split", "pictures", "order"],
)
def test_what_has_no_difference(change, says):
    a = retrieved(np.random.default_rng(0))
    b = Result(**{**vars(a), **change})
    with pytest.raises(UsageError, match=says):
        compare(a, b)


def classified(kind, ranks, **settings):
    samples = {"key": [str(i) for i in range(len(ranks))], "label": [0] * len(ranks), "rank": ranks, "predicted": ranks}
    figures = {"top-1": float(np.mean(np.array(ranks) == 1))}
    return result(kind=kind, samples=samples, figures=figures, settings={"classes": ["cat", "dog"], **settings})


def test_answers_about_the_same_classes_compare_however_they_were_found():
    zeroshot = classified("zeroshot", [1, 2, 2, 1])
    probe = classified("linear_probe", [1, 1, 1, 1], train_fingerprint="a")
    compared = compare(zeroshot, probe, draws=50)
    assert compared.figures["top-1"] == 0.5
    assert compared.settings["kind"] == "linear_probe against zeroshot"
    with pytest.raises(UsageError, match="differ in their train_fingerprint"):
        compare(probe, classified("knn", [1, 1, 1, 1], train_fingerprint="b"))
    with pytest.raises(UsageError, match="a retrieval and a linear probe have no figures in common"):
        compare(retrieved(np.random.default_rng(0)), probe)


def test_other_kinds_and_no_draws():
    with pytest.raises(UsageError, match="results of plot can't be compared"):
        compare(result(kind="plot"), result(kind="plot"))
    a = retrieved(np.random.default_rng(0))
    with pytest.raises(UsageError, match="draws"):
        compare(a, a, draws=0)
