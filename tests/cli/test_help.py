"""The help of every command: each option's text stands alone, and every example can be typed."""

import os
import re
import subprocess
import sys

import pytest

from sightline.cli.main import COMPLETE
from support.command_line import commands, lines_of, parse

ALL = dict(commands())
# These begin half a sentence, which leans on the option above.
FRAGMENTS = ("Of ", "To ", "As ", "At ", "By ", "In ", "From ", "Where ", "What ", "How ", "If ", "Else ")


def options(name):
    return [param for param in ALL[name].params if param.name != "debug"]


def completions(line):
    """What the shell offers after `line`."""
    words = line.split(" ")
    environment = {**os.environ, COMPLETE: "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    command = [sys.executable, "-m", "sightline"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("name", ALL)
def test_each_options_help_is_a_sentence(name):
    texts = [param.help or "" for param in options(name)]
    assert [text for text in texts if not re.fullmatch(r"[A-Z][^\n]*[.)\]]", text) or text.startswith(FRAGMENTS)] == []


@pytest.mark.parametrize("name", ALL)
def test_no_paragraph_leans_on_the_line_above(name):
    paragraphs = (ALL[name].help or "").split("\n\n")
    assert [text for text in paragraphs if text.startswith((*FRAGMENTS, "And ", "Or ", "Among "))] == []


@pytest.mark.parametrize("name", ALL)
def test_the_help_of_each_option_names_its_default_in_one_way(name):
    context = ALL[name].make_context(name, [], resilient_parsing=True)
    silent = []
    for param in options(name):
        _, text = param.get_help_record(context) or ("", "")
        default = "" if param.default in (None, False, (), []) else str(param.default)
        stated = f"Default: {default}" in text or "Needed without a recipe." in text
        if "[default" in text or (param.param_type_name == "option" and not param.required and not stated):
            silent.append(param.opts[0])
    assert silent == []


@pytest.mark.parametrize("name", ALL)
def test_choices_are_the_parsers(name):
    """A metavar that lists choices, "auto|float32", is only a text; a Literal is checked and completed."""
    assert [o.opts[0] for o in options(name) if re.fullmatch(r"[a-z0-9]+(\|[a-z0-9]+)+", o.metavar or "")] == []


@pytest.mark.parametrize("name", ALL)
def test_every_example_can_be_typed(name):
    block = re.search(r"Examples?:\n(.*)", ALL[name].help, re.DOTALL)
    assert block, "no example"
    examples = [line for line in lines_of(block[1]) if line]
    assert examples[0].startswith(f"sightline {name}")
    for line in examples:
        parse(line)


@pytest.mark.parametrize("group", [(), ("eval",), ("library",)])
def test_the_list_of_commands_shows_a_whole_sentence_for_each(run, group):
    listed = run(*group, "--help").out.split("Commands:")[1]
    assert listed.count(".\n") == listed.strip().count("\n") + 1
    assert "..." not in listed


@pytest.mark.system
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("sightline se", ["search", "segment"]),
        ("sightline eval ret", ["retrieval"]),
        ("sightline segment --mod", ["--mode", "--model"]),
        ("sightline segment --mode ", ["transformers", "paper"]),
        ("sightline train --freeze t", ["text"]),
    ],
)
def test_the_shell_completes_commands_options_and_choices(line, offered):
    assert sorted(completions(line)) == sorted(offered)
