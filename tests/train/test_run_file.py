"""A run that goes on from its folder alone: its recipe comes back, wherever things lie by now."""

import dataclasses
import json
from pathlib import Path

import pytest

from sightline.cli.recall import Recall
from sightline.errors import CheckpointError, UsageError
from sightline.train import Lora, Recipe, open_recipe, open_run
from sightline.train.run_file import RunFile

SETTINGS = {
    "epochs": 1.5,
    "crop": (0.5, 1.0),
    "betas": (0.8, 0.9),
    "freeze": ("image",),
    "lora": Lora(rank=2, towers=("text",), also=("text_projection",)),
    "max_grad_norm": None,
    "equal_captions": "ignored",
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with data in it."""
    (tmp_path / "work/run").mkdir(parents=True)
    for name in ("a.csv", "val.csv", "b-0.tar", "b-1.tar"):
        (tmp_path / "work" / name).touch()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def begun(recipe):
    RunFile.of(recipe, 9, "data", "val").save(Path("run"))


def test_every_setting_comes_back_from_another_folder(place, monkeypatch):
    data = ["a.csv", "b-{0..1}.tar", "~/none/../x"]
    recipe = Recipe(model="mini", data=data[:2], evaluate=Recall(["val.csv"], "dev"), image_root=".", **SETTINGS)
    begun(recipe)
    (place / "elsewhere").mkdir()
    monkeypatch.chdir(place / "elsewhere")
    again = open_run(Path("../work/run"), known=[Recall])
    work = str(place / "work")
    assert again == dataclasses.replace(
        recipe,
        data=[f"{work}/a.csv", f"{work}/b-{{0..1}}.tar"],
        image_root=work,
        evaluate=Recall([f"{work}/val.csv"], "dev"),
    )
    assert open_run(Path("../work/run"), known=[Recall], steps=5, epochs=None).steps == 5


def test_sources_between_colons_come_back_from_another_folder(place, monkeypatch):
    begun(Recipe(model="mini", data="b-0.tar::b-1.tar", steps=1))
    monkeypatch.chdir(place)
    assert open_run(Path("work/run")).data == f"{place}/work/b-0.tar::{place}/work/b-1.tar"


def test_a_run_of_before_there_was_a_setting_goes_on(place):
    begun(Recipe(model="mini", data="a.csv", evaluate=Recall(["val.csv"]), steps=1))
    saved = json.loads(Path("run/run.json").read_text())
    del saved["settings"]["device"], saved["settings"]["evaluate"]["device"]
    Path("run/run.json").write_text(json.dumps(saved))
    again = open_run(Path("run"), known=[Recall], device="cpu")
    run = RunFile.open(Path("run"))
    assert run.continued(RunFile.of(again, 9, "data", "val"), 3, Path("run")).changes == ()


def test_changed_files_are_not_called_other_settings(place):
    recipe = Recipe(model="mini", data="a.csv", steps=1)
    begun(recipe)
    with pytest.raises(UsageError, match=r"files that this run learns from have changed .*Put them back"):
        RunFile.open(Path("run")).continued(RunFile.of(recipe, 9, "other", "val"), 3, Path("run"))


def test_all_that_has_moved_is_named_with_its_option(place):
    recipe = Recipe(model="mini", data="a.csv", evaluate=Recall(["val.csv"]), image_root=".", steps=1)
    begun(recipe)
    saved = json.loads(Path("run/run.json").read_text())
    saved["settings"]["model"] = str(place / "m1")
    Path("run/run.json").write_text(json.dumps(saved))
    (place / "work").rename(place / "moved")
    run = place / "moved/run"
    with pytest.raises(UsageError) as error:
        open_run(run, known=[Recall])
    for part in (f"model {place}/m1 (--model)", f"data {place}/work/a.csv (--data)", "(--image-root)", "(--evaluate)"):
        assert part in str(error.value)
    moved = {"data": f"{place}/moved/a.csv", "image_root": str(place / "moved"), "model": "mini"}
    again = open_run(run, known=[Recall], evaluate=Recall([f"{place}/moved/val.csv"]), **moved)
    # Data and models are known by their fingerprints, wherever they lie.
    RunFile.open(run).continued(RunFile.of(again, 9, "data", "val"), 3, run)
    with pytest.raises(UsageError, match=r"data: .*a\.csv, now .*; fingerprint of the data: data, now other"):
        RunFile.open(run).continued(RunFile.of(again, 9, "other", "val"), 3, run)


def test_another_model_in_the_same_place_is_refused(place):
    begun(Recipe(model="mini", data="a.csv", steps=1))
    other = RunFile.of(Recipe(model="mini-xclip", data="a.csv", steps=1), 9, "data", None)
    with pytest.raises(UsageError, match=r"model: mini, now mini-xclip; .*fingerprint of the model"):
        RunFile.open(Path("run")).continued(other, 3, Path("run"))


RECIPE = """
from sightline.train import Recipe

def batches(recipe, processor, rows):
    pass

recipe = Recipe(model="mini", data=batches, steps=5, lr=1e-3)
"""


def test_functions_come_from_the_recipes_file(place):
    Path("r.py").write_text(RECIPE)
    begun(open_recipe(Path("r.py"), lr=0.5))
    again = open_run(Path("run"))
    assert (again.lr, again.steps, again.data.__name__) == (0.5, 5, "batches")
    Path("r.py").rename("s.py")
    with pytest.raises(UsageError, match=r"recipe .*r\.py \(sightline train RECIPE\.py --out run\)"):
        open_run(Path("run"))


def test_functions_of_a_program_are_not_guessed(place):
    begun(Recipe(model="mini", data=lambda *_: None, steps=1, loss=len))
    with pytest.raises(UsageError, match="data and loss of this run are functions of the program that began it"):
        open_run(Path("run"))


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"lr": 1}'])
def test_a_damaged_file_is_named(place, text):
    Path("run/run.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"run\.json is damaged or of an earlier version"):
        open_run(Path("run"))
