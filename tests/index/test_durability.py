"""Kills, two writers at once, readers beside a writer, a full disk: with real processes."""

import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sightline.errors import IndexFault
from sightline.index import Scan, Table, fsck, to_path
from sightline.index.sync import sync
from support.encoders import FakeEncoder
from support.images import draw
from support.tables import contents

pytestmark = pytest.mark.system

HERE = Path(__file__).parent


@pytest.fixture
def start():
    """Start runs of `indexer.py`; those still going at the end are killed."""
    started = []

    def run(index, *paths, delay=0.001):
        command = [
            sys.executable,
            str(HERE.parent / "support" / "indexer.py"),
            str(index),
            str(delay),
            *map(str, paths),
        ]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def rearrange(folder, chance, seed):
    """Add, change, rename, copy and delete some files, as somebody does between two runs."""
    files = sorted(folder.rglob("*.png"))
    chance.shuffle(files)
    for number, path in enumerate(files[:20]):
        match number % 5:
            case 0:
                path.unlink()
            case 1:
                draw(path, 1000 * seed + number)
            case 2:
                path.rename(path.with_name(f"moved-{seed}-{number}.png"))
            case 3:
                shutil.copy(path, path.with_name(f"copy-{seed}-{number}.png"))
            case 4:
                draw(folder / f"new-{seed % 3}" / f"{seed}-{number}.png", 2000 * seed + number)
    os.utime(files[21], ns=(seed, seed))


def test_killed_at_any_moment_nothing_is_lost_or_twice(tmp_path, start):
    chance = random.Random(20)
    photos, index = tmp_path / "photos", tmp_path / "index"
    for seed in range(150):
        draw(photos / f"{seed % 4}" / f"{seed:03}.png", seed)
    for round in range(1, 9):
        run = start(index, photos, delay=0.02)  # three seconds of work
        assert run.stdout.readline() == "begun\n", run.communicate()[1]
        time.sleep(chance.uniform(0, 0.4))
        run.kill()
        assert run.wait() < 0, "the kill came too late to show anything"
        rearrange(photos, chance, round)
    final = start(index, photos)
    assert final.wait() == 0, final.communicate()
    sync(tmp_path / "undisturbed", [photos], FakeEncoder())
    expected, held = contents(tmp_path / "undisturbed"), contents(index)
    assert held == expected
    assert sorted(held) == sorted(photos.rglob("*.png"))
    assert fsck.check(index) == []


def test_two_indexers_at_once(tmp_path, start):
    photos, index = tmp_path / "photos", tmp_path / "index"
    for seed in range(60):
        draw(photos / f"{seed % 3}" / f"{seed:02}.png", seed)
    first = start(index, photos / "0", delay=60)
    assert first.stdout.readline() == "begun\n"
    refused = start(index, photos)  # one path: does not wait
    assert refused.wait() == 3
    assert re.search(rf"written by process {first.pid} since", refused.stdout.read())
    waiting = [start(index, photos, *[photos / "1"] * 60) for _ in range(2)]  # more: so many seconds
    first.kill()
    assert [run.wait() for run in waiting] == [0, 0]
    assert sorted(contents(index)) == sorted(photos.rglob("*.png"))
    assert fsck.check(index) == []


def test_readers_see_a_consistent_table_while_a_writer_works(tmp_path, start):
    photos, index = tmp_path / "photos", tmp_path / "index"
    for seed in range(30):
        draw(photos / f"{seed:03}.png", seed)
    encoder = FakeEncoder()
    sync(index, [photos], encoder)
    for seed in range(30, 130):
        draw(photos / f"{seed:03}.png", seed)
    for seed in range(10):
        (photos / f"{seed:03}.png").rename(photos / f"moved-{seed:03}.png")
    truth = {}
    for path in photos.iterdir():
        truth[path] = truth[photos / path.name.removeprefix("moved-")] = encoder.encode_images([path])[0]
    run = start(index, photos, delay=0.01)
    table, counts = Table.open(index), set()
    while run.poll() is None:
        table = table.newest()
        ids, matrix = table.vectors()
        rows = table.rows(ids, ["uri", "size"])
        paths = [to_path(row["uri"]) for row in rows]
        assert len(set(paths)) == len(set(ids.tolist())) == table.count() == len(ids)
        np.testing.assert_array_equal(matrix, np.array([truth[path] for path in paths]).astype(np.float16))
        scores, found = Scan(ids, matrix).top(truth[paths[-1]], 1)
        assert scores[0, 0] > 0.999
        assert set(found[0]) <= set(table.ids_where("size > 0"))
        counts.add(len(ids))
    assert run.returncode == 0, run.communicate()
    assert len(counts) > 3, "the reader was too slow to see anything happen"
    assert sorted(contents(index)) == sorted(photos.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes")
def test_a_disk_that_refuses_to_be_written_keeps_what_it_has(tmp_path):
    """A process may be forbidden files above a size; then writing them fails half-way, as on a full disk."""
    photos, index = tmp_path / "photos", tmp_path / "index"
    draw(photos / "0.png", 0)
    sync(index, [photos], FakeEncoder())
    for seed in range(1, 150):
        draw(photos / f"{seed}.png", seed)
    script = (
        "import resource, sys\nfrom support.encoders import FakeEncoder\nfrom sightline.index.sync import sync\n"
        "from sightline.errors import IndexFault\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
        "try: sync(sys.argv[1], [sys.argv[2]], FakeEncoder())\n"
        "except IndexFault as error: print(error); sys.exit(1)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])}
    command = [sys.executable, "-c", script, str(index), str(photos)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 1, run.stderr
    assert re.search("could not be written .*intact, and the next run goes on", run.stdout)
    assert list(contents(index)) == [photos / "0.png"]
    sync(index, [photos], FakeEncoder())
    assert len(contents(index)) == 150
    assert fsck.check(index) == [], "the failed run's half-written file is gone"


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    draw(tmp_path / "photos" / "0.png", 0)
    really = os.open

    def denied(path, flags, *rest, **options):
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied")
        return really(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(IndexFault, match=r"index cannot be written: Permission denied"):
        sync(tmp_path / "index", [tmp_path / "photos"], FakeEncoder())
