"""The command `sightline` itself: its help, its version, and the names of its commands."""

from typing import Annotated

import typer

from sightline.cli.commands import Commands
from sightline.distribution import VERSION, clash

COMMANDS = (
    "index",
    "search",
    "similar",
    "segment",
    "train",
    "eval",
    "info",
    "library",
    "fsck",
    "verify",
    "optimize",
    "profile",
    "export",
    "demo",
)


class Program(Commands):
    """The commands of `sightline`."""

    package, names = "sightline.cli", COMMANDS


app = typer.Typer(cls=Program, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def sightline(
    ctx: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", expose_value=False, help="Show the traceback of an error. Default: show one line."),
    ] = False,
) -> None:
    """Find images, and moments in videos, with words; and images with images.

    Exit status: 0 done, 1 failed, 2 wrong use, 130 stopped by Ctrl-C.

    \b
    Examples:
      sightline index ~/Pictures
      sightline search "grandma on a red bicycle"
      sightline demo
    """
    if show_version:
        typer.echo(f"sightline {VERSION}")
        if warning := clash():
            typer.echo(warning, err=True)
    elif ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
