"""Files of results: no other file is lost, and none is asked for twice."""

import json
from pathlib import Path

import pytest

from sightline.cli.eval.files import Files
from sightline.cli.main import main
from sightline.errors import UsageError
from support.results import made


def test_data_sets_in_json_stay(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(UsageError, match=r"data\.json is no result of ours and would be lost"):
        Files(tmp_path / "data.json", None, None, None, None)
    made("m", "d", 0.5).save(tmp_path / "data.json")
    Files(tmp_path / "data.json", None, None, None, None)


def test_two_options_take_two_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="x would be written twice"):
        Files(tmp_path / "x", None, tmp_path / "x", None, None)


@pytest.mark.parametrize("command", ["compare", "table"])
def test_the_results_that_are_read_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    made("m", "d", 0.5).save(a)
    made("n", "d", 0.7).save(b)
    before = b.read_bytes()
    assert main(["eval", command, str(a), str(b), "--json", str(tmp_path / "." / "b.json")]) == 2
    assert "b.json is read here and would be lost" in capsys.readouterr().err
    assert b.read_bytes() == before


@pytest.mark.parametrize("command", ["compare", "table"])
def test_a_result_that_lacks_something_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    made("m", "d", 0.5).save(tmp_path / "a.json")
    spoiled = json.loads((tmp_path / "a.json").read_text())
    del spoiled["samples"]["image_to_text"]
    (tmp_path / "b.json").write_text(json.dumps(spoiled | {"model": "n", "model_fingerprint": "n"}))
    assert main(["eval", command, str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 2
    assert (
        "something is missing or strange in the retrieval of m on d or retrieval of n on d" in capsys.readouterr().err
    )
