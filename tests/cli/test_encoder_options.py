"""`--device`, `--precision` and `--batch-size` of commands that run a model, and the warnings that these show."""

import json
import sys

import pytest

from sightline.logger import LOGGER
from support.images import COLORS

GIVEN = ["--device", "cpu", "--precision", "float32", "--batch-size", "2"]
MEANT = {"device": "cpu", "precision": "float32", "batch_size": 2, "compile": False}
DEFAULT = {"device": "auto", "precision": "auto", "batch_size": None, "compile": False}


@pytest.fixture
def opened(monkeypatch):
    """The options with which each encoder was loaded, or None for one in numpy."""
    fake, asked = sys.modules["sightline.encoder"], []
    load = fake.load

    def watched(name="openai/clip-vit-base-patch32", revision=None, **options):
        asked.append(options or None)
        return load(name, revision)

    monkeypatch.setattr(fake, "load", watched)
    monkeypatch.setattr(fake, "TextEncoder", watched)
    return asked


def test_index_opens_the_model_as_asked(run, pictures, opened):
    assert run("index", pictures, "--model", "colors", *GIVEN).status == 0
    assert run("index", pictures).status == 0
    assert opened == [MEANT, DEFAULT]


def test_search_opens_the_model_as_asked(run, indexed, opened):
    assert run("search", "red").status == 0
    assert opened == [None], "numpy encodes words"
    opened.clear()
    assert run("search", "red", *GIVEN).status == 0
    assert opened == [MEANT]
    opened.clear()
    assert run("search", "red", "--precision", "fast").status == 0
    assert opened == [None], "of a few words numpy is the quickest"
    opened.clear()
    assert run("search", "--image", indexed / "red.png").status == 0
    assert DEFAULT in opened


def test_evaluations_open_the_model_as_asked(opened):
    from sightline.cli.eval.common import open_model

    open_model("colors", "cpu", "float32", 2)
    assert opened == [{name: MEANT[name] for name in ("device", "precision", "batch_size")}]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--batch-size", "0"], "--batch-size 0: give at least 1"),
        (["--batch-size", "many"], "--batch-size many: give a whole number"),
        (["--precision", "int9"], "--precision int9: choose auto, float32"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    "command", ["index .", "search red", "verify mini", "eval retrieval mini a", "segment a.png b c"], ids=str
)
def test_a_wrong_value_is_named(run, command, args, says):
    ran = run(*command.split(), *args)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(f"sightline: {says}")


def test_vectors_of_another_precision_are_taken_in_and_that_is_said(run, indexed, monkeypatch):
    assert "precision" not in run("index", indexed).err
    monkeypatch.setattr("support.encoders.ColorEncoder.precision", "bfloat16")
    assert run("index", indexed).err == "", "nothing is new"
    (indexed / "again.png").write_bytes((indexed / "red.png").read_bytes())
    ran = run("index", indexed)
    assert ran.status == 0
    assert ran.out.startswith("1 added")
    assert "new vectors are computed in bfloat16; those in the index stay in float32" in ran.err
    assert ran.err.count("\n") == 1
    monkeypatch.setattr("support.encoders.ColorEncoder.precision", "float32")
    (indexed / "more.png").write_bytes((indexed / "blue.png").read_bytes())
    assert "in float32; those in the index stay in bfloat16" in run("index", indexed).err
    shown = run("info").out
    assert f"precision    {len(COLORS) + 1:,} float32, 1 bfloat16\n" in shown
    assert json.loads(run("info", "--json").out)["precisions"] == {"float32": len(COLORS) + 1, "bfloat16": 1}
    found = run("search", "red", "--where", "precision = 'bfloat16'").out
    assert found.count("\n") == 1
    assert "again.png" in found


def test_warnings_are_lines_on_standard_error(run, monkeypatch):
    def command() -> None:
        LOGGER.info("not this")
        LOGGER.warning("halved\n\x1b[31m")
        print("result")

    monkeypatch.setattr("sightline.cli.info.command", command)
    assert run("info") == (0, "result\n", "sightline: halved\\n\\x1b[31m\n")
    LOGGER.warning("after the command")
    assert run("info").err.count("sightline: ") == 1, "one handler"
