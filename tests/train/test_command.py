"""`sightline train` as a person calls it: a run from options, evaluated; what is wrong is said before it starts."""

import dataclasses
import inspect
import json
import re
import signal
import subprocess
import sys
import time
from typing import get_args, get_type_hints

import pytest

from sightline import scenes
from sightline.checkpoint.selection import read_selection
from sightline.cli.main import main
from sightline.cli.recall import Recall
from sightline.cli.train import TowerName, command
from sightline.train import Lora, Outcome, Recipe
from support.models import PACKAGED

pytestmark = pytest.mark.system


@pytest.fixture
def folder(tmp_path):
    """Twelve scenes, four of them to test with."""
    lines = []
    for number in range(12):
        scene = scenes.sample(3, number)
        scene.draw(64).save(tmp_path / f"{number}.png")
        split = "test" if number < 4 else "train"
        lines.append(json.dumps({"file": f"{number}.png", "captions": scene.captions[:2], "split": split}))
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_a_run_from_options_alone_evaluated_on_a_split(folder, capsys):
    data, out = str(folder / "captions.jsonl"), folder / "run"
    command = ["train", "--model", "mini", "--data", data, "--split", "train", "--steps", "2", "--batch-size", "4"]
    command += ["--checkpoint-every", "1", "--evaluate", data, "--evaluate-split", "test", "--out", str(out)]
    assert main(command) == 0
    assert "trained 2 steps" in capsys.readouterr().out
    results = json.loads((out / "results.json").read_text())
    assert len(results) == 3  # before the first step, too
    # Four pictures: all are among the first five.
    assert results["00000002"]["text_to_image_R@5"] == 1.0
    assert (out / "best/model.safetensors").is_file()
    assert main(command) == 0  # done: nothing is left to do
    assert "all 2 steps are done; --steps or --epochs makes the run longer" in capsys.readouterr().err


def run(folder, *more):
    data = str(folder / "captions.jsonl")
    given = ["train", "--model", "mini", "--data", data, "--split", "train", "--steps", "4", "--batch-size", "4"]
    given += ["--checkpoint-every", "2", "--evaluate", data, "--evaluate-split", "test", "--out", str(folder / "run")]
    return main([*given, *more])


def test_a_run_goes_on_from_its_folder_alone(folder, capsys, monkeypatch):
    assert run(folder, "--lr", "3e-5") == 0
    monkeypatch.chdir(folder.parent)
    assert main(["train", "--out", str(folder / "run"), "--steps", "6"]) == 0
    told = capsys.readouterr()
    assert "trained 6 steps; the model: " in told.out
    assert "a run of 6 steps now, not 4: after step 4 the learning rate is that of a run of this length" in told.err
    saved = json.loads((folder / "run/run.json").read_text())
    assert (saved["settings"]["lr"], saved["settings"]["steps"]) == (3e-5, 6)
    assert main(["train", "--out", str(folder / "run"), "--lr", "1", "--seed", "7"]) == 2
    assert "(lr: 3e-05, now 1.0; seed: 0, now 7)" in capsys.readouterr().err


def test_a_run_goes_on_where_its_data_have_moved_to(folder, capsys):
    assert run(folder) == 0
    moved = folder.parent / f"{folder.name}-moved"
    folder.rename(moved)
    assert main(["train", "--out", str(moved / "run"), "--steps", "6"]) == 2
    error = capsys.readouterr().err
    assert "(--data)" in error
    assert "(--evaluate)" in error
    data = str(moved / "captions.jsonl")
    places = ["--data", data, "--evaluate", data, "--evaluate-split", "test"]
    assert main(["train", "--out", str(moved / "run"), "--steps", "6", *places]) == 0
    assert main(["train", "--out", str(moved / "run"), "--steps", "8"]) == 0  # the new places are remembered


def test_the_log_says_what_eval_says_of_the_same_weights(folder, capsys):
    assert run(folder) == 0
    out, best = folder / "run", (folder / "run/best").resolve()
    told, step = capsys.readouterr().err, str(int(best.name.removeprefix("step-")))
    result = folder / "r.json"
    given = ["eval", "retrieval", str(out / "best"), str(folder / "captions.jsonl"), "--split", "test"]
    assert main([*given, "--json", str(result)]) == 0
    evaluated = json.loads(result.read_text())
    assert evaluated["figures"] == json.loads((out / "results.json").read_text())[best.name.removeprefix("step-")]
    shown = [re.split(r" {2,}", line)[:2] for line in capsys.readouterr().out.splitlines()[1:]]
    (line,) = (line for line in told.splitlines() if line.startswith(f"step {step}: mean recall"))
    assert line == f"step {step}: " + ", ".join(f"{name} {value}" for name, value in shown)
    selection = read_selection(out / "best")
    assert (selection.data, selection.data_fingerprint) == (evaluated["data"], evaluated["data_fingerprint"])
    assert (selection.metric, selection.checkpoints) == ("mean_recall", 3)
    assert f"`{evaluated['data_fingerprint']}`" in (out / "best/README.md").read_text()


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_ends_with_130_and_says_how_to_go_on(folder, presses):
    command = [sys.executable, "-m", "sightline", "train", "--model", "mini", "--data", "captions.jsonl", "--steps"]
    command += ["100000", "--batch-size", "4", "--out", "a run", "--lr", "0.00001"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder) as process:
        while not process.stderr.readline().startswith("step 1 of"):
            pass
        for _ in range(presses):
            process.send_signal(signal.SIGINT)
            time.sleep(0.001)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert told.splitlines()[-1].startswith("sightline: stopped")
    assert "`sightline train --out 'a run'` goes on from " in told.splitlines()[-1]


