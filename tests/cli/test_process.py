"""What only a process can show: start, signals, closed streams, the demo without a network."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sightline.cli import demo
from sightline.scenes import distinct

pytestmark = pytest.mark.system

PROGRAM = Path(sys.executable).parent / "sightline"

posix = pytest.mark.skipif(os.name != "posix", reason="signals and redirections of POSIX")

# `sightline` with the encoder of these tests, slowed down.
SLOWLY = """
import sys, time
from support.encoders import ColorEncoder, fake_encoder
from sightline.cli.main import main
sys.modules["sightline.encoder"] = fake_encoder()
encode = ColorEncoder._encode
ColorEncoder._encode = lambda self, image: time.sleep(0.3) or encode(self, image)
print("ready", flush=True)
sys.exit(main())
"""


def test_the_command_line_starts_without_the_heavy_libraries():
    """Nor does the help of a command import what computes."""
    code = (
        "import json, sys\n"
        "from sightline.cli.main import main\n"
        "from sightline.cli.program import COMMANDS\n"
        "for command in COMMANDS: assert main([command, '--help']) == 0\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    ran = subprocess.run([sys.executable, "-c", code], text=True, timeout=300, capture_output=True)
    loaded = set(json.loads(ran.stdout.splitlines()[-1]))
    assert not loaded & {"torch", "lance", "pyarrow", "faiss", "numpy", "PIL", "rich", "huggingface_hub", "tokenizers"}
    assert "typer" in loaded


def test_a_closed_pipe_is_quiet():
    command = f"{PROGRAM} search --help | true; echo ${{PIPESTATUS[0]}}"
    # Unbuffered, so that the writing itself meets the closed pipe.
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    ran = subprocess.run(["bash", "-c", command], text=True, capture_output=True, timeout=300, env=env)
    assert (ran.stdout, ran.stderr) == ("0\n", "")


@posix
@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
def test_a_stream_that_is_closed_from_the_start_is_no_error(closed):
    ran = subprocess.run(["bash", "-c", f"{PROGRAM} --help {closed}"], text=True, capture_output=True, timeout=300)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_ending_at_once_loses_no_output():
    code = "from sightline.cli import main as m; m.main = lambda: print('said' * 9999) or 3; m.run()"
    ran = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=300)
    assert (ran.returncode, ran.stdout, ran.stderr) == (3, "said" * 9999 + "\n", "")


@posix
def test_ctrl_c_ends_at_once_and_the_next_run_goes_on(run, pictures, tmp_path):
    command = [sys.executable, "-c", SLOWLY, "index", pictures, "--model", "colors"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    with subprocess.Popen(command, text=True, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        until = time.monotonic() + 30
        while not (tmp_path / "index" / "items.lance" / "_versions").exists() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "sightline: stopped; what was done is kept, and the same command goes on from there\n"
    assert run("index", pictures).status == 0
    assert "images       7\n" in run("info").out


# `sightline`, interrupted while a module of that name is imported by code that swallows every exception.
INTERRUPTED = """
import importlib.abc, os, signal, sys
interrupted = sys.argv.pop(1)
class Interrupter(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == interrupted:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except BaseException:
                pass
sys.meta_path.insert(0, Interrupter())
from sightline.cli.main import run
run()
"""


@posix
@pytest.mark.parametrize("module", ["typer", "sightline.cli.search", "numpy", "lance"])
def test_ctrl_c_during_an_import_ends_at_once(module, tmp_path):
    (tmp_path / "items.lance").mkdir()
    command = [sys.executable, "-c", INTERRUPTED, module, "search", "red", "--index", tmp_path]
    ran = subprocess.run(command, text=True, capture_output=True, timeout=300)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "sightline: stopped\n")


@posix
def test_a_training_run_that_was_stopped_is_saved(tmp_path):
    lines = []
    for number, scene in enumerate(distinct(8, 2)):
        scene.draw(64).save(tmp_path / f"{number}.png")
        lines.append(json.dumps({"file": f"{number}.png", "caption": scene.caption}))
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    command = [
        PROGRAM,
        *[
            "train",
            "--model",
            "mini",
            "--data",
            "captions.jsonl",
            "--batch-size",
            "4",
            "--steps",
            "100000",
            "--out",
            "run",
        ],
    ]
    with subprocess.Popen(command, text=True, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("step 1 of 100,000")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    end = r"sightline: stopped after step \d+ of 100000; `sightline train --out run` goes on from there"
    assert re.fullmatch(end, err.splitlines()[-1])
    assert (tmp_path / "run" / "last" / "model.safetensors").exists()


def test_the_demo_and_a_search_after_it_need_no_network(tmp_path):
    """The packaged model, in processes of its own, on a small gallery: a caption finds its scene."""
    code = "from pathlib import Path; from sightline.cli.demo import tour; tour(Path('demo'), 24)"
    options = {"cwd": tmp_path, "env": {**os.environ, "HF_HUB_OFFLINE": "1"}, "text": True, "timeout": 300}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, **options)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "25 added" in ran.stdout
    assert ran.stdout.count("$ sightline search") == 5
    assert "video.mp4 0:04-0:06" in ran.stdout.split("$ sightline search")[-1].splitlines()[1]
    assert (tmp_path / "demo" / "segmented.png").exists()
    assert (tmp_path / "demo" / "found.html").read_text(encoding="utf-8").count("<li") == 5 * 5 + 1

    *scenes, _ = distinct(25, demo.SEED)
    command = [PROGRAM, "search", scenes[6].caption, "-k", "3", "--json", "--index", "demo/index"]
    ran = subprocess.run(command, capture_output=True, **options)
    assert (ran.returncode, ran.stderr) == (0, "")
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(found) == 3
    assert found[0]["uri"] == str(tmp_path / "demo" / "images" / "scene-007.png")
