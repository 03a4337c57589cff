"""Intervals of figures, and what is told of few classes."""

from dataclasses import replace

import numpy as np
import pytest

from sightline import scenes
from sightline.data import labelled
from sightline.evaluate import Result, compare, confusions, zeroshot
from sightline.evaluate.intervals import interval, intervals, wilson
from sightline.evaluate.retrieval import measure
from support.results import made


def test_wilson_by_the_paper():
    # Brown, Cai and DasGupta (2001), and by hand: 24 of 24.
    assert wilson(24, 24) == pytest.approx([0.8620, 1.0], abs=1e-4)
    assert wilson(0, 24) == pytest.approx([0.0, 0.1380], abs=1e-4)
    assert wilson(5, 10) == pytest.approx([0.2366, 0.7634], abs=1e-4)


def test_all_hits_are_no_certainty():
    hits = np.ones(200)
    assert interval("text_to_image_R@1", 1.0, hits, 24) == wilson(24, 24)
    assert interval("text_to_image_mean_rank", 1.0, hits, 24) == [1, 1]
    assert interval("text_to_image_R@1", 0.5, np.linspace(0, 1, 101), 24) == pytest.approx([0.025, 0.975])


def test_the_interval_of_one_result_is_that_of_a_comparison():
    a, b = made("a", "d", 0.5), made("b", "d", 0.6, seed=1)
    rows = compare(a, b).details["rows"]
    columns = {name: of for name, of in a.samples.items() if name != "key"}
    ends = intervals(measure, columns, a.figures)
    assert {row["figure"]: row["a_interval"] for row in rows} == ends


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """Four classes of three images."""
    root = tmp_path_factory.mktemp("shapes")
    for number, scene in enumerate(scenes.distinct(12, 9)):
        folder = root / ("circle", "star", "moon", "heart")[number % 4]
        folder.mkdir(exist_ok=True)
        scene.draw(64).save(folder / f"{number}.png")
    return labelled(root)


@pytest.mark.parametrize("evaluate", [zeroshot, confusions])
def test_no_top_5_of_four_classes(mini, shapes, evaluate):
    result = evaluate(mini, shapes)
    assert not [name for name in result.figures if "5" in name]
    for of in result.details["classes"].values():
        assert "top-5" not in of
        assert of["interval"] == wilson(round(3 * of["top-1"]), 3)


def test_accuracy_has_an_interval_and_compares(mini, shapes):
    result = zeroshot(mini, shapes)
    assert result.intervals.keys() == result.figures.keys() == {"top-1", "mean_per_class"}
    for name, (low, high) in result.intervals.items():
        assert low < high
        assert low <= result.figures[name] <= high
    assert [row["figure"] for row in compare(result, result, draws=9).details["rows"]] == ["top-1", "mean_per_class"]


def test_results_without_intervals_can_still_be_read(tmp_path):
    result = made("a", "d", 0.5)
    result.save(tmp_path / "new.json")
    text = (tmp_path / "new.json").read_text()
    old = text.replace('  "intervals": {},\n', "").replace('  "selection": null,\n', "")
    assert old != text
    (tmp_path / "old.json").write_text(old)
    assert Result.open(tmp_path / "old.json") == replace(result, skipped=[])
