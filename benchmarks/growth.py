"""Does it cost more when there is more? Memory over a long run, and adding a few to many.

    python benchmarks/growth.py memory PHOTOS [--model mini] [--counts 500 5000]
    python benchmarks/growth.py adding PHOTOS [--model mini] [--held 10000] [--new 100] [--rounds 3]

"memory": `sightline index` over each count of photos in turn, its resident memory sampled ten times a second: the
peak, and the median over the second half of the run. "adding": in turn, `sightline index` of the new photos into no
index, of nothing new among those held, and of the new among those held; medians and ratios. Photos are those below
PHOTOS, as often as needed, each copy with bytes of its own. The figures go to growth.json beside this file.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path

PROGRAM = [sys.executable, "-c", "import sys; from sightline.cli.main import main; sys.exit(main())"]


def copies(photos: Path, folder: Path, first: int, count: int) -> None:
    """`count` photos, numbered from `first`; what follows the end of a picture, its decoder ignores."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted(path for path in photos.rglob("*") if path.is_file())
    for number, source in enumerate(islice(cycle(sources), first, first + count), first):
        target = folder / f"{number:06}{source.suffix}"
        if not target.exists():
            target.write_bytes(source.read_bytes() + number.to_bytes(8, "big"))


def resident(process: int) -> int:
    """Bytes of memory that a process holds now."""
    fields = Path(f"/proc/{process}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGESIZE")


def index(photos: Path, place: Path, model: str) -> tuple[float, list[int]]:
    """One run of the command: its seconds, and its memory every tenth of a second."""
    began, held = time.perf_counter(), []
    command = [*PROGRAM, "index", str(photos), "--model", model, "--index", str(place)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.returncode is None:
            with suppress(FileNotFoundError, IndexError):  # it is over
                held.append(resident(process.pid))
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
    assert process.returncode == 0
    return time.perf_counter() - began, held


def memory(given: argparse.Namespace, work: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for count in given.counts:
        copies(given.photos, work / str(count), 0, count)
        seconds, held = index(work / str(count), work / f"index-{count}", given.model)
        steady = statistics.median(held[len(held) // 2 :])
        tenths = [max(held[len(held) * i // 10 : len(held) * (i + 1) // 10 or None]) / 1e6 for i in range(10)]
        found[str(count)] = {
            "photos a second": round(count / seconds, 1),
            "peak MB": round(max(held) / 1e6),
            "steady MB": round(steady / 1e6),
            "peak MB of each tenth": [round(mega) for mega in tenths],
        }
        print(count, found[str(count)], flush=True)
        shutil.rmtree(work / str(count))
    few, many = (found[str(count)] for count in (min(given.counts), max(given.counts)))
    for name in ("peak MB", "steady MB"):
        found[f"ratio of {name}"] = round(many[name] / few[name], 3)  # type: ignore[index]
    return found


def adding(given: argparse.Namespace, work: Path) -> dict[str, object]:
    held, new, place = work / "held", work / "new", work / "index"
    copies(given.photos, held, 0, given.held)
    index(held, place, given.model)
    seconds: dict[str, list[float]] = {"new into none": [], "nothing new among all": [], "new among all": []}
    for round in range(given.rounds):
        copies(given.photos, new, given.held + round * given.new, given.new)
        seconds["new into none"].append(index(new, work / f"alone-{round}", given.model)[0])
        seconds["nothing new among all"].append(index(held, place, given.model)[0])
        for file in new.iterdir():
            file.rename(held / file.name)
        seconds["new among all"].append(index(held, place, given.model)[0])
        print({name: [f"{value:.2f}" for value in values] for name, values in seconds.items()}, flush=True)
    alone, nothing, added = (statistics.median(values) for values in seconds.values())
    return {
        "seconds": seconds,
        "new among all / new into none": added / alone,
        "nothing new among all / new into none": nothing / alone,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=["memory", "adding"])
    arguments.add_argument("photos", type=Path)
    arguments.add_argument("--model", default="mini")
    arguments.add_argument("--counts", type=int, nargs=2, default=[500, 5000])
    arguments.add_argument("--held", type=int, default=10_000)
    arguments.add_argument("--new", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--work", type=Path, help="where the copies go; else a temporary folder")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=given.work) as work:
        found = {"what": given.what, "model": given.model, **globals()[given.what](given, Path(work))}
    print(json.dumps(found, indent=1))
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
