"""Whole runs: they learn, stop, are killed, and go on bit for bit."""

import csv
import errno
import json
import os
import resource
import shutil
import signal
import sys
import time
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from random import Random

import pytest
import torch

import sightline
from sightline import CLIPModel
from sightline.checkpoint.selection import Selection, read_selection
from sightline.errors import CheckpointError, DataError, SightlineError, UsageError
from sightline.train import Recipe, open_recipe, train
from sightline.train.log import Rows
from sightline.train.loss import ContrastiveLoss
from sightline.train.optimizer import learning_rate
from support.runs import Numbers, model, recipe, trained
from support.weights import same_weights

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run") / "run")


def test_a_run_learns_and_leaves_checkpoints_that_open(tmp_path):
    rose = []
    outcome = train(recipe(evaluate=lambda folder: rose.append(folder.name) or {"good": -len(rose)}), tmp_path / "run")
    assert (outcome.step, outcome.stopped) == (40, False)
    # By steps, at the end too; the best is the first, the others but the last are gone.
    assert rose == [f"step-{step:08}" for step in (7, 14, 21, 28, 35, 40)]
    assert sorted(path.name for path in (tmp_path / "run").glob("step-*")) == ["step-00000007", "step-00000040"]
    assert (tmp_path / "run/best").resolve().name == "step-00000007"
    assert (tmp_path / "run/last").resolve() == outcome.path.resolve()
    before, after = (CLIPModel.from_pretrained(tmp_path / "run" / name).eval() for name in ("best", "last"))
    batch = Numbers(recipe(batch_size=64), None, sightline.train.LocalRows()).at(1000)
    losses = [m.loss(m.match(m.encode(batch.pixel_values, batch.input_ids))).item() for m in (before, after)]
    assert losses[1] < losses[0]


def work(folder):
    torch.set_num_threads(1)
    train(recipe(checkpoint_every=2), folder)


def test_killed_at_ten_random_moments_the_weights_are_the_same(tmp_path, undisturbed):
    context = get_context("forkserver")
    context.set_forkserver_preload(["torch", "support.runs", "train.test_trainer"])
    moments, killed = Random(5), 0
    while True:
        process = context.Process(target=work, args=(tmp_path / "run",))
        process.start()
        process.join(moments.uniform(0.05, 0.5) if killed < 10 else None)
        if process.exitcode is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        killed += 1
    assert process.exitcode == 0
    assert killed == 10
    log = (tmp_path / "run/log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in log] == ["step", *map(str, range(1, 41))]
    assert log[0] == "step,loss,logit_scale,lr,skipped"
    assert same_weights(CLIPModel.from_pretrained(tmp_path / "run/last").state_dict(), undisturbed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_stops_and_the_run_goes_on(tmp_path, undisturbed, number):
    class Stops(Numbers):
        def at(self, step):
            if step == 17:
                os.kill(os.getpid(), number)
            return super().at(step)

    Stops.__qualname__ = "Numbers"
    outcome = train(recipe(data=Stops), tmp_path / "run")
    assert outcome.stopped
    assert 17 <= outcome.step < 40
    assert same_weights(trained(tmp_path / "run"), undisturbed)


def test_an_evaluation_that_a_kill_prevented_is_made_up_for(tmp_path):
    class Killed(Exception):
        pass

    def dies(folder):
        raise Killed

    with pytest.raises(Killed):
        train(recipe(evaluate=dies), tmp_path / "run")
    seen = []

    def counts(folder):
        seen.append(folder.name)
        return {"good": 1.0}

    counts.__qualname__ = dies.__qualname__
    train(recipe(evaluate=counts), tmp_path / "run")
    assert seen[0] == "step-00000007"
    assert len(json.loads((tmp_path / "run/results.json").read_text())) == 6


def test_another_recipe_in_the_same_folder_is_refused_by_all_that_differs(tmp_path):
    train(recipe(steps=2), tmp_path / "run")
    with pytest.raises(UsageError) as error:
        train(recipe(steps=2, lr=0.1, seed=3, flip=True), tmp_path / "run")
    for part in (
        "(flip: False, now True; lr: 0.003, now 0.1; seed: 0, now 3)",
        "sightline train --out",
        "another folder",
    ):
        assert part in str(error.value)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="holds no run"):
        train(recipe(), tmp_path / "other")
    with pytest.raises(UsageError, match=r"letter\.txt is a file .*: name a folder"):
        train(recipe(), tmp_path / "other/letter.txt")


def test_a_run_without_a_checkpoint_may_begin_anew_with_others(tmp_path):
    def fails(similarities, batch):
        raise SightlineError("no")

    with pytest.raises(SightlineError):
        train(recipe(lr=9.0, loss=fails), tmp_path / "run")
    assert train(recipe(steps=2), tmp_path / "run").step == 2


def test_a_finished_run_is_made_longer(tmp_path, capsys):
    train(recipe(steps=14), tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "again", symlinks=True)
    assert train(recipe(), tmp_path / "run").step == 40
    assert "a run of 40 steps now, not 14: after step 14 the learning rate is that of" in capsys.readouterr().err
    with (tmp_path / "run/log.csv").open() as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file)]
    lengths = [14] * 14 + [40] * 26
    assert rates == [learning_rate(step, steps, recipe()) for step, steps in enumerate(lengths)]

    # Made longer by a recipe in epochs or steps, stopped and gone on with: the same weights.
    class Stops(Numbers):
        def at(self, step):
            if step == 17:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().at(step)

    Stops.__qualname__ = "Numbers"
    assert train(recipe(data=Stops), tmp_path / "again").stopped
    assert train(recipe(), tmp_path / "again").step == 40
    weights = (CLIPModel.from_pretrained(tmp_path / name / "last").state_dict() for name in ("run", "again"))
    assert same_weights(*weights)
    assert "| changed on the way | after step 14: total_steps 40 |" in (tmp_path / "again/last/README.md").read_text()
    with pytest.raises(UsageError, match="has done 40 steps, more than 20"):
        train(recipe(steps=20), tmp_path / "run")


