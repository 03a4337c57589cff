"""`sightline eval temperature`, `projection`, `diagnosis`, `table` and `report`."""

import json
import subprocess
import sys

import pytest

from sightline import scenes
from sightline.distribution import install
from sightline.evaluate import Result
from support.datasets import tar
from support.images import as_bytes

pytestmark = pytest.mark.system


@pytest.fixture
def train(tmp_path):
    files = []
    for number, scene in enumerate(scenes.distinct(20, 5)):
        files += [
            (f"t{number}.png", as_bytes(scene.draw(64))),
            (f"t{number}.json", json.dumps({"captions": scene.captions[:1]}).encode()),
        ]
    return tar(tmp_path / "train.tar", files)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["temperature", "mini", "SHARD"], "best scale "),
        (["diagnosis", "mini", "SHARD"], "calibration error"),
        (["projection", "mini", "SHARD", "--train", "TRAIN", "--dim", "8"], "new heads 8 mean recall"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_figures_result_and_page(run, shard, train, tmp_path, args, says):
    named = [{"SHARD": shard, "TRAIN": train}.get(arg, arg) for arg in args]
    ran = run("eval", *named, "--json", tmp_path / "result.json", "--html", tmp_path / "page.html")
    assert ran.status == 0, ran.err
    assert says in ran.out
    assert "1 left out, which can't be read" in ran.err
    result = Result.open(tmp_path / "result.json")
    assert result.kind == args[0]
    first = (tmp_path / "page.html").read_text()
    assert "<svg" in first
    assert run("eval", "report", tmp_path / "result.json", "--html", tmp_path / "again.html").status == 0
    assert (tmp_path / "again.html").read_text() == first


def test_a_table_of_two_models(run, shard, tmp_path):
    for model in ("mini", "mini-groupvit"):
        assert run("eval", "retrieval", model, shard, "--json", tmp_path / f"{model}.json").status == 0
    ran = run(
        "eval", "table", tmp_path / "mini.json", tmp_path / "mini-groupvit.json", "--draws", "50",
        "--html", tmp_path / "page.html",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    first, base, other, heads, *rows = ran.out.rstrip().splitlines()
    assert first.startswith("retrieval on 11 samples of ")
    assert (base, other) == ("  mini: mini", "  mini-groupvit: mini-groupvit")
    assert heads.split() == ["mini", "95%", "mini-groupvit", "95%", "difference", "95%"]
    assert len(rows) == 11
    assert all(row.split()[-1] in ("better", "worse", "unclear", "same") for row in rows)
    assert "mini-groupvit" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["temperature", "mini", "none.tar"], "none.tar"),
        (["diagnosis", "mini", "SHARD", "--html", "none/page.html"], "no folder"),
        (["diagnosis", "mini", "SHARD", "--html", "photo.jpg"], "photo.jpg is no page of ours"),
        (["projection", "mini", "SHARD"], "--train"),
        (["projection", "mini", "SHARD", "--train", "SHARD"], "are also in"),
        (["projection", "mini", "SHARD", "--train", "none.tar"], "none.tar"),
        (["table", "photo.jpg"], "photo.jpg"),
        (["report", "none.json"], "none.json"),
        (["report"], "RESULT.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use(run, shard, tmp_path, args, says):
    (tmp_path / "work" / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    ran = run("eval", *(str(shard) if arg == "SHARD" else arg for arg in args))
    assert ran.status in (1, 2)
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert ran.out == ""
    assert (tmp_path / "work" / "photo.jpg").read_bytes() == b"\xff\xd8\xff"


def test_a_page_without_matplotlib_is_refused_at_once(run, shard, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    ran = run("eval", "retrieval", "mini", shard, "--html", tmp_path / "page.html")
    assert (ran.status, ran.out) == (2, "")
    assert install("report") in ran.err


@pytest.mark.parametrize("command", ["compare", "table"])
def test_text_needs_nothing_of_reports(run, shard, tmp_path, command):
    for model in ("mini", "mini-groupvit"):
        assert run("eval", "retrieval", model, shard, "--json", tmp_path / f"{model}.json").status == 0
    program = (
        "import sys; from sightline.cli.main import main; status = main(sys.argv[1:]); "
        "print(status, [name for name in sys.modules if name.startswith(('sightline.report', 'jinja2', 'matplotlib'))])"
    )
    files = (str(tmp_path / f"{model}.json") for model in ("mini", "mini-groupvit"))
    arguments = [sys.executable, "-c", program, "eval", command, *files, "--draws", "5"]
    ran = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "0 []"
