"""Several models on several data sets."""

from dataclasses import replace

import pytest

from sightline.errors import UsageError
from sightline.evaluate import compare, table
from sightline.evaluate.notes import notes
from sightline.evaluate.text_tables import text_tables
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


def test_published_figures_beside_ours():
    ours = made("/models/clip-vit-base-patch32", "coco/dataset_coco.json", 0.5, count=5000)
    found = table([ours], draws=9, with_published=True)
    rows = {row["figure"]: row for row in found.details["published"]}
    assert rows.keys() == {f"{way}_R@{k}" for way in ("text_to_image", "image_to_text") for k in (1, 5, 10)}
    told = rows["image_to_text_R@1"]
    assert (told["published"], told["value"]) == (0.501, ours.figures["image_to_text_R@1"])
    assert told["source"] == "open_clip, table of retrieval results"
    (shown,) = text_tables(found)
    assert len(shown.lines) == 6
    for other in (
        made("clip-vit-base-patch32", "coco", 0.5, count=400),
        made("clip-vit-base-patch32", "flickr8k", 0.5, count=5000),
        made("mine", "coco", 0.5, count=5000),
    ):
        found = table([other], draws=9, with_published=True)
        assert found.details["published"] == []
        assert notes(found) == ["No published figures are known of these models on these data."]


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ([], "no two models"),
        ([made("a", "d", 0.5)], "no two models"),
        ([made("a", "d", 0.5), made("b", "e", 0.5)], "no two models"),
        ([made("a", "d", 0.5), replace(made("a", "d", 0.5), kind="knn")], "all results are of a, .*eval compare"),
        ([made("a", "d", 0.5), made("a", "d", 0.6)], "two results of retrieval for a on d"),
    ],
)
def test_results_that_make_no_table(results, says):
    with pytest.raises(UsageError, match=says):
        table(results)
