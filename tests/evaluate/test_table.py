"""Several models on several data sets."""

from dataclasses import replace

import pytest

from sightline.errors import UsageError
from sightline.evaluate import compare, table
from support.results import made


def test_what_was_gained_and_what_was_forgotten():
    results = [
        made("before", "photos", 0.6), made("before", "scenes", 0.2),
        made("after", "scenes", 0.9), made("after", "photos", 0.3), made("other", "scenes", 0.2),
    ]  # fmt: skip
    found = table(results, draws=200, seed=1)
    photos, drawn = found.details["tables"]
    assert (photos["data"], photos["models"], photos["samples"]) == ("photos", ["before", "after"], 400)
    assert drawn["models"] == ["before", "after", "other"]
    for of_task, verdicts in ((photos, ["worse"]), (drawn, ["better", "same"])):
        for row in of_task["rows"]:
            assert [other["verdict"] for other in row["others"]] == verdicts, row["figure"]
    (row,) = (row for row in drawn["rows"] if row["figure"] == "text_to_image_R@1")
    pair = compare(results[1], results[2], draws=200, seed=1)
    (told,) = (row for row in pair.details["rows"] if row["figure"] == "text_to_image_R@1")
    assert (row["base"], row["base_interval"]) == (told["a"], told["a_interval"])
    assert row["others"][0]["interval"] == told["interval"]
    assert row["others"][0]["difference"] == pytest.approx(
        results[2].figures["text_to_image_R@1"] - results[1].figures["text_to_image_R@1"]
    )


def test_tasks_are_kept_apart():
    results = [made("a", "d", 0.5), made("b", "d", 0.6)]
    other = [replace(one, settings={"split": "test"}) for one in results]
    assert len(table([*results, *other], draws=10).details["tables"]) == 2
    with pytest.raises(UsageError, match="no two models"):
        table([results[0], other[1]])


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ([], "no two models"),
        ([made("a", "d", 0.5)], "no two models"),
        ([made("a", "d", 0.5), made("b", "e", 0.5)], "no two models"),
        ([made("a", "d", 0.5), made("a", "d", 0.6)], "two results of retrieval for a on d"),
    ],
)
def test_results_that_make_no_table(results, says):
    with pytest.raises(UsageError, match=says):
        table(results)
