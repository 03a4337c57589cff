"""`sightline index --watch` as a process: what it prints, and how it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.images import draw

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.name != "posix", reason="signals of POSIX"),
]

# `sightline` with the encoder of these tests; what is done after quiet is done soon.
PROGRAM = """
import sys
from support.encoders import fake_encoder
from sightline.cli.main import run
sys.modules["sightline.encoder"] = fake_encoder()
from sightline.index import changes, watch
changes.STEP = 0.1
watch.QUIET = 0.2
run()
"""


@pytest.fixture
def watching(pictures, tmp_path):
    """The process, off a terminal, once it watches."""
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        "index",
        pictures,
        "--model",
        "colors",
        "--watch",
        "--exclude",
        "no/such",
        "--index",
    ]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*command, tmp_path / "index"], text=True, env=env, **pipes) as process:
        assert process.stdout.readline().startswith("7 added")
        assert process.stdout.readline() == "nothing there fulfils --exclude no/such; it is kept\n"
        assert process.stdout.readline() == f"watching {pictures}; Ctrl-C ends it\n"
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (signal.SIGINT, 130, "sightline: stopped; what was done is kept, and the same command goes on from there\n"),
        (signal.SIGTERM, -signal.SIGTERM, ""),
    ],
)
def test_a_line_for_each_look_that_did_something_until_it_is_stopped(watching, pictures, number, status, said):
    draw(pictures / "new.png", 1)
    (pictures / "bad.png").write_bytes(b"no picture")
    assert watching.stdout.readline() == "1 added, 1 skipped; 8 images and moments in the index\n"
    assert watching.stdout.readline().startswith(f"  skipped: {pictures / 'bad.png'} (not an image")
    (pictures / "red.png").unlink()
    assert watching.stdout.readline() == "1 removed; 7 images and moments in the index\n"
    watching.send_signal(number)
    assert watching.communicate(timeout=30) == ("", said)
    assert watching.returncode == status


@pytest.mark.parametrize("option", [["--forget"], ["--skipped", "list.txt"]])
def test_what_belongs_to_a_run_that_ends(run, pictures, option):
    ran = run("index", pictures, "--watch", *option)
    assert (ran.status, ran.out) == (2, "")
    assert "--watch goes on and on" in ran.err
