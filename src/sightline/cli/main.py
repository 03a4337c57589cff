"""The command `sightline`: finds the command's file, and turns every failure into one line and an exit status."""

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.commands import Commands
from sightline.cli.output import one_line
from sightline.distribution import clash, release
from sightline.errors import SightlineError

COMMANDS = ("index", "search", "similar", "segment", "train", "eval", "info", "fsck", "verify", "demo")


class Program(Commands):
    """All of them."""

    package, names = "sightline.cli", COMMANDS


app = typer.Typer(cls=Program, add_completion=False, rich_markup_mode=None)


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
        typer.echo(f"sightline {release()}")
        if warning := clash():
            typer.echo(warning, err=True)
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
