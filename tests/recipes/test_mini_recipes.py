"""The recipes of the packaged models run to their end with two steps, and what they save opens."""

import importlib
import json
import sys
from pathlib import Path

import pytest

import sightline
from sightline.checkpoint.names import PACKAGED

RECIPES = Path(__file__).parents[2] / "recipes"
TINY = ("--steps", "2", "--batch-size", "8", "--scenes", "320", "--tests", "20")

pytestmark = [
    pytest.mark.system,
    # Of the few scenes that are evaluated, none have a held-out pair, say: a mean of nothing.
    pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value encountered"),
]


@pytest.fixture
def run(monkeypatch):
    """Runs a recipe in this process, as from a command line."""
    monkeypatch.syspath_prepend(RECIPES)

    def call(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        importlib.import_module(name).main()

    return call


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where what was drawn is kept: recipes share it."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("name", ["mini_clip", "mini_align", "mini_groupvit", "mini_xclip"])
def test_a_tiny_run_and_its_evaluation(name, run, cache, tmp_path, capsys):
    run(name, "train", tmp_path / "model", "--cache", cache, *TINY)
    assert "%" in (out := capsys.readouterr().out) or "mIoU" in out
    encoder = sightline.load(tmp_path / "model")
    assert encoder.encode_text(["a red circle"]).shape == (1, encoder.dim)


def test_golden_values_are_those_in_the_package(run, tmp_path):
    before = json.loads((PACKAGED / "golden.json").read_text())["mini"]
    out = tmp_path / "golden.json"
    out.write_text("{}")
    run("golden", "mini", "--out", out)
    after = json.loads(out.read_text())["mini"]
    assert after.keys() == before.keys()
    for name in ("weights_sha256", "texts", "token_ids", "image"):
        assert after[name] == before[name]
    assert after["image_vector"] == pytest.approx(before["image_vector"], abs=1e-5)


def test_scenes_are_drawn_into_a_data_set(run, tmp_path):
    run("draw_scenes", tmp_path, "--count", 3, "--size", 16)
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 3
    assert len((tmp_path / "captions.jsonl").read_text().splitlines()) == 3


def test_every_recipe_is_run_by_some_test():
    tested = {"mini_clip", "mini_align", "mini_groupvit", "mini_xclip", "golden", "draw_scenes"}
    elsewhere = {"flickr8k_clip", "sweep"}  # test_flickr8k_clip, test_sweep
    parts = {"training", "vocabulary"}  # what the others share
    assert tested | elsewhere | parts == {file.stem for file in RECIPES.glob("*.py")}
