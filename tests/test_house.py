"""The house as a whole: what it shows, what it imports, what its files say."""

import re
import subprocess
import sys
from pathlib import Path

import sightline

ROOT = Path(__file__).parent.parent


def test_imports_point_down_only() -> None:
    run = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout


def test_every_public_name_is_there() -> None:
    assert sightline.__all__ == sorted(set(sightline.__all__))
    for name in sightline.__all__:
        assert getattr(sightline, name) is not None
    assert dir(sightline) == sightline.__all__


def test_type_checkers_see_every_public_name() -> None:
    source = (ROOT / "src/sightline/__init__.py").read_text()
    shown = re.findall(r"\b(\w+) as \1\b", source)
    assert sorted([*shown, "__version__"]) == sightline.__all__


def test_importing_is_light() -> None:
    heavy = "torch", "faiss", "lance", "pyarrow", "PIL", "numpy", "transformers"
    code = f"import sys, sightline; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


def test_the_package_never_imports_the_reference() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        for line in path.read_text().splitlines():
            assert not line.lstrip().startswith(("import transformers", "from transformers")), path