def test_a_run_without_an_evaluation_has_no_best_and_says_so(folder, capsys):
    data = str(folder / "captions.jsonl")
    given = ["train", "--model", "mini", "--data", data, "--steps", "1", "--batch-size", "4", "--out"]
    assert main([*given, str(folder / "run")]) == 0
    assert capsys.readouterr().out.strip().endswith("run/last (best needs --evaluate)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--evaluate", "none.csv"], "none.csv"),
        (["--evaluate", "captions.jsonl", "--evaluate-split", "dev"], "dev"),
        (["--data", "none.csv"], "none.csv"),
        (["--steps", "0"], "steps is 0"),
        (["--batch-size", "1"], "batch_size is 1; it must be 2 or more"),
        (["--label-smoothing", "1"], "label_smoothing is 1.0"),
        (["--epochs", "1"], "either steps or epochs"),
        (["--batch-size", "99"], "only 12 samples: --batch-size 12 takes all"),
        (["--evaluate-split", "dev"], "--evaluate, which is not given"),
        (["--lr", "-1"], "lr is -1.0; it must be above 0"),
        (["--out", "captions.jsonl"], "name a folder"),
        (["--model", "nowhere/at-all"], "nowhere"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_step(folder, monkeypatch, capsys, options, message):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    given = {"--model": "mini", "--data": "captions.jsonl", "--steps": "2", "--batch-size": "4", "--out": "run"}
    given |= dict(zip(options[::2], options[1::2], strict=True))
    assert main(["train", *(word for pair in given.items() for word in pair)]) != 0
    assert message in capsys.readouterr().err
    assert not list(folder.glob("run/step-*"))


def test_without_data_or_place(capsys):
    assert main(["train", "--model", "mini"]) == 2
    assert "--data must be given" in capsys.readouterr().err
    assert main(["train", "--model", "mini", "--data", "x.csv"]) == 2
    assert "--out FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from sightline.train import Recipe\n\nrecipe = Recipe(stepz=5)", r"r.py, line 3: TypeError: .*stepz"),
        ("import nothing_of_this_name", "line 1: ModuleNotFoundError: .*nothing_of_this_name"),
        ("recipe = (", "SyntaxError"),
        ("recipe = 5", "`recipe` is of type int"),
        ("1 / 0", "line 1: ZeroDivisionError"),
    ],
)
def test_recipes_that_fail_say_where(tmp_path, capsys, text, message):
    (tmp_path / "r.py").write_text(text)
    assert main(["train", str(tmp_path / "r.py"), "--out", str(tmp_path / "run")]) == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize("others", [["b.tar"], ["b.tar", "c.tar"], ["b.csv"]])
def test_a_second_source_is_never_run_as_a_recipe(tmp_path, monkeypatch, capsys, others):
    """A shell makes `--data a.tar b.tar` of `--data *.tar`."""
    monkeypatch.chdir(tmp_path)
    for name in others:
        (tmp_path / name).write_text("open('executed', 'w')")
    assert main(["train", "--model", "mini", "--out", "run", "--data", "a.tar", *others]) == 2
    said = capsys.readouterr().err
    assert "--data once for each (--data A.tar --data B.tar), or a pattern in quotes (--data '*.tar')" in said
    assert others[-1] in said
    assert not (tmp_path / "executed").exists()


FIELDS = {field.name: field for field in dataclasses.fields(Recipe)}


def test_every_setting_but_a_function_is_an_option_of_its_name():
    options = inspect.signature(command).parameters
    assert options.keys() - FIELDS.keys() == {"recipe", "out", "evaluate_split"}
    settings = {name for name, field in FIELDS.items() if field.compare}
    assert settings - options.keys() == {"loss"}
    assert [name for name, option in options.items() if option.default is not None] == []


@pytest.mark.parametrize("name", ["precision", "logit_scale", "equal_captions"])
def test_an_option_offers_the_recipes_choices(name):
    assert get_args(get_args(get_type_hints(command)[name])[0]) == get_args(get_type_hints(Recipe)[name])


def test_towers_to_freeze_are_the_towers_of_adapters():
    assert [tower.value for tower in TowerName] == list(Lora().towers)


