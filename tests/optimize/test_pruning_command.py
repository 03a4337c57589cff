"""`sightline optimize --prune` as a person calls it: a folder that opens everywhere, whole or not at all."""

import json
import signal
import subprocess
import sys

import pytest
import transformers

import sightline
from sightline import CLIPModel
from sightline.cli.main import main
from sightline.train import train

pytestmark = pytest.mark.system


def optimize(shard, out, *more, amount="0.3"):
    return main(["optimize", "mini", "--prune", amount, "--out", str(out), *map(str, more)])


def recover(shard, out, *more):
    given = ("--recover", shard, "--steps", 4, "--batch-size", 4, "--checkpoint-every", 2)
    return optimize(shard, out, *given, *more)


def test_a_pruned_checkpoint_opens_everywhere(shard, tmp_path, capsys):
    out = tmp_path / "small"
    assert optimize(shard, out, "--calibrate", shard) == 0
    told = capsys.readouterr()
    assert f"the pruned model: {out}" in told.out
    assert "multiplications of one" in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["small"]
    small, theirs = CLIPModel.from_pretrained(out), transformers.CLIPModel.from_pretrained(out)
    assert small.num_parameters() == theirs.num_parameters() < CLIPModel.from_pretrained("mini").num_parameters()
    assert transformers.AutoProcessor.from_pretrained(out).tokenizer("a cat").input_ids
    assert sightline.load(out).encode_text(["a red square"]).shape == (1, 128)
    note = json.loads((out / "pruning.json").read_text())
    assert note["amount"] == 0.3
    assert note["removed"].keys() == {"image", "text"}


def test_a_recovered_checkpoint_is_a_trained_one(shard, tmp_path, capsys):
    assert recover(shard, tmp_path / "small") == 0
    told = capsys.readouterr()
    assert "step 4 of 4" in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["small"]
    found = {path.name for path in (tmp_path / "small").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md", "pruning.json"} <= found
    assert "training" not in found
    assert "Distillation" in (tmp_path / "small" / "README.md").read_text()


def test_the_same_command_goes_on_after_a_stop(shard, tmp_path, capsys, monkeypatch):
    out = tmp_path / "small"

    def stopped(recipe, folder):
        train(recipe, folder)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sightline.train.train", stopped)
        assert recover(shard, out) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert not out.exists()
    assert optimize(shard, out, "--recover", shard, "--steps", 4, amount="0.2") == 2
    assert "holds what another command has begun (other: amount)" in capsys.readouterr().err
    assert recover(shard, out) == 0
    assert "multiplications of one" not in capsys.readouterr().err  # not pruned again
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_ctrl_c_saves_and_the_same_command_goes_on(shard, tmp_path):
    command = [sys.executable, "-m", "sightline", "optimize", "mini", "--prune", "0.3", "--out", "a model", "--recover"]
    command += [str(shard), "--steps", "100000", "--batch-size", "4", "--lr", "0.00001"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        while not process.stderr.readline().startswith("step 1 of"):
            pass
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=300)[1]
    assert process.returncode == 130
    assert "the same command goes on from there" in told
    assert (tmp_path / "a model.unfinished/run/last/config.json").is_file()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "say how the model is to become smaller: --prune 0.3"),
        (["--prune", "0.3"], "give --calibrate SOURCE, captioned images, or --recover SOURCE"),
        (["--prune", "30", "--calibrate", "SHARD"], "--prune 30: give the share"),
        (["--prune", "0.3", "--recover", "SHARD"], "say how long --recover is to train: --steps N"),
        (["--prune", "0.3", "--calibrate", "SHARD", "--steps", "3"], "--steps says how long --recover trains"),
        (["--prune", "0.3", "--calibrate", "none.csv"], "none.csv: no such file"),
        (
            ["--prune", "0.999", "--calibrate", "SHARD"],
            "0.999 of the multiplications cannot be removed from the image tower",
        ),
    ],
)
def test_wrong_use_is_one_line_and_leaves_nothing(shard, tmp_path, capsys, options, says):
    given = [str(shard) if option == "SHARD" else option for option in options]
    assert main(["optimize", "mini", "--out", str(tmp_path / "small"), *given]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.startswith("sightline: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_pruned_or_recovered_is_said_at_once(shard, tmp_path, capsys):
    for name, says in (
        ("mini-xclip", "its texts depend on the video"),
        ("mini-align", "has no blocks or hidden units"),
    ):
        given = ["--prune", "0.3", "--recover", str(shard), "--steps", "4", "--out", str(tmp_path / "small")]
        assert main(["optimize", name, *given]) == 2
        assert says in capsys.readouterr().err
    given = ["--prune", "0.3", "--recover", str(shard), "--steps", "0", "--out", str(tmp_path / "small")]
    assert main(["optimize", "mini", *given]) == 2
    assert "steps is 0" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_stays(shard, tmp_path, capsys):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "mine.txt").write_text("mine")
    assert optimize(shard, tmp_path / "small", "--calibrate", shard) == 2
    assert "is there already: --out names a new folder" in capsys.readouterr().err
    assert optimize(shard, tmp_path / "none" / "small", "--calibrate", shard) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert (tmp_path / "small" / "mine.txt").read_text() == "mine"
