"""The programs of `docs/threads-and-processes.md`, run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.images import draw

PAGE = Path(__file__).parent.parent / "docs" / "threads-and-processes.md"
TITLES = ["Threads", "asyncio", "Processes: spawn", "Processes: fork"]
PRINTED = {"Threads": "3 (128,)", "asyncio": "(4, 128)", "Processes: spawn": "4", "Processes: fork": "3"}


def program(title: str) -> str:
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return code


def test_every_program_is_run() -> None:
    assert len(re.findall("```python", PAGE.read_text(encoding="utf-8"))) == len(TITLES)


@pytest.mark.system
@pytest.mark.parametrize("title", TITLES)
def test_the_program_runs(title: str, tmp_path: Path) -> None:
    if "fork" in title and not hasattr(os, "fork"):
        pytest.skip("no forks on this system")
    for number in range(4):
        draw(tmp_path / f"{number}.png", number)
    file = tmp_path / "program.py"
    file.write_text(program(title), encoding="utf-8")
    ran = subprocess.run([sys.executable, file], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == PRINTED[title]
