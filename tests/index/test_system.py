"""What the system refuses: permission and space. In processes that have no more rights than anybody."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sightline.index import Table, fsck
from support.images import draw
from support.tables import contents

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(sys.platform != "linux", reason="rights and disks as Linux has them"),
]

# Command lines one after another, with an encoder that needs no weights.
COMMANDS = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from support.encoders import fake_encoder
from sightline.cli.main import main
sys.modules["sightline.encoder"] = fake_encoder()
ran = []
for arguments in json.loads(sys.argv[1]):
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as errors:
        status = main(arguments)
    ran.append([status, out.getvalue(), errors.getvalue()])
print(json.dumps(ran))
"""

# Even root then needs permission: PR_CAPBSET_DROP of CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH; it counts after `exec`.
HUMBLY = """
import ctypes, os, sys
for capability in (1, 2): ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture
def run(tmp_path):
    """Runs lists of arguments as `sightline` commands on the index of the test: [status, output, errors] of each."""

    def call(*commands, index=tmp_path / "index"):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])}
        environment["SIGHTLINE_INDEX"] = str(index)
        lines = json.dumps([list(map(str, arguments)) for arguments in commands])
        command = [sys.executable, "-c", HUMBLY, "-c", COMMANDS, lines]
        ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        results = json.loads(ran.stdout)
        assert not any("--debug for the traceback" in errors for _, _, errors in results), results
        return results

    return call


@pytest.fixture
def denied():
    """Takes all rights to a path away, until the end of the test."""
    changed = {}

    def deny(path, mode=0):
        changed[path] = path.stat().st_mode
        path.chmod(mode)

    yield deny
    for path, mode in reversed(changed.items()):
        path.chmod(mode)


def test_files_and_folders_that_may_not_be_read(run, photos, index, denied):
    run(["index", photos, "--model", "colors"])
    before = contents(index)
    denied(draw(photos / "new.png", 20))
    denied(photos / "deep")
    denied(photos / "3.png")
    [(status, said, _)] = run(["index", photos])
    assert (status, said.splitlines()[0]) == (0, "0 added, 0 changed, 0 moved, 0 removed, 6 unchanged, 2 skipped")
    assert re.search(
        rf"skipped, permission denied .*\n  {photos / 'deep'}\n  {photos / 'new.png'}", said, re.IGNORECASE
    )
    assert contents(index) == before, "what cannot be looked at is not taken for deleted"


def test_an_index_that_may_be_read_and_not_written(run, photos, index, denied):
    run(["index", photos, "--model", "colors"])
    draw(photos / "new.png", 20)
    for path in [index, *index.rglob("*")]:
        denied(path, 0o555 if path.is_dir() else 0o444)
    found, checked, told, *refused = run(
        ["search", "red", "-k", "3"], ["fsck"], ["info"],
        ["index", photos], ["index", "--forget", photos], ["fsck", "--repair"],
    )  # fmt: skip
    assert found[1].count("\n") == 3
    assert checked == [0, "sound\n", ""]
    assert "images       8" in told[1]
    assert refused == [[1, "", f"sightline: {index} cannot be written: Permission denied\n"]] * 3
    denied(index / "writer.lock", 0o666)
    [(status, _, errors)] = run(["index", photos])
    assert status == 1
    assert re.search(rf"{index} could not be written .*permission denied.*intact", errors, re.IGNORECASE)
    assert Table.open(index).count() == 8


@pytest.mark.parametrize("what", ["data/*", "data", "_versions", ""])
def test_an_index_that_may_not_be_read(run, photos, index, denied, what):
    run(["index", photos, "--model", "colors"])
    path = next((index / "items.lance").glob(what)) if what else index
    mode = path.stat().st_mode
    denied(path)
    refused = run(["search", "red"], ["similar"], ["index", photos], ["fsck"], ["fsck", "--repair"])
    for status, _, errors in refused:
        assert status == 1
        assert re.search(rf"{index}.* cannot be .*permission denied", errors, re.IGNORECASE)
        assert "keeps what is whole" not in errors, "nothing is damaged"
    path.chmod(mode)
    assert fsck.check(index) == []


def test_a_place_where_no_index_can_be_made(run, photos, tmp_path, denied):
    (tmp_path / "locked").mkdir()
    denied(tmp_path / "locked", 0o555)
    [(status, _, errors)] = run(["index", photos, "--model", "colors"], index=tmp_path / "locked" / "index")
    assert status == 1
    assert re.search(r"locked/index could not be written .*permission denied", errors, re.IGNORECASE)


@pytest.fixture
def small(tmp_path):
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(disk, leave=0):
    """Leave so many bytes free."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "full").write_bytes(bytes(max(free - leave, 0)))
    return disk / "full"


@pytest.mark.parametrize("leave", [200_000, 50_000, 9_000, 0])
def test_a_full_disk_keeps_what_was_committed(run, small, tmp_path, leave):
    photos, index = tmp_path / "photos", small / "index"
    for seed in range(60):
        draw(photos / f"{seed:02}.png", seed)
    run(["index", photos, "--model", "colors"], index=index)
    before = contents(index)
    for seed in range(60, 400):
        draw(photos / f"{seed}.png", seed)
    (photos / "00.png").rename(photos / "renamed.png")
    full = fill(small, leave)
    (status, _, errors), found = run(["index", photos], ["search", "red", "-k", "3"], index=index)
    assert status == 1
    assert re.search(rf"{index} could not be written \((No space|.*full).*intact, and the next run goes on", errors)
    assert "os error" not in errors
    assert found[1].count("\n") == 3
    assert len(contents(index)) >= len(before)
    full.unlink()
    subprocess.run(["mount", "-o", "remount,size=50m", small], check=True)
    ran, checked = run(["index", photos], ["fsck"], index=index)
    assert ran[0] == 0
    assert checked[:2] == [0, "sound\n"]
    assert sorted(contents(index)) == sorted(photos.iterdir())


@pytest.mark.parametrize("leave", [0, 4096, 12_288, 24_576])
def test_a_disk_too_full_to_make_an_index(run, small, photos, leave):
    full = fill(small, leave)
    index = small / "index"
    [(status, _, errors)] = run(["index", photos, "--model", "colors"], index=index)
    assert status == 1
    assert re.search(r"could not be written|cannot be written", errors)
    full.unlink()
    ran, checked = run(["index", photos, "--model", "colors"], ["fsck"], index=index)
    assert ran[0] == 0
    assert checked[:2] == [0, "sound\n"]
