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
from sightline.index import cleanup, lance_errors, lock
from sightline.index.folder import (
    POINTER,
    SETTINGS,
    exists,
    fallback,
    is_table,
    lance_path,
    live_table,
    manifests,
    switch,
)
from sightline.index.library import missing
from sightline.index.settings import read_settings
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

    def problems(self, table: Path) -> list[Problem]:
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

    Nothing is changed, and a writer may be at work. Raises IndexMissing, IndexTooNew, and IndexFault if the system
    does not let us read.
    """
    folder = Path(folder).absolute()
    path, problems = _examine_folder(folder)
    problems = problems + _probe(path).problems(path)
    if not problems:
        table = Table.open(folder)
        left = cleanup.leftovers(table)
        if not lock.is_held(folder) and table.newest() is table:  # else they may be those of a writer at work
            problems = list(map(_left_behind, left))
    return problems


def repair(folder: str | os.PathLike[str]) -> list[Problem]:
    """Keep what is whole of the index in `folder` and drop the rest; returns what was wrong.

    The table falls back on its newest version that can be read; parts and rows that are broken go. The next `sync`
    brings back what was lost. Only files of the index are touched. Raises IndexLocked while a writer is at work, and
    IndexDamaged if nothing can be read.
    """
    folder = Path(folder).absolute()
    if not exists(folder):
        raise missing(folder)
    with lock.writer(folder):
        path, problems = _examine_folder(folder)
        findings = _probe(path)
        if findings.version is None:
            raise IndexDamaged(f"nothing in {folder} can be read any more: delete it, and index into a new one")
        with lance_errors.writing(folder):
            for problem in problems:
                Path(problem.where).unlink(missing_ok=True)
            if problems:
                switch(folder, path.name)
            versions = manifests(path)
            for version in findings.manifests:
                versions[version].unlink(missing_ok=True)
        with lance_errors.reading(folder):  # not `Table.open`: it refuses parts that are about to be dropped
            table = Table(path, lance.dataset(lance_path(path)))
        cleanup.drop(table, list(findings.fragments), list(findings.rows))
        left = list(map(_left_behind, cleanup.leftovers(table)))
        cleanup.sweep(table)
    return problems + findings.problems(path) + left


def _examine_folder(folder: Path) -> tuple[Path, list[Problem]]:
    """The live table, or the table to go on with if the pointer is broken, and what is wrong with the small files."""
    if not exists(folder):
        raise missing(folder)
    problems = []
    try:
        read_settings(folder)
    except IndexDamaged:
        problems.append(Problem("cannot be read: which folders are indexed is lost", str(folder / SETTINGS)))
    path, reason = folder, "cannot be read" if (folder / POINTER).exists() else "is missing"
    try:
        path = live_table(folder)
        reason = f"names {path.name}, which does not exist"
    except IndexDamaged:
        pass
    if not is_table(path):
        path = fallback(folder) or path
        problems.append(Problem(reason, str(folder / POINTER), is_table(path)))
    return path, problems


def _left_behind(path: Path) -> Problem:
    return Problem("left behind by a writer that was killed or failed", str(path))


def _probe(table: Path) -> _Findings:
    findings = _Findings()
    while not findings.done:
        _attempt(table, findings)
    return findings


def _attempt(table: Path, findings: _Findings) -> None:
    """Run the probe once, without what earlier attempts found broken; a step that ends its process is broken too."""
    skip = [["manifest", version] for version in findings.manifests]
    skip += [["fragment", id] for id in findings.fragments]
    command = [sys.executable, "-m", "sightline.index.probe", str(table), json.dumps(skip)]
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
                    raise IndexFault(f"{table.parent} cannot be checked: {reason}")
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
