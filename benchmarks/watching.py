"""Does an index that is watched keep up? Files come, change, move and go; the process is killed again and again.

    python benchmarks/watching.py FOLDER [--changes 1000] [--kills 10] [--files 500] [--idle 120] [--seed 1]

Small pictures and films are drawn into FOLDER. `sightline index PHOTOS --model mini --watch` runs while files are
added, changed, renamed, copied, touched and deleted, and folders renamed, in bursts; at random moments it gets SIGKILL,
and is started again while the files go on changing. Once it is quiet the table is compared with a fresh index of the
same files: all columns but `id` and `added`, the vectors bit for bit. Then its processor time is measured while nothing
happens, and its memory; at last it is ended by SIGTERM.
"""

import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from measure import report

from sightline.index import Table
from support.videos import film

PROGRAM = [sys.executable, "-m", "sightline"]
SUFFIXES = (".png", ".jpg", ".webp", ".bmp", ".gif")
KINDS = ["add"] * 4 + ["change"] * 3 + ["rename"] * 3 + ["delete"] * 2 + ["replace", "copy", "touch", "write slowly"]
KINDS += ["rename a folder"]


def draw(path: Path, chance: random.Random) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".mp4":
        film(path, [chance.getrandbits(32) for _ in range(2)], seconds=0.5, size=(32, 32))
        return
    colors = np.frombuffer(chance.randbytes(36), np.uint8).reshape(3, 4, 3)
    size = chance.randint(24, 64), chance.randint(24, 64)
    Image.fromarray(colors).resize(size, Image.Resampling.NEAREST).save(path)


def name(photos: Path, chance: random.Random, suffix: str = "") -> Path:
    suffix = suffix or (".mp4" if chance.random() < 0.02 else chance.choice(SUFFIXES))
    return photos / f"{chance.randint(0, 19)}" / f"{chance.getrandbits(48):012x}{suffix}"


def change(photos: Path, chance: random.Random) -> str:
    """One thing that somebody does to the files; which."""
    kind = chance.choice(KINDS)
    path = chance.choice(sorted(path for path in photos.rglob("*.*") if path.is_file()))
    new = name(photos, chance, path.suffix)
    new.parent.mkdir(exist_ok=True)
    match kind:
        case "add":
            draw(name(photos, chance), chance)
        case "change":
            draw(path, chance)
        case "rename":
            path.rename(new)
        case "delete":
            path.unlink()
        case "replace":  # as editors save: beside it, then over it
            temporary = path.with_name(f".{path.name}")
            draw(temporary, chance)
            temporary.replace(path)
        case "copy":
            shutil.copy(path, new)
        case "touch":
            os.utime(path)
        case "write slowly":
            data = path.read_bytes()
            with new.open("wb") as file:
                for start in range(0, len(data), len(data) // 3 + 1):
                    file.write(data[start : start + len(data) // 3 + 1])
                    file.flush()
                    time.sleep(0.1)
        case "rename a folder":
            path.parent.rename(photos / f"{path.parent.name}-{chance.getrandbits(16):x}")
    return kind


def rows(index: Path) -> dict[tuple[str, float | None], dict[str, Any]]:
    """What the index holds by file and start, but for `id` and `added`."""
    table = Table.open(index)
    held = table.take(table.vectors()[0]).drop(["id", "added"]).to_pylist()
    found = {(row["uri"], row["start"]): row for row in held}
    assert len(found) == len(held), "an item is there twice"
    return found


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """Of all its threads, since it began."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process: subprocess.Popen[bytes]) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def settled(index: Path, process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until the process has had nothing to do for some time."""
    before, quiet, until = -1.0, 0, time.monotonic() + seconds
    while quiet < 8 and time.monotonic() < until:
        assert process.poll() is None, "it ended by itself"
        spent = processor_seconds(process)
        quiet = quiet + 1 if spent - before < 0.05 and (index / "settings.json").exists() else 0
        before = spent
        time.sleep(1)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--changes", type=int, default=1000)
    arguments.add_argument("--kills", type=int, default=10)
    arguments.add_argument("--files", type=int, default=500)
    arguments.add_argument("--idle", type=float, default=120)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    chance, folder = random.Random(given.seed), given.folder.absolute()
    photos, index, fresh = folder / "photos", folder / "index", folder / "fresh"
    for old in (photos, index, fresh):
        shutil.rmtree(old, ignore_errors=True)
    for _ in range(given.files):
        draw(name(photos, chance), chance)

    def start() -> subprocess.Popen[bytes]:
        command = [*PROGRAM, "index", str(photos), "--model", "mini", "--index", str(index), "--watch"]
        with (folder / "watching.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    process, done = start(), collections.Counter[str]()
    kills = set(chance.sample(range(1, given.changes), given.kills))
    for number in range(given.changes):
        done[change(photos, chance)] += 1
        time.sleep(chance.choice([0, 0, 0, 0, 0.02, 0.3]))
        if chance.random() < 0.01:
            time.sleep(chance.uniform(2, 8))  # so that it looks
        if number in kills:
            time.sleep(chance.uniform(0, 8))
            process.send_signal(signal.SIGKILL)
            process.wait()
            process = start()
    settled(index, process, 300)
    subprocess.run([*PROGRAM, "index", photos, "--model", "mini", "--index", fresh], check=True, capture_output=True)
    ours, theirs = rows(index), rows(fresh)
    spent, held = processor_seconds(process), memory(process)
    time.sleep(given.idle)
    idle = (processor_seconds(process) - spent) / given.idle * 60
    process.send_signal(signal.SIGTERM)
    report(
        __file__,
        {
            "changes": dict(done),
            "kills": given.kills,
            "rows of a fresh index": len(theirs),
            "rows that are the same": sum(row == ours.get(key) for key, row in theirs.items()),
            "rows that a fresh index has not": len(ours.keys() - theirs.keys()),
            "idle: seconds of processor a minute": idle,
            "idle: memory in MB": held / 1e6,
            "ended by SIGTERM with": process.wait(30),
        },
    )


if __name__ == "__main__":
    main()
