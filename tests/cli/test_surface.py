"""What people type: commands, options, help, errors and exit statuses."""

import sys

import pytest
import typer

from sightline.cli.main import main
from sightline.cli.program import COMMANDS, app
from sightline.distribution import VERSION

COMPUTE = ["--device", "--precision", "--batch-size"]
# A change here is a change for everybody's scripts.
SURFACE = {
    "index": [
        "PATH", "--model", "--forget", "--regions", "--exclude", "--include", "--skipped", "--watch", *COMPUTE,
        "--compile", "--index", "--library",
    ],
    "search": [
        "TEXT", "--image", "--not", "-k", "--min-score", "--where", "--since", "--until", "--folder", "--kind",
        "--camera", "--near", "--rating", "--rescore", "--regions", "--json", "--with-place", "--html", "--model",
        *COMPUTE,
        "--index", "--library",
    ],
    "similar": [
        "--threshold", "--where", "--since", "--until", "--folder", "--kind", "--camera", "--near",
        "--rating", "--json", "--html", "--index", "--library",
    ],
    "segment": [
        "IMAGE", "WORD...", "--background", "--mode", "--out", "--prompt", "--model", "--precision", "--device",
        "--batch-size", "--json",
    ],
    "train": [
        "[RECIPE.py]", "--out", "--model", "--text-model", "--data", "--split", "--image-root", "--steps", "--epochs",
        "--batch-size", "--captions-per-image", "--micro-batch-size", "--grad-accum-steps", "--crop", "--flip",
        "--color-jitter", "--lr", "--warmup-steps", "--weight-decay", "--betas", "--eps", "--layer-decay",
        "--max-grad-norm", "--logit-scale", "--max-logit-scale", "--label-smoothing", "--equal-captions", "--freeze",
        "--freeze-norms", "--lora", "--precision", "--device", "--ema-decay", "--grad-checkpointing", "--compile",
        "--fsdp", "--workers", "--seed", "--checkpoint-every", "--evaluate", "--evaluate-split",
    ],
    "eval": [],
    "info": ["--json", "--index", "--library"],
    "library": [],
    "fsck": ["--repair", "--index", "--library"],
    "verify": ["MODEL", "--image", *COMPUTE],
    "optimize": [
        "MODEL", "--out", "--prune", "--to", "--calibrate", "--texts", "--recover", "--split", "--image-root",
        "--steps", "--batch-size", "--lr", "--checkpoint-every", "--device",
    ],
    "profile": [
        "MODEL", "--images", "--texts", "--iterations", "--deep", "--against", "--json", "--html", "--trace", *COMPUTE,
    ],
    "export": ["MODEL", "--out", "--to", "--precision", "--calibrate", "--texts", "--layout"],
    "demo": ["FOLDER"],
}  # fmt: skip
FILES = ["--json", "--html", "--csv", "--markdown", "--latex"]
EVALUATIONS = {
    "retrieval": ["MODEL", "DATA...", "--each", "--split", "--image-root", *COMPUTE, "--fresh", *FILES],
    "zeroshot": [
        "MODEL", "DATA...", "--each", "--classes", "--template", "--split", "--image-root", *COMPUTE,
        "--fresh", *FILES,
    ],
    "video": [
        "MODEL", "DATA...", "--each", "--classes", "--template", "--split", "--image-root", *COMPUTE,
        "--fresh", *FILES,
    ],
    "linear-probe": [
        "MODEL", "TRAIN", "TEST", "--split", "--train-split", "--image-root", *COMPUTE, "--fresh", *FILES
    ],
    "knn": [
        "MODEL", "TRAIN", "TEST", "-k", "--temperature", "--split", "--train-split", "--image-root", *COMPUTE,
        "--fresh", *FILES,
    ],
    "segmentation": [
        "MODEL", "DATA", "--image-root", "--classes", "--mode", "--background", "--prompt", *COMPUTE, *FILES,
    ],
    "temperature": ["MODEL", "DATA...", "--each", "--split", "--image-root", *COMPUTE, "--fresh", *FILES],
    "projection": [
        "MODEL", "DATA...", "--train", "--split", "--train-split", "--image-root", "--train-image-root", "--dim",
        "--seed", *COMPUTE, "--fresh", *FILES,
    ],
    "diagnosis": ["MODEL", "DATA...", "--each", "--split", "--image-root", *COMPUTE, "--fresh", *FILES],
    "confusions": [
        "MODEL", "DATA...", "--each", "--classes", "--template", "--split", "--image-root", *COMPUTE,
        "--fresh", *FILES,
    ],
    "compare": ["A.json", "B.json", "--draws", "--seed", *FILES],
    "table": ["RESULT.json...", "--draws", "--seed", "--published", *FILES],
    "report": ["RESULT.json...", "--html"],
}  # fmt: skip

