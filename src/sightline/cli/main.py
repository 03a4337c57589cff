"""The command `sightline`: finds the command's file, and turns every failure into one line and an exit status."""

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sightline.cli.output import one_line
from sightline.errors import SightlineError, UsageError

# Each is the function `command` in the file of its name, imported when it is called or when help is asked for.
COMMANDS = ("index", "search", "similar", "segment", "train", "info", "fsck", "verify", "demo")


class Commands(TyperGroup):
    """The commands, each imported only when it is needed, and each with the option --debug."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            near = get_close_matches(cmd_name, COMMANDS, 1)
            hint = f"did you mean {near[0]!r}?" if near else "see `sightline --help`"
            raise UsageError(f"there is no command {cmd_name!r}: {hint}")
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(cmd_name)(import_module(f"sightline.cli.{cmd_name}").command)
        command = typer.main.get_command(app)
        command.params += [option for option in self.params if option.name == "debug"]
        return command


app = typer.Typer(cls=Commands, add_completion=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def sightline(
    ctx: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", expose_value=False, help="Show the traceback of an error.")] = False,
) -> None:
    """Find pictures and moments in film with words, and pictures with pictures.

    \b
    Examples:
      sightline index ~/Pictures
      sightline search "grandma on a red bicycle"
      sightline demo
    """
    if show_version:
        typer.echo(f"sightline {version('sightline')}")
    elif ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def run() -> None:
    """The console script. It ends at once: taking torch and Lance apart would take longer than most searches."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever called
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 (for the rest of the process)
    status = main()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # whoever read it is gone
            stream.flush()
    os._exit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (without the program's name) and return its exit status: 0, 1 failed, 2 wrong use."""
    args = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding lacks is shown escaped, never an error.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    try:
        status = _run(list(args))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read the output has had enough (`| head`): whatever is still to be written goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _failed("stopped", 130)
    except Exception as error:
        # A test of the arguments as they stand: the failure may be one of reading them.
        if "--debug" in args:
            traceback.print_exc()
        if isinstance(error, SightlineError):
            return _failed(str(error), error.exit_code)
        if isinstance(error, typer.TyperException):
            return _failed(_usage(error, args), error.exit_code)
        return _failed(f"{_unexpected(error)}; run again with --debug for the traceback", 1)


def _run(args: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        with command.make_context("sightline", args) as context:
            command.invoke(context)
    except typer.Exit as exit:
        return exit.exit_code
    return 0


def _failed(message: str, status: int) -> int:
    print(f"sightline: {one_line(message)}", file=sys.stderr)
    return status


def _usage(error: typer.TyperException, args: list[str]) -> str:
    message = error.format_message().rstrip(".")
    command = next((arg for arg in args if arg in COMMANDS), None)
    hint = f"see `sightline {command} --help`" if command else "see `sightline --help`"
    if message.startswith("No such option") and command == "search":
        hint = 'a text that begins with a dash goes after "--", options before it; ' + hint
    if message.startswith("Got unexpected extra argument") and command == "search":
        hint = 'words with spaces between them want quotes: sightline search "a dog"; ' + hint
    return f"{message} ({hint})"


def _unexpected(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