def test_what_decides_memory_and_time_may_change_and_that_is_kept(tmp_path, capsys):
    train(recipe(steps=14), tmp_path / "run")
    train(recipe(steps=14, micro_batch_size=4, workers=3), tmp_path / "run")
    assert "after step 14 with micro_batch_size 4; the weights' last digits may" in capsys.readouterr().err
    (change,) = json.loads((tmp_path / "run/run.json").read_text())["changes"]
    assert change == {"after_step": 14, "micro_batch_size": 4}
    train(recipe(steps=14, micro_batch_size=4), tmp_path / "run")
    assert len(json.loads((tmp_path / "run/run.json").read_text())["changes"]) == 1


@pytest.mark.parametrize("at", [7, 40])
def test_a_signal_ends_an_evaluation_which_is_made_up_for(tmp_path, undisturbed, at):
    seen = []

    def evaluate(folder):
        seen.append(folder.name)
        if folder.name == f"step-{at:08}" and seen.count(folder.name) == 1:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)
        return {"good": 1.0}

    outcome = train(recipe(evaluate=evaluate), tmp_path / "run")
    assert (outcome.step, outcome.stopped) == (at, True)
    outcome = train(recipe(evaluate=evaluate), tmp_path / "run")
    assert (outcome.step, outcome.stopped) == (40, False)
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert list(results) == [f"{step:08}" for step in (7, 14, 21, 28, 35, 40)]
    assert same_weights(CLIPModel.from_pretrained(tmp_path / "run/last").state_dict(), undisturbed)


def test_the_best_keeps_by_which_data_it_was_chosen(tmp_path):
    class Evaluates:
        data, data_fingerprint = "val.csv", "abc"

        def __call__(self, folder):
            return {"good": -int(folder.name[-2:]), "other": 1.0}

    train(recipe(evaluate=Evaluates()), tmp_path / "run")
    chosen = Selection(data="val.csv", data_fingerprint="abc", metric="good", checkpoints=6)
    assert read_selection(tmp_path / "run/best") == chosen
    assert read_selection(tmp_path / "run/last") is None
    assert "| chosen by | `good` on `val.csv`, fingerprint `abc`" in (tmp_path / "run/best/README.md").read_text()
    assert "chosen by" not in (tmp_path / "run/last/README.md").read_text()
    Evaluates.data_fingerprint = "def"
    with pytest.raises(UsageError, match="fingerprint of the data of the evaluation: abc, now def"):
        train(recipe(evaluate=Evaluates()), tmp_path / "run")


