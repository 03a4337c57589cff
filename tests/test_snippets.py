"""The programs of `docs/threads-and-processes.md` and `docs/from-open-clip.md`, run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.images import draw

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "threads-and-processes.md"
PRINTED = {"Threads": "3 (128,)", "asyncio": "(4, 128)", "Processes: spawn": "4", "Processes: fork": "3"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the images that the page speaks of."""
    for number in range(4):
        draw(tmp_path / f"{number}.png", number)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def program(title: str) -> str:
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return code


def test_every_program_is_run() -> None:
    assert len(re.findall("```python", PAGE.read_text(encoding="utf-8"))) == len(PRINTED)


@pytest.mark.parametrize("title", ["Threads", "asyncio"])
def test_a_program_of_one_process_runs(title: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(program(title), title, "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.strip() == PRINTED[title]


@pytest.mark.system
@pytest.mark.parametrize("title", ["Processes: spawn", "Processes: fork"])
def test_a_program_of_several_processes_runs(title: str, folder: Path) -> None:
    if "fork" in title and not hasattr(os, "fork"):
        pytest.skip("no forks on this system")
    file = folder / "program.py"
    file.write_text(program(title), encoding="utf-8")
    ran = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == PRINTED[title]


def test_the_parts_of_a_script_for_open_clip_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = re.findall(r"```python\n(.*?)```", (DOCS / "from-open-clip.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    for part in parts:
        exec(compile(part, "from-open-clip.md", "exec"), names)
    assert capsys.readouterr().out.strip() == "(2, 64) (2, 2)"
