"""Whether an index is whole, and what of it can be kept if not."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lance

from sightline.errors import IndexDamaged, IndexFault, IndexTooNew
from sightline.index import lance_errors, lock
from sightline.index.folder import NAME, exists, manifests, missing
from sightline.index.table import Table


@dataclass(frozen=True)
class Problem:
    """What is wrong, where, and whether `repair` can do something about it."""

    what: str
    where: str
    repairable: bool = True


@dataclass
class _Findings:
    """What the probe found. `version` is the newest that can be read."""

    version: int | None = None
    manifests: dict[int, str] = field(default_factory=dict)
    fragments: dict[int, str] = field(default_factory=dict)
    rows: dict[int, tuple[int, str]] = field(default_factory=dict)
    held: dict[int, int] = field(default_factory=dict)
    done: bool = False

    def blame(self, step: list[Any], reason: str) -> None:
        kind, number = step
        (self.manifests if kind == "manifest" else self.fragments)[number] = reason

    def problems(self, folder: Path) -> list[Problem]:
        table = folder / NAME
        found = [
            Problem(f"version {version} cannot be read ({reason})", str(table / "_versions"), self.version is not None)
            for version, reason in self.manifests.items()
        ]
        for id, reason in self.fragments.items():
            lost = f" with {self.held[id]} of {sum(self.held.values())} items" if id in self.held else ""
            found.append(Problem(f"part {id}{lost} cannot be read ({reason})", str(table)))
        return found + [Problem(reason, f"{table}, row {id}") for id, reason in self.rows.values()]


def check(folder: str | os.PathLike[str]) -> list[Problem]:
    """Read all of the index in `folder`; what is wrong with it, empty if nothing is.

    Nothing is changed, and a writer may be at work. Raises IndexMissing, IndexTooNew, and IndexFault where the system
    does not let us read.
    """
    folder = Path(folder)
    findings = _probe(folder)
    problems = findings.problems(folder)
    if not problems:
        table = Table.open(folder)
        left = table.leftovers()
        if not lock.is_held(folder) and table.newest() is table:  # else they may be those of a writer at work
            problems = [Problem("left behind by a writer that was killed or failed", str(file)) for file in left]
    return problems


def repair(folder: str | os.PathLike[str]) -> list[Problem]:
    """Keep what is whole of the index in `folder` and drop the rest; returns what was wrong.

    The table falls back on its newest version that can be read; parts and rows that are broken go. The next `sync`
    brings back what was lost. Only files of the index are touched. Raises IndexLocked while a writer is at work, and
    IndexDamaged if nothing can be read.
    """
    folder = Path(folder)
    if not exists(folder):
        raise missing(folder)
    with lock.writer(folder):
        findings = _probe(folder)
        if findings.version is None:
            raise IndexDamaged(f"nothing in {folder} can be read any more: delete it, and index into a new one")
        files = manifests(folder)
        with lance_errors.writing(folder):
            for version in findings.manifests:
                files[version].unlink(missing_ok=True)
        with lance_errors.reading(folder):  # not `Table.open`: it refuses parts that are about to be dropped
            table = Table(folder, lance.dataset(str(folder / NAME)))
        table.drop(list(findings.fragments), list(findings.rows))
        left = [Problem("left behind by a writer that was killed or failed", str(file)) for file in table.leftovers()]
        table.sweep()
    return findings.problems(folder) + left


def _probe(folder: Path) -> _Findings:
    if not exists(folder):
        raise missing(folder)
    findings = _Findings()
    while not findings.done:
        _attempt(folder, findings)
    return findings


def _attempt(folder: Path, findings: _Findings) -> None:
    """Run the probe once, without what earlier attempts found broken; a step that ends its process is broken too."""
    skip = [["manifest", version] for version in findings.manifests]
    skip += [["fragment", id] for id in findings.fragments]
    command = [sys.executable, "-m", "sightline.index.probe", str(folder), json.dumps(skip)]
    findings.rows.clear()
    step: list[Any] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            match json.loads(line):
                case ["at", *step]:
                    pass
                case ["broken", reason]:
                    findings.blame(step, reason)
                case ["denied", reason]:
                    raise IndexFault(f"{folder} cannot be checked: {reason}")
                case ["newer", message]:
                    raise IndexTooNew(message)
                case ["holds", id, rows]:
                    findings.held[id] = rows
                case ["table", version]:
                    findings.version = version
                case ["row", address, id, reason]:
                    findings.rows[address] = id, reason
                case ["done"]:
                    findings.done = True
    if not findings.done:
        if not step:
            raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}")
        findings.blame(step, "reading it ends the process")
