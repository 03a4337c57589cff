"""What becomes of an index whose files are damaged? Every kind of file, every kind of harm, each on a fresh copy.

    python benchmarks/fuzzing.py [--inputs 500] [--seed 1] [--seconds 200]

A small index (parts, replaced and removed rows) is copied, one of its files is harmed (bits flipped, bytes overwritten,
cut short, zeroed, emptied, taken away), and a process opens it, reads vectors and rows, filters and searches. That may
go well, or end in an error of our own that names the way out; whatever else comes is listed. In every tenth `fsck
--repair` must leave an index that is sound. Figures go to fuzz.json in the working folder.
"""

import argparse
import collections
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from sightline.errors import IndexFault, SightlineError
from sightline.index import Table, fsck
from sightline.index.folder import FIRST_TABLE, manifests
from sightline.index.sync import sync
from sightline.search.index import Index
from support.encoders import FakeEncoder
from support.images import draw
from support.tables import contents

HARMS = ("flip a bit", "flip ten bits", "overwrite bytes", "cut short", "zero", "empty", "take away")


def harm(path: Path, kind: str, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    match kind:
        case "flip a bit" | "flip ten bits":
            for _ in range(1 if kind == "flip a bit" else 10):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case "overwrite bytes":
            at = chance.randrange(len(data))
            data[at : at + 16] = chance.randbytes(len(data[at : at + 16]))
        case "cut short":
            del data[chance.randrange(len(data)) :]
        case "zero":
            data = bytearray(len(data))
        case "empty":
            data.clear()
        case "take away":
            path.unlink()
            return
    path.write_bytes(data)


def steps(folder: str) -> dict[str, Callable[[], object]]:
    """What a reader does."""
    return {
        "open": lambda: Table.open(folder),
        "vectors": lambda: Table.open(folder).vectors(),
        "rows": lambda: (table := Table.open(folder)).rows(table.vectors()[0]),
        "filter": lambda: Table.open(folder).ids_where("width > 1"),
        "search": lambda: Index(Table.open(folder), FakeEncoder()).search("anything", 5),
    }


def use() -> None:
    """Does so with each index named on standard input; says what came of it, one JSON list a line."""
    for line in sys.stdin:
        for name, step in steps(line.rstrip("\n")).items():
            began = time.monotonic()
            try:
                step()
                said = "well"
            except IndexFault as error:
                said = "our error" if re.search("fsck --repair|sightline index|update it", str(error)) else repr(error)
            except BaseException as error:
                said = f"{type(error).__name__}: {error}"[:200]
            took = time.monotonic() - began
            print(json.dumps([name, f"{said} (after {took:.0f} s)" if took > 5 else said]), flush=True)
        print(json.dumps(["done"]), flush=True)


class User:
    """A process that uses indexes; a new one when it dies."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def end(self) -> None:
        if self.process is not None:
            self.process.communicate()

    def uses(self, folder: Path) -> dict[str, str]:
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, __file__, "use"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        found: dict[str, str] = {}
        for line in self.process.stdout:
            match json.loads(line):
                case ["done"]:
                    return found
                case [name, said]:
                    found[name] = said
        self.process.wait()
        return {**found, "next step": f"the process ended with {self.process.returncode}"}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--inputs", type=int, default=500)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--seconds", type=float, default=1e9)
    given = arguments.parse_args()
    chance, user, until = random.Random(given.seed), User(), time.monotonic() + given.seconds
    found: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    repaired: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        whole = work / "whole"
        for batch in range(3):
            for seed in range(batch * 20, batch * 20 + 20):
                draw(work / "photos" / f"{seed:02}.png", seed)
            sync(whole, [work / "photos"], FakeEncoder())
        draw(work / "photos" / "05.png", 105)
        (work / "photos" / "25.png").unlink()
        sync(whole, [work / "photos"], FakeEncoder())
        before = contents(whole)
        table = whole / FIRST_TABLE
        newest = manifests(table)[max(manifests(table))]
        others = [path for path in whole.rglob("*") if path.is_file() and path != newest]
        parts = [[newest], [*(table / "_deletions").iterdir()], [*(table / "data").iterdir()], others]
        for number in range(given.inputs):
            if time.monotonic() > until:
                break
            copy = work / f"copy-{number}"
            shutil.copytree(whole, copy)
            files, kind = chance.choice(parts), chance.choice(HARMS)
            path = copy / chance.choice(sorted(files)).relative_to(whole)
            if not path.stat().st_size:
                kind = "take away"
            harm(path, kind, chance)
            part = (
                "the newest manifest" if files == [newest] else "anything else" if files is others else path.parent.name
            )
            for step, said in user.uses(copy).items():
                found[part][said] += 1
                if said not in ("well", "our error"):
                    print(f"{path.name}: {kind}: {step}: {said}", flush=True)
            if number % 10 == 0:
                repaired[repair(copy, before)] += 1
            shutil.rmtree(copy)
    user.end()
    result = {"inputs": number + 1, "steps": found, "repaired": repaired}
    print(json.dumps(result, indent=1))
    Path("fuzz.json").write_text(json.dumps(result, indent=1) + "\n")


def repair(folder: Path, before: dict[Path, dict[str, Any]]) -> str:
    try:
        fsck.repair(folder)
    except SightlineError as error:
        return f"refused: {type(error).__name__}"
    if fsck.check(folder):
        return "NOT SOUND afterwards"
    after = contents(folder)
    strange = [path for path, row in after.items() if before.get(path) != row]
    # The version before may hold a file's earlier row; a flipped bit within a vector or a hash is not to be seen.
    return (
        "sound, a row differs" if strange else "sound, all rows" if len(after) == len(before) else "sound, fewer rows"
    )


if __name__ == "__main__":
    use() if sys.argv[1:] == ["use"] else main()
    os._exit(0)