def test_a_damaged_file_of_a_run_is_named(tmp_path):
    train(recipe(steps=2), tmp_path / "run")
    (tmp_path / "run/run.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"run\.json is damaged .*train into another folder"):
        train(recipe(steps=2), tmp_path / "run")


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    def evaluate(folder):
        with pytest.raises(UsageError, match="another process trains there"):
            train(recipe(evaluate=evaluate), tmp_path / "run")
        return {"good": 1.0}

    train(recipe(evaluate=evaluate, steps=14), tmp_path / "run")
    assert (tmp_path / "run/last").resolve().name == "step-00000014"


def test_a_damaged_checkpoint_is_named(tmp_path):
    train(recipe(steps=2), tmp_path / "run")
    state = tmp_path / "run/step-00000002/training/state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"delete .*step-00000002 to go on from the one before"):
        train(recipe(steps=2), tmp_path / "run")


def test_what_a_kill_left_half_written_goes(tmp_path, undisturbed):
    train(recipe(), tmp_path / "run")
    (tmp_path / "run/.writing-00000099").mkdir()
    (tmp_path / "run/.writing-00000099/model.safetensors").write_bytes(b"half")
    assert same_weights(trained(tmp_path / "run"), undisturbed)
    assert not (tmp_path / "run/.writing-00000099").exists()


class Killed(BaseException):
    """As good as a kill for what does not catch it."""


def test_killed_before_any_name_is_given_the_run_goes_on(tmp_path, monkeypatch):
    one = recipe(steps=1, checkpoint_every=1, evaluate=lambda folder: {"good": 1.0})
    train(one, tmp_path / "whole")
    weights = CLIPModel.from_pretrained(tmp_path / "whole/last").state_dict()

    def watched(what, run):
        def give(path, name):
            nonlocal left
            left -= run in (path.parent, Path(name).parent)
            if left < 0:
                raise Killed
            return what(path, name)

        return give

    for at in range(100):
        run, left = tmp_path / str(at), at
        run.mkdir()
        (run / ".run.json.x").touch()  # which a kill leaves, and an exception does not
        with monkeypatch.context() as patch, suppress(Killed):
            for name in ("rename", "replace", "symlink_to"):
                patch.setattr(Path, name, watched(getattr(Path, name), run))
            train(one, run)
            break
        train(one, run)
        assert [(run / name).resolve(strict=True).name for name in ("last", "best")] == ["step-00000001"] * 2
        assert not list(run.glob(".writing-*"))
        assert same_weights(CLIPModel.from_pretrained(run / "last").state_dict(), weights)
    assert 7 < at < 99


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    train(recipe(steps=14), tmp_path / "whole")
    size = (tmp_path / "whole/last/training/state.safetensors").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Fills(Numbers):
        def at(self, step):
            if step == 10:
                resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, before[1]))
            return super().at(step)

    Fills.__qualname__ = "Numbers"
    try:
        with pytest.raises(CheckpointError, match=r"step-00000014: cannot be written .*make room"):
            train(recipe(steps=14, data=Fills), tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(path.name for path in (tmp_path / "run").glob("*0*")) == ["step-00000007"]
    train(recipe(steps=14), tmp_path / "run")
    weights = (CLIPModel.from_pretrained(tmp_path / name / "last").state_dict() for name in ("whole", "run"))
    assert same_weights(*weights)


def test_a_full_disk_while_the_log_is_written_says_how_to_go_on(tmp_path, undisturbed, monkeypatch):
    add = Rows.add

    def fails(rows, step, figures):
        if step == 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        add(rows, step, figures)

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "add", fails)
        with pytest.raises(SightlineError, match=r"run: cannot be written \(No space left .*goes on from the last"):
            train(recipe(), tmp_path / "run")
    assert same_weights(trained(tmp_path / "run"), undisturbed)


def test_a_warmup_longer_than_the_run_is_said(tmp_path, capsys):
    train(recipe(steps=2), tmp_path / "run")
    assert "the warmup of 5 steps is not shorter than the run of 2: the learning rate stays" in capsys.readouterr().err


def test_data_that_end_early(tmp_path):
    class Ends(Numbers):
        def stream(self, start, stop):
            return super().stream(start, 9)

    with pytest.raises(DataError, match="the data ended after step 9 of 40"):
        train(recipe(data=Ends), tmp_path / "run")


def test_a_gradient_that_is_no_number_does_not_reach_the_weights(tmp_path):
    def infinite(similarities, batch):
        return (similarities.logits_per_image * 0).abs().sum().sqrt() + 1  # whose derivative at 0 is infinite

    with pytest.raises(SightlineError, match="step 1: the gradient's norm is nan"):
        train(recipe(loss=infinite, checkpoint_every=1), tmp_path / "run")
    assert not list((tmp_path / "run").glob("step-*"))


