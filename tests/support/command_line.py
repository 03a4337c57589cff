"""Commands as they are written in help, pages and messages, read by the program's parser."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer

from sightline.cli.commands import Commands
from sightline.cli.program import app


def program() -> Commands:
    command: Any = typer.main.get_command(app)
    return command


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its name as it is typed: "index", ..., "eval", "eval retrieval", ..."""
    group = program()
    context = group.make_context("sightline", ["info"])
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield name, command
        if isinstance(command, Commands):
            inner = command.make_context(name, [command.names[0]])
            for inner_name in command.list_commands(inner):
                yield f"{name} {inner_name}", command.get_command(inner, inner_name)


def parse(line: str) -> None:
    """Read `sightline ...` as the program would, and run nothing. Raises what the parser raises.

    Options of a group (--version, --install-completion) act while they are read: they are only looked up.
    """
    words = shlex.split(line, comments=True)
    assert words.pop(0) == "sightline", line
    command: Any = program()
    name = "sightline"
    while isinstance(command, Commands):
        if not words:
            return
        if words[0].startswith("-"):
            assert words[0] in ("--help", *(option for param in command.params for option in param.opts)), line
            return
        context = command.make_context(name, [words[0]])
        name = words.pop(0)
        command = command.get_command(context, name)
    if "--help" not in words:
        command.make_context(name, words)


def lines_of(text: str) -> list[str]:
    """The lines of a block of a shell's commands, those that end with a backslash joined to the next."""
    return [line.strip() for line in re.sub(r"\\\n\s*", "", text).splitlines()]
