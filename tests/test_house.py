"""The house as a whole: what it shows, what it imports, what its files say."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sightline

ROOT = Path(__file__).parent.parent


@pytest.mark.system
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


@pytest.mark.system
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


def test_no_circle_of_imports() -> None:
    """Imports inside functions count; imports for type checkers alone don't."""
    files = {module_name(path): path for path in (ROOT / "src").rglob("*.py")}
    assert len(files) > 100
    assert circles({name: imported_modules(path, set(files)) for name, path in files.items()}) == []


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")


def imported_modules(path: Path, modules: set[str]) -> set[str]:
    """The modules of the package that a file imports, anywhere in it.

    `from package import name` imports `package.name` if that is a module, else `package`.
    """
    found = set()
    for node in runtime_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                found.add(module if module in modules else str(node.module))
    return found & modules


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below this one but the bodies of `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from runtime_nodes(child)


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """A walk along the imports for each circle, from a module back to it; modules of a circle are in no other walk."""
    found = []
    left = dict(imports)
    while left := without_free_modules(left):
        walk = [min(left)]
        while walk.count(walk[-1]) == 1:
            walk.append(min(left[walk[-1]] & left.keys()))
        circle = walk[walk.index(walk[-1]) :]
        found.append(circle)
        left = {name: needs for name, needs in left.items() if name not in circle}
    return found


def without_free_modules(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """The modules that lie on a circle or import, directly or not, a module that does."""
    while free := {name for name, needs in imports.items() if not needs & imports.keys()}:
        imports = {name: needs for name, needs in imports.items() if name not in free}
    return imports


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c", "b"]]


def test_the_map_names_files_that_exist() -> None:
    page = (ROOT / "docs/finding-your-way.md").read_text(encoding="utf-8")
    files = re.findall(r"^\| .* \| `([\w/]+\.py)`", page, re.MULTILINE)
    assert len(files) == page.count("\n| ") - 1, "a row without a file first"
    assert [file for file in files if not (ROOT / "src/sightline" / file).is_file()] == []