@pytest.mark.parametrize(
    "name", [name for name, field in FIELDS.items() if field.default not in (None, (), dataclasses.MISSING)]
)
def test_the_help_says_the_recipes_defaults(name):
    default = FIELDS[name].default
    (option,) = get_args(inspect.signature(command).parameters[name].annotation)[1:]
    said = re.search(r"Default: (.+)\.$", option.help)[1]
    if isinstance(default, bool):
        assert said == ("--" if default else "--no-") + name.replace("_", "-")
    elif isinstance(default, tuple):
        assert tuple(map(float, said.split())) == default
    else:
        assert type(default)(said) == default


# Each option of a setting with its words, and the setting's value.
TYPED = {
    "captions_per_image": ("2", 2),
    "grad_accum_steps": ("2", 2),
    "crop": ("0.5 1", (0.5, 1.0)),
    "color_jitter": ("0.2", 0.2),
    "weight_decay": ("0", 0.0),
    "betas": ("0.8 0.9", (0.8, 0.9)),
    "eps": ("1e-6", 1e-6),
    "layer_decay": ("0.8", 0.8),
    "max_grad_norm": ("2", 2.0),
    "logit_scale": ("fixed", "fixed"),
    "max_logit_scale": ("50", 50.0),
    "label_smoothing": ("0.1", 0.1),
    "equal_captions": ("ignored", "ignored"),
    "workers": ("3", 3),
    "flip": ("", True),
    "freeze_norms": ("", True),
    "grad_checkpointing": ("", True),
    "compile": ("", True),
    "fsdp": ("", True),
}
SWITCHES = [name for name, (words, _) in TYPED.items() if not words]


@pytest.fixture
def trained(monkeypatch):
    """The recipes that `sightline train` would train."""
    recipes = []

    def train(recipe, out):
        recipes.append(recipe)
        return Outcome(path=out, step=1, steps=1, stopped=False, is_main=True)

    monkeypatch.setattr("sightline.train.train", train)
    return recipes


def test_options_become_settings(trained):
    words = [word for name, (text, _) in TYPED.items() for word in ["--" + name.replace("_", "-"), *text.split()]]
    assert main(["train", "--model", "mini", "--data", "x.csv", "--out", "run", *words]) == 0
    (recipe,) = trained
    assert {name: getattr(recipe, name) for name in TYPED} == {name: value for name, (_, value) in TYPED.items()}


def test_options_that_are_left_out_keep_the_recipes_settings(trained, tmp_path):
    settings = {name: value for name, (_, value) in TYPED.items()}
    path = tmp_path / "r.py"
    path.write_text(
        f"from sightline.train import Recipe\nrecipe = Recipe(model='mini', data='x.csv', epochs=1, **{settings!r})"
    )
    assert main(["train", str(path)]) == 0
    assert main(["train", str(path), *("--no-" + name.replace("_", "-") for name in SWITCHES)]) == 0
    assert main(["train", str(path), "--max-grad-norm", "0"]) == 0
    kept, switched, unlimited = trained
    assert {name: getattr(kept, name) for name in TYPED} == settings
    assert switched == dataclasses.replace(kept, **dict.fromkeys(SWITCHES, False))
    assert unlimited == dataclasses.replace(kept, max_grad_norm=None)


@pytest.mark.parametrize(("option", "value"), [("--precision", "float16"), ("--freeze", "sound")])
def test_a_value_that_is_no_choice_is_refused_with_the_choices(capsys, option, value):
    assert main(["train", "--model", "mini", "--data", "x.csv", "--out", "run", option, value]) == 2
    error = capsys.readouterr().err
    assert value in error
    assert "image" in error or "bfloat16" in error


def test_captions_that_the_model_cannot_read_whole_are_said(folder, capsys):
    lines = [json.loads(line) for line in (folder / "captions.jsonl").read_text().splitlines()]
    for line, text in zip(lines, ["一只狗", "red " * 100] * 6, strict=True):
        line["captions"] = [text]
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    command = ["train", "--model", "mini", "--data", str(folder / "captions.jsonl"), "--steps", "3"]
    assert main([*command, "--batch-size", "12", "--out", str(folder / "run")]) == 0
    said = capsys.readouterr().err
    assert said.count("6 of 12 captions are mostly words that mini spells byte by byte, such as “一只狗”") == 1
    assert said.count("6 of 12 captions are longer than the model's 64 tokens and are cut there") == 1


def test_a_long_evaluation_says_how_far_it_is(folder, capsys, monkeypatch):
    monkeypatch.setattr("sightline.cli.output.LINES_EVERY", 0.0)
    figures = Recall([str(folder / "captions.jsonl")], "test")(PACKAGED["clip"])
    assert set(figures) > {"mean_recall", "text_to_image_R@1"}
    assert "evaluating: encoding: 2 of 4, " in capsys.readouterr().err
