"""Is anything lost when indexing is killed? SIGKILL at random moments, a folder that changes, searches all the while.

    python benchmarks/soak.py FOLDER [--kills 100] [--files 3000] [--seed 1] [--seconds 200]

Small pictures and films are drawn into FOLDER. A run of `sync` (a cheap encoder, small commits, frequent merges and
clean-ups, so that every phase comes often) is killed in a phase drawn at random; every fifth run is the command
`sightline index --model mini` on an index of its own. Between two runs files are added, changed, renamed, copied,
deleted, touched and broken; sometimes two runs start at once. A process beside searches both indexes and checks each
version that it sees: rows there once, films whole. After every 25 kills a run may finish, and its index is compared
with one made undisturbed, row by row, and checked.

After --seconds it stops; the same command goes on from there. The figures are in FOLDER/soak.json.
"""

import argparse
import collections
import functools
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import lance
import numpy as np
from lance.dataset import DatasetOptimizer
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from sightline.errors import IndexFault, IndexLocked, IndexMissing
from sightline.index import Limits, Table, fsck, to_path
from sightline.index.folder import FIRST_TABLE, manifests
from sightline.search.index import Index
from support.encoders import FakeEncoder
from support.videos import film

PROGRAM = [sys.executable, "-c", "import sys; from sightline.cli.main import main; sys.exit(main())"]
EVERY = 25
PHASES = {
    "scan": 1,
    "compare": 1,
    "sweep": 1,
    "reserve": 1,
    "encode": 60,
    "video": 10,
    "append": 4,
    "replace": 5,
    "remove": 3,
    "compact": 1,
}
PHASES |= {"clean": 1, "note": 2}
"""How often each comes in a run, about."""
SUFFIXES = (".png", ".jpg", ".mp4", ".bmp", ".webp", ".gif", ".mkv")
COLUMNS = ["uri", "start", "end", "moments", "hash", "size", "mtime", "width", "height", "vector"]


# ---- the run that is killed


def run(index: str, photos: str, wait: str) -> None:
    """One run of `sync` that says on standard output when each phase begins ("+") and ends ("-")."""
    sync: Any = importlib.import_module("sightline.index.sync")
    keep = timedelta(seconds=2)
    limits = Limits(batch_rows=12, copied_rows=8, small_fragments=5, fragment_rows=500, keep=keep)

    def announce(phase: str, owner: object, name: str) -> None:
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def outer(*args: object, **options: object) -> object:
            print(f"+{phase}", flush=True)
            try:
                return inner(*args, **options)
            finally:
                print(f"-{phase}", flush=True)

        setattr(owner, name, outer)

    announce("scan", sync.walk, "list_files")
    announce("compare", sync, "compare")
    announce("encode", FakeEncoder, "_encode")
    announce("video", FakeEncoder, "_video")
    announce("compact", DatasetOptimizer, "compact_files")
    announce("clean", lance.LanceDataset, "cleanup_old_versions")
    announce("note", sync.lock, "_note")
    announce("sweep", sync.cleanup, "sweep")
    for phase in ("reserve", "append", "replace", "remove"):
        announce(phase, Table, phase)
    try:
        sync.sync(index, [photos], FakeEncoder(), wait=float(wait), limits=limits)
    except IndexLocked:
        sys.exit(3)


# ---- the searches beside it


def watch(*folders: str) -> None:
    """Until standard input closes: every version seen must be whole. Prints its counts as JSON."""
    done = threading.Event()
    counts: collections.Counter[str] = collections.Counter()
    wrong: list[str] = []

    def again_and_again(look: Callable[[], None]) -> None:
        while not done.is_set():
            try:
                look()
                counts[look.__name__] += 1
            except IndexMissing:
                time.sleep(0.05)
            except IndexFault as error:
                if "open it again" not in str(error):
                    wrong.append(repr(error))
                counts["asked to open again"] += 1
            except Exception as error:
                wrong.append(repr(error))

    def looks(folder: str) -> tuple[Callable[[], None], Callable[[], None]]:
        table: Table | None = None
        index: Index | None = None
        known: dict[tuple[str, float | None], np.ndarray] = {}

        def versions() -> None:
            nonlocal table
            table = Table.open(folder) if table is None else table.newest()
            ids, matrix = table.vectors()
            rows = table.rows(ids, ["uri", "hash", "start", "moments"])
            items = {(row["uri"], row["start"]) for row in rows}
            assert len(ids) == table.count() == len(set(ids.tolist())) == len(items), "rows twice"
            moments = collections.Counter((row["uri"], row["hash"], row["moments"]) for row in rows)
            assert all(held == (count or 1) for (_, _, count), held in moments.items()), "a part of a film"
            assert np.allclose(np.linalg.norm(matrix.astype(np.float32), axis=1), 1, atol=0.01), "vectors that are none"
            for row, vector in zip(rows, matrix, strict=True):
                before = known.setdefault((row["hash"], row["start"]), vector)
                assert before is vector or np.abs(before - vector).max() < 1e-3, "another file's vector"

        def searches() -> None:
            nonlocal index
            index = index or Index(Table.open(folder), FakeEncoder())
            found = index.search("anything", 50, "size > 0")
            assert len({(result.uri, result.start) for result in found}) == len(found), "an item found twice"
            assert all(a.score >= b.score for a, b in pairwise(found)), "no order"

        return versions, searches

    work = [look for number, folder in enumerate(folders) for look in looks(folder)[: 2 - number]]
    threads = [threading.Thread(target=again_and_again, args=(look,)) for look in work]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    done.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"counts": counts, "wrong": wrong}))


