"""`sightline library delete`: takes a library away."""

import sys
from typing import Annotated

import typer

from sightline.cli.options import argument, option, typed
from sightline.cli.output import one_line
from sightline.errors import UsageError


def command(
    name: Annotated[str, argument("NAME", "Delete the library of this name; images and videos stay.")],
    yes: Annotated[bool, option(None, "Delete without a question. Default: ask.", "--yes")] = False,
) -> None:
    """Delete a library.

    The images and videos that it lists stay where they are.

    \b
    Examples:
      sightline library delete holiday
      sightline library delete holiday --yes
    """
    from sightline.index.library import delete_library, libraries, library_folder, missing

    name = typed(name)
    folder = library_folder(name)
    if folder not in libraries().values():
        raise missing(folder)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"nobody can be asked whether to delete {folder}: give --yes")
        if not typer.confirm(one_line(f"delete {folder}, the index alone?")):
            typer.echo("nothing was deleted")
            return
    delete_library(name)
    typer.echo(f"deleted: {one_line(str(folder))}")
