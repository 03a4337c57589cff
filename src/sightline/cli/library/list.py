"""`sightline library list`: the libraries, a line for each."""

import time
from pathlib import Path
from typing import Any

import typer

from sightline.cli.options import JsonOption
from sightline.cli.output import one_line, padded, write_json


def command(as_json: JsonOption = False) -> None:
    """List the libraries.

    Each with its number of items, size on disk, last change, model and folders.

    \b
    Examples:
      sightline library list
      sightline library list --json
    """
    from sightline.index.library import libraries

    lines = [_facts(name, folder) for name, folder in libraries().items()]
    if as_json:
        write_json(lines)
        return
    if not lines:
        typer.echo("there are no libraries; `sightline index PATH --library NAME` makes one")
        return
    names = padded(["library", *(one_line(line["library"]) for line in lines)])
    print(f"{names[0]} {'items':>10} {'MB':>10}  {'last change':<16}  model; folders")
    for name, line in zip(names[1:], lines, strict=True):
        about = line["damage"] or f"{line['model']}; {', '.join(line['folders']) or 'folders unknown'}"
        items = "?" if line["items"] is None else f"{line['items']:,}"
        changed = time.strftime("%Y-%m-%d %H:%M", time.localtime(line["changed"]))
        print(one_line(f"{name} {items:>10} {line['bytes'] / 1e6:>10,.1f}  {changed}  {about}"))


def _facts(name: str, folder: Path) -> dict[str, Any]:
    """`items` and what follows are unknown of a library that is damaged, which `damage` then says."""
    from sightline.errors import IndexFault
    from sightline.index import Table, lock
    from sightline.index.settings import read_settings

    files = [file.stat() for file in folder.rglob("*") if file.is_file() and file.name != lock.NAME]
    facts = {
        "library": name,
        "index": str(folder),
        "bytes": sum(file.st_size for file in files),
        "changed": int(max((file.st_mtime for file in files), default=0)),
    }
    try:
        table = Table.open(folder)
        held = {"items": table.count(), "model": table.model.name, "folders": list(read_settings(folder).folders)}
        return facts | held | {"damage": None}
    except IndexFault as error:
        return facts | {"items": None, "model": None, "folders": [], "damage": str(error)}
