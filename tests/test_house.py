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
    assert set(sightline.__all__) == set(sightline._HOMES) | {"__version__"}
    for name in sightline.__all__:
        assert getattr(sightline, name) is not None
    assert dir(sightline) == sorted(sightline.__all__)


def test_importing_is_light() -> None:
    heavy = "torch", "faiss", "lance", "pyarrow", "PIL", "numpy", "transformers"
    code = f"import sys, sightline; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


def test_the_package_never_imports_the_reference() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        for line in path.read_text().splitlines():
            assert not line.lstrip().startswith(("import transformers", "from transformers")), path


def test_no_test_imports_from_another():
    """What several tests need is in `tests/support`; imports in the text of a program for another process count too."""
    tests = ROOT / "tests"
    rooms = {path.name for path in tests.iterdir() if path.is_dir()} - {"support", "__pycache__"}
    modules = {path.stem for path in tests.rglob("test_*.py")} | {"conftest"}
    taken = re.compile(rf"^\s*(?:from|import) (?:\.|(?:{'|'.join(sorted(rooms | modules))})\b)", re.MULTILINE)
    for path in tests.rglob("*.py"):
        assert not (found := taken.findall(path.read_text())), f"{path.relative_to(ROOT)}: {found}"


def test_every_test_file_says_what_it_is_about():
    tests = ROOT / "tests"
    for path in tests.rglob("test_*.py"):
        assert path.read_text().startswith('"""'), f"{path.relative_to(ROOT)} has no docstring"
        assert (path.parent == tests) or (path.parent / "__init__.py").exists(), path.parent