LIBRARIES = {"list": ["--json"], "show": ["NAME", "--json"], "delete": ["NAME", "--yes"]}


def test_the_surface_is_frozen():
    group = typer.main.get_command(app)
    context = group.make_context("sightline", ["info"])
    assert surface(group, context, COMMANDS) == {name: [*options, "--debug"] for name, options in SURFACE.items()}
    evaluations = group.get_command(context, "eval")
    inner = evaluations.make_context("eval", ["compare"])
    found = surface(evaluations, inner, evaluations.list_commands(inner))
    assert found == {name: [*options, "--debug"] for name, options in EVALUATIONS.items()}
    libraries = group.get_command(context, "library")
    found = surface(libraries, libraries.make_context("library", ["list"]), LIBRARIES)
    assert found == {name: [*options, "--debug"] for name, options in LIBRARIES.items()}
    assert [option for p in group.params for option in p.opts] == [
        "--version",
        "--debug",
        "--install-completion",
        "--show-completion",
    ]


def surface(group, context, names):
    found = {}
    for name in names:
        params = group.get_command(context, name).params
        found[name] = [(p.metavar or p.name.upper()) if p.param_type_name == "argument" else p.opts[0] for p in params]
    return found


@pytest.mark.parametrize(
    "command", [*COMMANDS, *(f"eval {name}" for name in EVALUATIONS), *(f"library {name}" for name in LIBRARIES)]
)
def test_every_command_has_help_with_an_example(run, command):
    ran = run(*command.split(), "--help")
    assert ran.status == 0
    assert f"\n    sightline {command}" in ran.out
    assert "Example" in ran.out
    assert ran.err == ""


def test_help_and_version(run):
    for ran in (run("--help"), run()):
        assert ran.status == 0
        assert all(f"\n  {command} " in ran.out for command in COMMANDS)
    assert run("--version").out == f"sightline {VERSION}\n"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["serch"], "did you mean 'search'?"),
        (["frobnicate"], "sightline --help"),
        (["eval", "retrieve"], "did you mean 'retrieval'?"),
        (["eval", "frobnicate"], "sightline eval --help"),
        (["--frobnicate"], "--frobnicate"),
        (["search", "-red"], 'a text that begins with a dash goes after "--"'),
        (["search"], "query is empty"),
        (["search", "  "], "empty"),
        (["search", "red", "--not", ""], "empty"),
        (["search", "--not", "red"], "empty"),
        (["search", "red", "-k", "0"], "-k"),
        (["search", "red", "-k", "many"], "-k"),
        (["search", "red", "--where", "color = 'red'"], "color = 'red'"),
        (["search", "red", "--where", "width >>>"], "width >>>"),
        (["search", "--image", "none.jpg"], "none.jpg"),
        (["search", "red", "--html", "none/sheet.html"], "none/sheet.html"),
        (["search", "red", "blue"], "blue"),
        (["similar", "--threshold", "2"], "threshold"),
        (["index"], "PATH"),
        (["index", "none"], "none: no such file or folder"),
        (["info", "--index", __file__], "is a file"),
        (["search", "red", "--index", __file__], "is a file"),
        (["index", ".", "--index", __file__], "is a file"),
    ],
    ids=" ".join,
)
def test_wrong_use(run, indexed, args, says):
    ran = run(*args)
    assert ran.status == 2
    assert says in ran.err
    assert ran.err.count("\n") == 1, "one line"
    assert ran.err.startswith("sightline: ")
    assert ran.out == ""


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["search", "red", "-k", "many"], "-k many: give a whole number"),
        (["search", "red", "-k", "1.5"], "-k 1.5: give a whole number"),
        (["search", "red", "-k", "0"], "-k 0: give at least 1"),
        (["similar", "--threshold", "high"], "--threshold high: give a number"),
        (["segment", "a.jpg", "b", "c", "--mode", "fast"], "--mode fast: choose paper or transformers"),
        (
            ["eval", "zeroshot", "mini", "a", "--precision", "float99"],
            "--precision float99: choose auto, float32, bfloat16, float16, int8, int4 or fast",
        ),
    ],
    ids=" ".join,
)
def test_a_wrong_value_is_named_with_what_to_give(run, args, says):
    command = " ".join(args[: 1 + (args[0] == "eval")])
    assert run(*args) == (2, "", f"sightline: {says} (see `sightline {command} --help`)\n")