# ---- the folder that changes


def draw(path: Path, chance: random.Random) -> None:
    if path.suffix in (".mp4", ".mkv"):
        seeds = [
            chance.choice([chance.getrandbits(32), chance.getrandbits(32), None]) for _ in range(chance.randint(1, 6))
        ]
        film(path, seeds, seconds=0.5, size=(32, 32))
        return
    colors = np.frombuffer(chance.randbytes(36), np.uint8).reshape(3, 4, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    size = chance.randint(24, 64), chance.randint(24, 64)
    Image.fromarray(colors).resize(size, Image.Resampling.NEAREST).save(path)


def change(photos: Path, chance: random.Random, count: int) -> collections.Counter[str]:
    """What somebody does to a folder between two runs."""
    files = sorted(path for path in photos.rglob("*.*") if path.is_file())
    done: collections.Counter[str] = collections.Counter()
    kinds = ["add"] * 3 + ["change"] * 2 + ["rename"] * 2 + ["delete"] * 2 + ["copy", "touch", "break", "swap"]
    for path in chance.sample(files, count):
        kind = chance.choice(kinds)
        new = photos / f"{chance.randint(0, 19)}" / f"{chance.getrandbits(48):012x}{path.suffix}"
        if not path.exists():
            continue
        match kind:
            case "add":
                draw(new, chance)
            case "change":
                draw(path, chance)
            case "rename":
                path.rename(new)
            case "delete":
                path.unlink()
            case "copy":
                shutil.copy(path, new)
            case "touch":
                os.utime(path)
            case "break":
                path.write_bytes(path.read_bytes()[: chance.randint(0, 40)])
            case "swap":
                other = chance.choice(files)
                if other != path and other.exists():
                    path.rename(new.with_suffix(".tmp"))
                    other.rename(path)
                    new.with_suffix(".tmp").rename(other)
        done[kind] += 1
    if chance.random() < 0.1:
        folder = chance.choice(sorted(path for path in photos.iterdir() if path.is_dir()))
        folder.rename(photos / f"{folder.name}-{chance.getrandbits(16):x}")
        (photos / folder.name).mkdir()
        done["rename a folder"] += 1
    return done


# ---- one after the other


class Soak:
    def __init__(self, folder: Path, files: int, seed: int) -> None:
        self.folder, self.photos, self.notes = folder, folder / "photos", folder / "soak.json"
        self.indexes = {"sync": folder / "index", "command": folder / "index-mini"}
        self.state: dict[str, Any] = {"kills": 0, "rounds": 0, "checks": []}
        if self.notes.exists():
            self.state = json.loads(self.notes.read_text())
        self.usual: dict[str, float] = {}
        self.seed = seed
        if not self.photos.exists():
            chance = random.Random(seed)
            for number in range(files):
                draw(self.photos / f"{number % 20}" / f"{number:05}{SUFFIXES[number % len(SUFFIXES)]}", chance)
        self.files = files

    def count(self, what: str, name: str, by: int = 1) -> None:
        counts = self.state.setdefault(what, {})
        counts[name] = counts.get(name, 0) + by

    def start(self, kind: str, index: Path | None = None, wait: float = 0) -> subprocess.Popen[str]:
        index = index or self.indexes[kind]
        if kind == "sync":
            command = [sys.executable, __file__, "run", str(index), str(self.photos), str(wait)]
        else:
            command = [*PROGRAM, "index", str(self.photos), "--model", "mini", "--index", str(index)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def kill_sync(self, chance: random.Random) -> str | None:
        """Kill a run in a phase drawn at random; which, or None if it was over before."""
        phase, often = chance.choice(list(PHASES.items()))
        skipped = chance.randrange(often)
        first = not manifests(self.indexes["sync"] / FIRST_TABLE)
        process = self.start("sync")
        second = self.start("sync", wait=120) if chance.random() < 0.1 and not first else None
        stack: list[str] = []
        committed = not first
        assert process.stdout is not None
        for line in process.stdout:
            sign, name = line[0], line[1:].rstrip("\n")
            if sign == "+":
                stack.append(name)
                if committed and name == phase and (skipped := skipped - 1) < 0:
                    time.sleep(chance.uniform(0, 1.5 * self.usual.get(name, 0.005)))
                    break
                began = time.monotonic()
            else:
                stack.pop()
                committed = committed or name == "append"
                took = time.monotonic() - began
                self.usual[name] = 0.9 * self.usual.get(name, took) + 0.1 * took
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()  # not `communicate`, which knows nothing of what is buffered here
        errors = process.communicate()[1]
        if second is not None:
            said = second.communicate()[1]
            assert second.returncode == 0 or process.returncode == 0, said
            self.count("runs", "that waited for another and finished")
        if process.returncode == 0 or process.returncode == 3:
            self.count("runs", "over before the kill" if process.returncode == 0 else "sent away by another")
            return None
        assert process.returncode == -signal.SIGKILL, errors
        for line in rest.splitlines():  # what it had said by then
            stack.append(line[1:]) if line[0] == "+" else stack.pop()
        return stack[-1] if stack else "between two phases"

    def kill_command(self, chance: random.Random) -> str | None:
        index = self.indexes["command"]
        before, began = len(manifests(index / FIRST_TABLE)), time.monotonic()
        process = self.start("command")
        while process.poll() is None and len(manifests(index / FIRST_TABLE)) <= before + (before == 0):
            time.sleep(0.005)
        waited = time.monotonic() - began
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, self.usual.get("command", 1.0)))
            self.usual["command"] = max(time.monotonic() - began - waited, 0.1)
        process.send_signal(signal.SIGKILL)
        errors = process.communicate()[1]
        if process.returncode == 0:
            self.count("runs", "over before the kill")
            return None
        assert process.returncode == -signal.SIGKILL, errors
        return "the command"

    def check(self, kind: str) -> None:
        """Let a run finish; compare with an undisturbed one."""
        finished = self.start(kind)
        said = finished.communicate()
        assert finished.returncode == 0, said
        fresh = self.folder / "undisturbed"
        shutil.rmtree(fresh, ignore_errors=True)
        self.start(kind, fresh).communicate()
        ours, theirs = (contents(index) for index in (self.indexes[kind], fresh))
        shutil.rmtree(fresh)
        same = [name for name in ours.keys() & theirs.keys() if ours[name][0] == theirs[name][0]]
        apart = max((float(np.abs(ours[name][1] - theirs[name][1]).max()) for name in same), default=0.0)
        problems = fsck.check(self.indexes[kind])
        found = {
            "kind": kind,
            "after kills": self.state["kills"],
            "rows": len(theirs),
            "same": len(same),
            "lost": len(theirs.keys() - ours.keys()),
            "too many": len(ours.keys() - theirs.keys()),
            "largest difference": apart,
            "problems": [f"{problem.where}: {problem.what}" for problem in problems],
        }
        self.state["checks"].append(found)
        print(json.dumps(found), flush=True)

    def round(self) -> None:
        number = self.state["rounds"]
        chance = random.Random(self.seed * 100_000 + number)
        killed = self.kill_command(chance) if number % 5 == 4 else self.kill_sync(chance)
        self.state["rounds"] += 1
        if killed:
            self.state["kills"] += 1
            self.count("killed in", killed)
        for kind, many in change(self.photos, chance, self.files // 30).items():
            self.count("changes", kind, many)
        if killed and self.state["kills"] % EVERY == 0:
            for kind in self.indexes:
                self.check(kind)

    def save(self, watched: dict[str, Any]) -> None:
        for name, many in watched["counts"].items():
            self.count("looked at", name, many)
        self.state.setdefault("wrong", []).extend(watched["wrong"])
        self.notes.write_text(json.dumps(self.state, indent=1) + "\n")


def contents(index: Path) -> dict[tuple[str, float | None], tuple[tuple[Any, ...], np.ndarray]]:
    """What the index holds by path and start."""
    rows = Table.open(index).columns(COLUMNS).to_pylist()
    held = {
        (str(to_path(row["uri"])), row["start"]): (
            tuple(row[name] for name in COLUMNS[1:-1]),
            np.array(row["vector"], np.float32),
        )
        for row in rows
    }
    assert len(held) == len(rows), "an item is there twice"
    return held


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--kills", type=int, default=100)
    arguments.add_argument("--files", type=int, default=3000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--seconds", type=float, default=1e9)
    given = arguments.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    soak = Soak(given.folder.absolute(), given.files, given.seed)
    until = time.monotonic() + given.seconds
    command = [sys.executable, __file__, "watch", *map(str, soak.indexes.values())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as watcher:
        try:
            while soak.state["kills"] < given.kills and time.monotonic() < until:
                soak.round()
        finally:
            soak.save(json.loads(watcher.communicate()[0]))
    print(json.dumps(soak.state, indent=1))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["run", index, photos, wait]:
            run(index, photos, wait)
        case ["watch", *folders]:
            watch(*folders)
        case _:
            main()
