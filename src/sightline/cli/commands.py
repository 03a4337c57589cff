"""A group of commands, each in a file of its name."""

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from sightline.errors import UsageError


class Command(TyperCommand):
    """A command whose help lists the options of each panel under a head of its own, those without one first."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            if (record := param.get_help_record(ctx)) is not None:
                kind = "Arguments" if param.param_type_name == "argument" else "Options"
                panels.setdefault(getattr(param, "rich_help_panel", None) or kind, []).append(record)
        for name, records in panels.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


class Commands(TyperGroup):
    """Imports the file of a command when it is called, or when help is asked for.

    The command is the file's function `command`; of a group of commands it is the file's `Typer`. Each command gets
    the option --debug.
    """

    package: ClassVar[str]
    names: ClassVar[Sequence[str]]

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.names)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.names:
            if ctx.resilient_parsing:  # the shell asks for completions of a wrong line
                return None
            near = get_close_matches(cmd_name, self.names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"see `{ctx.command_path} --help`"
            raise UsageError(f"there is no command {cmd_name!r}: {hint}")
        defined = import_module(f"{self.package}.{cmd_name.replace('-', '_')}").command
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        if isinstance(defined, typer.Typer):
            app = defined
        else:
            app.command(cmd_name, cls=Command)(defined)
        command = typer.main.get_command(app)
        command.name = cmd_name
        command.params += [option for option in self.params if option.name == "debug"]
        return command
