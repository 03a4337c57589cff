"""Nothing of torch, PIL and their like is changed: neither by importing Sightline, nor anywhere in its source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = {
    "sightline",
    "torch",
    "PIL",
    "transformers",
    "peft",
    "numpy",
    "huggingface_hub",
    "safetensors",
    "tokenizers",
}
SOURCE = Path(__file__).parents[2] / "src" / "sightline"

# In a process of its own: what the classes and modules of other libraries hold, before and after all of ours is there.
PROGRAM = """
import importlib, pkgutil, sys
from types import ModuleType
import PIL.Image, PIL.ImageFile, numpy, torch, torch.nn.functional, torch.utils.checkpoint
import huggingface_hub, peft, safetensors.torch, tokenizers, transformers
from transformers import CLIPModel

ROOTS = set(sys.argv[1:])

def held():
    found = {}
    for name, module in list(sys.modules.items()):
        if module is None or name.split(".")[0] not in ROOTS:
            continue
        space = dict(vars(module))
        found[name] = {key: id(value) for key, value in space.items() if not isinstance(value, ModuleType)}
        for kind in space.values():
            if isinstance(kind, type) and kind.__module__ == name:
                found[f"{name}.{kind.__qualname__}"] = {key: id(value) for key, value in vars(kind).items()}
    return found

kept = []  # so that no id is given twice
before = held()
import sightline
kept.append([getattr(sightline, name) for name in sightline.__all__])
for module in pkgutil.walk_packages(sightline.__path__, "sightline."):
    if "__main__" not in module.name:
        importlib.import_module(module.name)
after = held()
GROWS = {"__warningregistry__", "__abstractmethods__", "_abc_impl", "__subclasses__"}
for name, attributes in before.items():
    for key, value in attributes.items():
        if after[name].get(key) != value and key not in GROWS and not key.startswith("_"):
            print(name, key)
"""


@pytest.mark.system
def test_importing_everything_changes_nothing_elsewhere():
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, *PACKAGES - {"sightline"}],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split("\n")[:-1] == []


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_line_assigns_to_what_is_imported(path):
    assert assigned_to_imports(ast.parse(path.read_text(encoding="utf-8"))) == []


def assigned_to_imports(tree: ast.Module) -> list[str]:
    """Assignments, deletions and `setattr` of an attribute of a name that the file imports from these packages."""
    imported = set()
    for node in ast.walk(tree):
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            module = node.module if isinstance(node, ast.ImportFrom) else alias.name
            if module.split(".")[0] in PACKAGES:
                imported.add((alias.asname or alias.name).split(".")[0])
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            target = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("setattr", "delattr"):
            target = node.args[0]
        else:
            continue
        if root(target) in imported:
            found.append(ast.unparse(node))
    return found


def root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def test_such_lines_are_found():
    lines = (
        "import torch\nfrom torch import nn\ntorch.x.y = 1\nsetattr(nn.Linear, 'forward', 2)\ndel nn.Linear.forward\n"
    )
    assert len(assigned_to_imports(ast.parse(lines))) == 3
    assert assigned_to_imports(ast.parse("import torch\nmodel = torch.nn.Linear(1, 1)\nmodel.weight = 1")) == []
