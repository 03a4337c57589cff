"""Names, figures and times as people read them."""

import pytest

from sightline.format import between, clock, counted, in_order, shown


@pytest.mark.parametrize(
    ("name", "value", "sign", "text"),
    [
        ("text_to_image_R@1", 0.0206, "", "2.06%"),
        ("text_to_image_mean_rank", 219.479, "", "219.5"),
        ("text_to_image_median_rank", 1130.0, "", "1,130.0"),
        ("loss", 7.41545, "", "7.415"),
        ("best_scale_text_to_image_calibration_error", 0.00976, "", "0.98%"),
        ("mean_recall", -0.01, "+", "-1.00%"),
        ("text_to_image_mean_rank", 3.0, "+", "+3.0"),
        ("rank_changes", 0.0, "", "0"),
    ],
)
def test_figures_for_people(name, value, sign, text):
    assert shown(name, value, sign) == text


def test_numbers_are_sorted_by_size():
    assert in_order(["R@10", "R@5", "mean", "R@1"]) == ["R@1", "R@5", "R@10", "mean"]


def test_intervals_and_times():
    assert between("mean_rank", (1.0, 2.55), "+") == "+1.0 to +2.5"
    assert between("top-1", (0.5, 0.75)) == "50.00% to 75.00%"
    assert [clock(seconds) for seconds in (7.9, 723, 3600)] == ["0:07", "12:03", "1:00:00"]


def test_counted():
    assert [counted(number, "file") for number in (0, 1, 2000)] == ["0 files", "1 file", "2,000 files"]
