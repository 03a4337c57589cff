"""Results on disk."""

import json
import sys

import pytest

from sightline.errors import UsageError
from sightline.evaluate import Result, Skipped, open_results, save_results
from sightline.evaluate.exports import write_export
from support.results import made, result


def test_what_is_saved_is_what_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/sightline", "eval", "retrieval", "my data"])
    before = result(
        seed=7,
        settings={"split": "test"},
        samples={"ranks": [1, 2], "keys": ["a", "ü"]},
        details={"per class": {"dog": None}},
        skipped=[Skipped("broken.jpg", "no picture")],
    )
    before.save(tmp_path / "result.json")
    after = Result.open(tmp_path / "result.json")
    assert after == before
    assert after.command == "sightline eval retrieval 'my data'"
    assert after.date.endswith("+00:00")
    assert set(after.versions) == {"python", "sightline", "torch", "numpy"}


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"kind": "retrieval"}', "NaN"])
def test_another_file_is_no_result(tmp_path, text):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(UsageError, match=r"result\.json"):
        Result.open(tmp_path / "result.json")


@pytest.mark.parametrize("change", [{"more": 1}, {"skipped": [1]}, {"skipped": [{"source": "a"}]}, {"skipped": 3}])
def test_a_file_with_other_fields_is_no_result(tmp_path, change):
    result().save(tmp_path / "result.json")
    data = json.loads((tmp_path / "result.json").read_text())
    (tmp_path / "result.json").write_text(json.dumps(data | change))
    with pytest.raises(UsageError, match="no result of an evaluation"):
        Result.open(tmp_path / "result.json")


def test_a_result_goes_nowhere_else(tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        result().save(tmp_path / "none" / "result.json")
    with pytest.raises(UsageError, match=r"none\.json: no such file"):
        Result.open(tmp_path / "none.json")


def test_stray_bytes_of_names_survive(tmp_path):
    odd = made("caf\udce9", "d\udc80", 0.5)
    for results in ([odd], [odd, odd]):
        save_results(tmp_path / "r.json", results)
        assert [found.model for found in open_results(tmp_path / "r.json")] == ["caf\udce9"] * len(results)
    for format in ("csv", "markdown", "latex"):
        write_export(tmp_path / format, format, [odd])
