"""`sightline train` as a person calls it: a run from options, evaluated; what is wrong is said before it starts."""

import dataclasses
import inspect
import json
import re
from typing import get_args, get_type_hints

import pytest

from sightline import scenes
from sightline.cli.main import main
from sightline.cli.train import TowerName, command
from sightline.train import Lora, Recipe

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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--evaluate", "none.csv"], "none.csv"),
        (["--evaluate", "captions.jsonl", "--evaluate-split", "dev"], "dev"),
        (["--data", "none.csv"], "none.csv"),
        (["--steps", "0"], "steps is 0"),
        (["--batch-size", "1"], "batch_size is 1; it must be 2 or more"),
        (["--batch-size", "99"], "12 samples"),
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


def test_options_are_the_recipes_fields_and_offer_its_choices():
    options = inspect.signature(command).parameters
    of_the_command_alone = {"recipe", "out", "evaluate_split"}
    fields = {field.name for field in dataclasses.fields(Recipe)}
    assert options.keys() - fields == of_the_command_alone
    hints = get_type_hints(command)
    assert get_args(get_args(hints["precision"])[0]) == get_args(get_type_hints(Recipe)["precision"])
    assert [tower.value for tower in TowerName] == list(Lora().towers)


@pytest.mark.parametrize("name", ["batch_size", "lr", "checkpoint_every", "precision", "seed"])
def test_the_help_says_the_recipes_defaults(name):
    (option,) = get_args(inspect.signature(command).parameters[name].annotation)[1:]
    default = next(field.default for field in dataclasses.fields(Recipe) if field.name == name)
    assert re.search(r"Default: (.+)\.$", option.help)[1] in (str(default), "0.0001" if default == 1e-4 else "")


@pytest.mark.parametrize(("option", "value"), [("--precision", "float16"), ("--freeze", "sound")])
def test_a_value_that_is_no_choice_is_refused_with_the_choices(capsys, option, value):
    assert main(["train", "--model", "mini", "--data", "x.csv", "--out", "run", option, value]) == 2
    error = capsys.readouterr().err
    assert value in error
    assert "image" in error or "bfloat16" in error
