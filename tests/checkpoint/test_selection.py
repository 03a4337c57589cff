"""The record of the data by which a checkpoint was chosen."""

import pytest

from sightline.checkpoint.selection import Selection, read_selection, write_selection
from sightline.errors import CheckpointError

CHOSEN = Selection(data="val.csv", data_fingerprint="9f", metric="mean_recall", checkpoints=11)


def test_it_comes_back_as_it_was_written(tmp_path):
    assert read_selection(tmp_path) is None
    write_selection(tmp_path, CHOSEN)
    assert read_selection(tmp_path) == CHOSEN
    assert read_selection(tmp_path / "selection.json") is None  # a checkpoint that is a file


@pytest.mark.parametrize("text", ["{", "[]", '{"data": "x"}', '{"data": "x", "more": 1}'])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "selection.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"selection\.json is damaged .*delete it"):
        read_selection(tmp_path)