@pytest.mark.parametrize("command", [["search", "red"], ["similar"], ["info"], ["fsck"]], ids=" ".join)
def test_no_index_yet(run, tmp_path, command):
    ran = run(*command)
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert str(tmp_path / "index") in ran.err
    assert "sightline index" in ran.err


def test_a_text_may_begin_with_a_dash(run, indexed):
    ran = run("search", "--json", "--", "-red")
    assert ran.status == 1
    assert "unknown color specifier: '-red'" in ran.err


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_traceback_comes_when_asked_for(run, indexed, place):
    words = ["search", "nosuchcolour"]
    quiet = run(*words)
    assert (quiet.status, quiet.err.count("\n")) == (1, 1)
    assert "ValueError" in quiet.err
    assert "--debug" in quiet.err
    words.insert(place, "--debug")
    loud = run(*words)
    assert loud.status == 1
    assert "Traceback" in loud.err


def test_errors_of_the_system_name_the_file(run, monkeypatch):
    def command() -> None:
        raise PermissionError(13, "Permission denied", "/the/file")

    monkeypatch.setattr("sightline.cli.info.command", command)
    ran = run("info")
    assert (ran.status, ran.err) == (
        1,
        "sightline: Permission denied: /the/file; run again with --debug for the traceback\n",
    )


def test_names_cannot_write_to_the_terminal(run):
    ran = run("index", "a\nb\x1b[31m\u202egpj.exe")
    assert ran.err.count("\n") == 1
    assert r"a\nb\x1b[31m\u202egpj.exe" in ran.err


@pytest.mark.parametrize(
    "name", [*COMMANDS, *(f"eval.{name}" for name in EVALUATIONS), *(f"library.{name}" for name in LIBRARIES)]
)
def test_ctrl_c_is_one_line(run, monkeypatch, name):
    def command() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"sightline.cli.{name.replace('-', '_')}.command", command)
    assert run(*name.split(".")) == (130, "", "sightline: stopped\n")


def test_main_takes_the_programs_own_arguments(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sightline", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("sightline ")


@pytest.mark.parametrize(
    ("args", "page"),
    [
        (["eval", "retrieval", "mini"], "eval retrieval"),
        (["eval", "--nope"], "eval"),
        (["train", "--lr", "eval"], "train"),
        (["--nope"], ""),
    ],
)
def test_wrong_use_names_the_help_of_the_command_that_refused_it(run, args, page):
    ran = run(*args)
    assert ran.status == 2
    assert ran.err.endswith(f"(see `{' '.join(['sightline', *page.split()])} --help`)\n")
