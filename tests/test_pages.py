"""README and docs: their commands can be typed, their names and links exist, decisions have one form and an index."""

import ast
import re
from pathlib import Path

import pytest

import sightline
from support.command_line import commands, lines_of, parse

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
NAMES = dict(commands())
PARTS = ("Status", "Date", "Question", "Decision", "Why", "Consequences")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def blocks(page, *languages):
    return [
        code for name, code in re.findall(r"```(\w*)\n(.*?)```", page.read_text("utf-8"), re.S) if name in languages
    ]


def spans(page):
    """Code within a line of text, line breaks as spaces."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


@pages
def test_commands_can_be_typed(page):
    lines = [line for code in blocks(page, "sh", "") for line in lines_of(code)]
    for line in lines + spans(page):
        words = line.split()
        if not words or words[0] != "sightline":
            continue
        is_placeholder = words[1:2] == ["eval"] and words[-1].isupper()  # `sightline eval KIND`
        if " ".join(words[1:]) not in NAMES and not is_placeholder:  # else the command as such
            parse(line)


@pages
def test_python_names_are_public(page):
    for code in blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module == "sightline":
                assert {alias.name for alias in node.names} <= set(sightline.__all__)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sightline":
                assert node.attr in sightline.__all__


@pages
def test_links_within_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


@pages
def test_files_that_are_named_exist(page):
    for code in spans(page) + blocks(page, "sh", ""):
        for file in re.findall(r"(?<![\w./])(?:src|tests|docs|recipes|benchmarks)/[\w./-]+\.(?:py|md|json)\b", code):
            assert (ROOT / file).exists(), file


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_the_form(decision):
    text = decision.read_text("utf-8")
    assert re.match(rf"# {decision.name[:4]}: [A-Z].*[^.]\n\n\*\*Status\.\*\* ", text)
    found = [part for part in re.findall(r"^\*\*(\w+)[^*]*\.\*\*", text, re.M) if part in PARTS]
    assert tuple(dict.fromkeys(found)) == PARTS
    assert re.search(r"^\*\*Date\.\*\* \d{4}-\d\d-\d\d\.$", text, re.M)
    assert not re.search(r"^#+ ", text[2:], re.M), "one heading"


def test_the_index_of_decisions_lists_each():
    text = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    listed = re.findall(r"^\| \[(\d{4})\]\((.*?)\) \| (.*?) \| (.*?) \| (.*?) \| .+ \|$", text, re.M)
    assert [file for _, file, *_ in listed] == [path.name for path in DECISIONS]
    for number, file, title, status, date in listed:
        decision = (ROOT / "docs" / "decisions" / file).read_text("utf-8")
        assert decision.startswith(f"# {number}: {title}\n")
        assert f"**Status.** {status.capitalize()}" in decision
        assert f"**Date.** {date}." in decision
