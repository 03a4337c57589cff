"""This checkout beside another, task by task, in pairs: is it slower than what was there before?

python benchmarks/beside.py CHECKOUT MODEL PHOTOS [--rounds 24] [--tasks images texts search train cold]

CHECKOUT is another working tree of this repository, with a `benchmarks/tasks.py` in the names of its own time. For each
task both keep a process and do it in turn, the order turned round each time. Printed is the median of the rounds'
ratios, this one's time by the other's, with the 95% interval of a bootstrap over the rounds. MODEL is a CLIP's folder
(`measure.random_b32` makes a ViT-B/32), PHOTOS a folder of JPEGs. Other options go on to tasks.py.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from measure import report

HERE = Path(__file__).parent


class Worker:
    """A process of one checkout that does one task whenever it is asked."""

    def __init__(self, benchmarks: Path, *arguments: str) -> None:
        command = [sys.executable, str(benchmarks / "tasks.py"), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(benchmarks.absolute().parent / "src")}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        if self._line() != "ready":
            raise SystemExit(f"{' '.join(command)} ended before it was ready")

    def seconds(self) -> float:
        """Do the task once."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        return float(self._line())

    def close(self) -> None:
        self._process.communicate()  # no more lines: it ends

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """The median and where it lies with 95%."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(ratios, (10_000, len(ratios))), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return float(np.median(ratios)), float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--tasks", nargs="+", default=["images", "texts", "search", "train", "cold"])
    arguments, passed_on = parser.parse_known_args()
    figures: dict[str, Any] = {"rounds": arguments.rounds}
    for task in arguments.tasks:
        command = [task, str(arguments.model), str(arguments.photos), *passed_on]
        ours, other = (Worker(folder, *command) for folder in (HERE, arguments.checkout / "benchmarks"))
        ratios = []
        for turn in range(arguments.rounds):
            order = (ours, other) if turn % 2 else (other, ours)
            seconds = {worker: worker.seconds() for worker in order}
            ratios.append(seconds[ours] / seconds[other])
        ours.close()
        other.close()
        median, low, high = interval(ratios)
        figures[f"{task}: time by the other's, median and 95%"] = f"{median:.3f} ({low:.3f} to {high:.3f})"
        print(f"{task}: {median:.3f} ({low:.3f} to {high:.3f})", flush=True)
    report(__file__, figures)


if __name__ == "__main__":
    main()
