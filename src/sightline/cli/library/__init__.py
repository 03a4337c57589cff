"""`sightline library`: the indexes that have a name."""

from typing import ClassVar

import typer

from sightline.cli.commands import Commands


class Libraries(Commands):
    """What can be done with libraries, in the order of the help."""

    package: ClassVar = __name__
    names: ClassVar = ("list", "show", "delete")


command = typer.Typer(cls=Libraries, add_completion=False, rich_markup_mode=None)


@command.callback(invoke_without_command=True)
def library(ctx: typer.Context) -> None:
    """List, show and delete libraries, which are indexes with a name.

    \b
    Examples:
      sightline library list
      sightline index ~/Pictures/2024 --library holiday
      sightline library delete holiday
    """
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
