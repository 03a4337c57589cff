"""Linear probe and nearest neighbours, against scikit-learn and a plain computation."""

import sys

import numpy as np
import pytest

from sightline import scenes
from sightline.data import labelled
from sightline.errors import UsageError
from sightline.evaluate import compare, knn, linear_probe
from sightline.evaluate.encode import encode
from sightline.evaluate.linear_probe import choose, decide, fit, split

SHAPES = ("circle", "moon", "star")


def drawn(root, per_class, start):
    """Scenes with one thing, in a folder for each shape."""
    wanted, index = dict.fromkeys(SHAPES, per_class), start
    while any(wanted.values()):
        scene = scenes.unseen(1, index)
        shape = scene.things[0].shape
        if len(scene.things) == 1 and wanted.get(shape):
            (root / shape).mkdir(parents=True, exist_ok=True)
            scene.draw(64).save(root / shape / f"{index:04d}.png")
            wanted[shape] -= 1
        index += 1
    return labelled(root)


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("train"), 10, 0)


@pytest.fixture(scope="module")
def test(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("test"), 4, 5000)


def states(encoder, data):
    encoded = encode(encoder, data.samples, project=False)
    return encoded.vectors.astype(np.float64), np.array([sample.label for sample in encoded.samples])


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (7, 0.07), (30, 1.0)])
def test_neighbours_vote(mini, train, test, k, temperature):
    result = knn(mini, train, test, k=k, temperature=temperature)
    (known, labels), (asked, right) = states(mini, train), states(mini, test)
    predicted = []
    for row in asked @ known.T:
        votes = np.zeros(3)
        for near in np.argsort(-row, kind="stable")[:k]:
            votes[labels[near]] += np.exp(row[near] / temperature)
        predicted.append(int(votes.argmax()))
    assert result.samples["predicted"] == predicted
    assert result.figures["top-1"] == np.mean(np.array(predicted) == right)
    assert (result.kind, result.settings["k"], result.settings["classes"]) == ("knn", k, list(SHAPES))
    assert result.settings["train_fingerprint"] == train.fingerprint
    assert result.intervals.keys() == result.figures.keys()
    if k == 1:
        (best,) = np.unique(labels[(asked @ known.T).argmax(1)] == np.array(predicted))
        assert best


@pytest.mark.system
def test_the_probe_is_scikit_learns_with_the_c_that_was_chosen(mini, train, test):
    from sklearn.linear_model import LogisticRegression

    result = linear_probe(mini, train, test)
    (known, labels), (asked, right) = states(mini, train), states(mini, test)
    model = LogisticRegression(C=result.settings["C"], max_iter=1000).fit(known, labels)
    assert result.samples["predicted"] == model.predict(asked).tolist()
    assert result.figures["top-1"] == model.score(asked, right)
    assert result.figures["top-1"] > 0.5
    assert result.details["classes"].keys() == set(SHAPES)
    compared = compare(knn(mini, train, test, k=3), knn(mini, train, test, k=5), draws=9)
    assert compared.details["samples"] == 12


def test_the_best_c_of_a_part_that_is_held_out():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, 3], [11, 5, 2, 1])
    held_out = split(labels)
    assert [int(held_out[labels == label].sum()) for label in range(4)] == [3, 1, 1, 0]
    vectors = rng.standard_normal((60, 8)).astype(np.float32)
    labels = (vectors[:, 0] + 0.5 * rng.standard_normal(60) > 0).astype(np.int64)
    heard, held_out = [], split(labels)
    strength = choose(vectors, labels, heard.append)
    assert heard[-1].done <= heard[-1].total == 15
    assert 1e-6 <= strength <= 1e6

    def score(c):
        return fit(vectors[~held_out], labels[~held_out], c)[0].score(vectors[held_out], labels[held_out])

    assert score(strength) >= max(score(10.0**exponent) for exponent in range(-6, 7, 2))
    model, converged = fit(vectors, labels + 1, 1.0)
    assert converged
    scores = decide(model, vectors, 4)
    assert np.isneginf(scores[:, [0, 3]]).all()
    assert (scores.argmax(1) == model.predict(vectors)).all()


@pytest.mark.parametrize("evaluate", [knn, linear_probe])
def test_data_that_do_not_fit(mini, train, test, tmp_path, evaluate):
    with pytest.raises(UsageError, match=r"12 files of .* are also in"):
        evaluate(mini, test, test)
    drawn(tmp_path, 1, 9000)
    (tmp_path / "moon").rename(tmp_path / "house")
    with pytest.raises(UsageError, match="'house' is not among the 3"):
        evaluate(mini, train, labelled(tmp_path))


def test_numbers_and_packages_that_are_missing(mini, train, test, monkeypatch):
    with pytest.raises(UsageError, match="k is 31, but there are 30 images"):
        knn(mini, train, test, k=31)
    for wrong in ({"k": 0}, {"temperature": 0.0}, {"temperature": float("nan")}):
        with pytest.raises(UsageError, match="k is at least 1, the temperature above 0"):
            knn(mini, train, test, **wrong)
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(UsageError, match="needs scikit-learn"):
        linear_probe(mini, train, test)
