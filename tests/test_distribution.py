"""One name for the distribution, everywhere; and what is said where another project's package shares ours."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import sightline
from sightline import distribution
from sightline.cli.main import main
from sightline.distribution import NAME, VERSION, clash, install

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = set(PROJECT["project"]["optional-dependencies"])
PAGES = [ROOT / "README.md", ROOT / "Makefile", ROOT / ".ci" / "run", *(ROOT / "docs").rglob("*.md")]
SOURCES = [path for folder in ("src", "recipes", "benchmarks") for path in (ROOT / folder).rglob("*.py")]


def test_the_project_file_has_the_name_and_takes_the_version():
    assert PROJECT["project"]["name"] == NAME
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "src/sightline/distribution.py"
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert sightline.__version__ == VERSION
    own = [
        line for extra in EXTRAS for line in PROJECT["project"]["optional-dependencies"][extra] if "sightline" in line
    ]
    assert all(line.startswith(f"{NAME}[") for line in own)


def test_the_licence_is_a_file_of_the_package():
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert PROJECT["project"]["license-files"] == ["LICENSE"]
    assert "Apache License\n" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_command_line_that_installs():
    assert install() == f"pip install {NAME}"
    assert install("train") == f'pip install "{NAME}[train]"'


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_install_the_package_by_its_name(path):
    """Or from a clone (".", ".[train]"); PyTorch for processors comes from its own index."""
    for line in path.read_text(encoding="utf-8").splitlines():
        for words in re.findall(r"pip install ([^`#]*)", line):
            if words.startswith("torch --index-url https://download.pytorch.org/whl/cpu"):
                continue
            installed = [word.strip("'\"") for word in words.split() if not word.startswith("-")]
            for word in installed:
                assert re.fullmatch(rf"({re.escape(NAME)}|\.)(\[[a-z,]+\])?[,;:]?|constraints\.txt", word), line
        for extras in re.findall(rf"(?:{NAME}|['\" ]\.)\[([a-z,]+)\]", line):
            assert set(extras.split(",")) <= EXTRAS, line


def test_messages_take_the_name_from_the_constant():
    sources = {path: path.read_text(encoding="utf-8") for path in SOURCES if path != Path(distribution.__file__)}
    assert [path for path, text in sources.items() if NAME in text] == []
    assert [path for path, text in sources.items() if re.search(r"pip install[^\n]*\bsightline\b", text)] == []
    named = {extra for text in sources.values() for extra in re.findall(r"""\binstall\(["'](\w+)["']\)""", text)}
    assert named
    assert named <= EXTRAS


@pytest.fixture
def other(tmp_path, monkeypatch):
    """Installs the other project's distribution, under a name that no machine has."""
    monkeypatch.setattr(distribution, "CLASHING", "another-sightline")

    def install():
        folder = tmp_path / "another_sightline-9.9.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: another-sightline\nVersion: 9.9\n")
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_alone_there_is_nothing_to_say(other, capsys):
    assert clash() is None
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"sightline {VERSION}\n", "")


def test_beside_the_other_package_the_version_comes_with_the_way_out(other, capsys):
    other()
    assert main(["--version"]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (f"sightline {VERSION}\n", f"{clash()}\n")
    assert "another-sightline 9.9, another project" in err
    assert "`pip uninstall another-sightline`" in err
    assert f"`pip install --force-reinstall {NAME}`" in err


def test_an_unforeseen_error_is_explained_by_the_other_package(other, capsys, monkeypatch):
    def command() -> None:
        raise AttributeError("module 'sightline' has no attribute 'load'")

    monkeypatch.setattr("sightline.cli.info.command", command)
    assert main(["info"]) == 1
    assert "run again with --debug" in capsys.readouterr().err
    other()
    assert main(["info"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "pip uninstall another-sightline" in err


def test_a_public_name_that_cannot_be_imported_is_explained_by_it(other, monkeypatch):
    monkeypatch.setitem(sys.modules, "sightline.segment", None)  # as a file of the other project would be in its place
    monkeypatch.delitem(vars(sightline), "Segmenter", raising=False)
    other()
    with pytest.raises(ImportError) as raised:
        sightline.Segmenter  # noqa: B018
    assert raised.value.__notes__ == [clash()]


def test_a_search_does_not_read_the_installed_packages():
    """It takes ten times as long as the rest of the name and version."""
    code = "import sys, sightline.cli.main, sightline.distribution; print('importlib.metadata' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
