"""`sightline library show`: what a library holds."""

from typing import Annotated

from sightline.cli.info import show_info
from sightline.cli.options import JsonOption, argument, typed


def command(
    name: Annotated[str, argument("NAME", "Show the library of this name.")], as_json: JsonOption = False
) -> None:
    """Show what a library holds.

    Prints what `sightline info --library NAME` prints.

    \b
    Example:
      sightline library show holiday
    """
    from sightline.index.library import library_folder

    show_info(library_folder(typed(name)), as_json)