def test_an_objective_with_other_numbers_is_another_setting(tmp_path):
    train(recipe(steps=2, loss=ContrastiveLoss(0.1)), tmp_path / "run")
    with pytest.raises(
        UsageError, match=r"loss: ContrastiveLoss\(equal_captions='negatives', label_smoothing=0.1\), now"
    ):
        train(recipe(steps=2, loss=ContrastiveLoss(0.2)), tmp_path / "run")


def test_a_loss_that_is_no_number_says_what_to_change(tmp_path):
    class Bad(Numbers):
        def at(self, step):
            batch = super().at(step)
            if step == 9:
                batch.pixel_values[0] = torch.nan
            return batch

    with pytest.raises(SightlineError, match=r"step 10: the loss is nan. .* lower --lr"):
        train(recipe(data=Bad), tmp_path / "run")
    assert CLIPModel.from_pretrained(tmp_path / "run/last").state_dict()["logit_scale"].isfinite()


def test_no_memory_says_what_to_change(tmp_path):
    calls = []

    def large(similarities, batch):
        calls.append(batch)
        if len(calls) == 10:
            return torch.empty(1 << 50)
        return ContrastiveLoss()(similarities, batch)

    with pytest.raises(SightlineError, match=r"step 10: not enough memory for 16 images .*--micro-batch-size 8"):
        train(recipe(loss=large), tmp_path / "run")
    # What it says can be done, and the run goes on.
    outcome = train(recipe(loss=large, micro_batch_size=8, grad_checkpointing=True), tmp_path / "run")
    assert (outcome.step, outcome.stopped) == (40, False)


def test_fixed_and_held_scales(tmp_path):
    fixed = trained(tmp_path / "fixed", logit_scale="fixed", steps=5)
    assert fixed["logit_scale"] == model()[0].logit_scale
    assert same_weights(trained(tmp_path / "fixed-below", logit_scale="fixed", max_logit_scale=2.0, steps=5), fixed)
    held = trained(tmp_path / "held", max_logit_scale=14.0, lr=0.1, steps=5)
    assert held["logit_scale"].exp() <= 14.0 * (1 + 1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 1}, "batch_size is 1; it must be 2 or more"),
        ({"steps": None}, "either steps or epochs"),
        ({"epochs": 2}, "either steps or epochs"),
        ({"lr": 0}, "lr is 0"),
        ({"logit_scale": "wild"}, "logit_scale is 'wild'"),
        ({"freeze": ("sound",)}, r"freeze is \('sound',\); it must be towers"),
        ({"precision": "int4"}, "precision is 'int4'"),
        ({"crop": (0.9, 0.2)}, "crop is"),
        ({"lr": -1.0}, "lr is -1.0; it must be above 0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"equal_captions": "both"}, 'equal_captions is \'both\'; it must be "negatives" or "ignored"'),
        ({"equal_captions": "ignored", "loss": ContrastiveLoss()}, "belongs to the contrastive loss"),
    ],
)
def test_recipes_that_make_no_sense(changes, message):
    with pytest.raises(UsageError, match=message):
        recipe(**changes)


def test_functions_have_no_epochs(tmp_path):
    with pytest.raises(UsageError, match="has no epochs"):
        train(recipe(steps=None, epochs=1.0), tmp_path / "run")


def test_recipe_files_import_what_lies_beside_them(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "a_recipes_part", raising=False)
    (tmp_path / "a_recipes_part.py").write_text("RATE = 0.5\n")
    file = tmp_path / "small.py"
    file.write_text(
        "from a_recipes_part import RATE\nfrom sightline.train import Recipe\n"
        "recipe = Recipe(model='mini', data='x.csv', epochs=2, lr=RATE)\n"
    )
    before = list(sys.path)
    assert open_recipe(file).lr == 0.5
    assert sys.path == before


def test_recipe_files(tmp_path):
    file = tmp_path / "small.py"
    file.write_text(
        "from sightline.train import Recipe\nrecipe = Recipe(model='mini', data='x.csv', epochs=2, seed=4)\n"
    )
    made = open_recipe(file, steps=7, epochs=None)
    assert isinstance(made, Recipe)
    assert (made.steps, made.seed) == (7, 4)
    file.write_text("x = 1\n")
    with pytest.raises(UsageError, match=r"it has no `recipe`; it must say `recipe = Recipe"):
        open_recipe(file)
    with pytest.raises(UsageError, match="no such file or folder"):
        open_recipe(tmp_path / "none.py")
