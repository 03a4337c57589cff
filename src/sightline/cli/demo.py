"""`sightline demo`: a gallery of drawn scenes, indexed and searched, with nothing to download."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.cli.output import bar, one_line

if TYPE_CHECKING:
    from sightline.scenes import Scene

PICTURES, SIDE, SEED = 300, 256, 1
SHOWN = 5

END = """
Every command has --help. With your own photos:

  sightline index ~/Pictures           (the first time, this fetches the model openai/clip-vit-base-patch32)
  sightline search "grandma on a red bicycle" --html found.html
"""


def command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the gallery and its index go.")] = Path(
        "demo"
    ),
) -> None:
    """Draw a gallery, index it with the model in the package, and search it: a tour without a download.

    \b
    Example:
      sightline demo
    """
    from sightline.encoder import load
    from sightline.index import sync
    from sightline.search import Query, open_index
    from sightline.search.sheet import Section, cards, picture, write_sheet

    gallery, index, example = folder / "pictures", folder / "index", folder / "example.png"
    scenes = _draw(gallery, example)
    model = load("mini")
    _show("index", str(gallery), "--index", str(index), "--model", "mini")
    with bar() as progress:
        summary = sync(index, [gallery], model, progress)
    typer.echo(f"{summary.added:,} added, {summary.unchanged:,} unchanged\n")

    queries = [
        Query("a red star on green grass"),
        Query(images=(example,)),
        Query("in moonlight", images=(example,)),
        Query("a yellow fish", avoid=("sand",)),
    ]
    opened = open_index(index, model)
    sections = []
    for query in queries:
        options = [part for file in query.images for part in ("--image", str(file))]
        options += [part for text in query.avoid for part in ("--not", text)]
        _show("search", *query.texts, *options, "-k", str(SHOWN), "--index", str(index))
        found = opened.search(query, SHOWN)
        for result in found:
            name = Path(result.uri).name
            typer.echo(f"{result.rank:>3}  {result.score:.4f}  {name}  {scenes[name].caption}")
        typer.echo()
        sections.append(Section(str(query), cards(opened.table, found), examples=[picture(f) for f in query.images]))
    write_sheet(folder / "found.html", "Sightline: a tour", sections)
    typer.echo(f"All of this as a page: {one_line(str((folder / 'found.html').absolute()))}")
    typer.echo(END)


def _show(*words: str) -> None:
    typer.secho(f"$ {shlex.join(('sightline', *words))}", bold=True)


def _draw(gallery: Path, example: Path) -> "dict[str, Scene]":
    """The gallery's scenes by file name, drawn where they are not there yet; and the picture to search with."""
    from sightline.checkpoint.files import replacing
    from sightline.scenes import distinct

    *scenes, asked = distinct(PICTURES + 1, SEED)
    gallery.mkdir(parents=True, exist_ok=True)
    named = {f"scene-{number:03}.png": scene for number, scene in enumerate(scenes, 1)}
    typer.echo(f"Drawing {len(named)} scenes into {one_line(str(gallery))} ...")
    for file, scene in [*((gallery / name, scene) for name, scene in named.items()), (example, asked)]:
        if not file.exists():
            with replacing(file) as temporary:
                scene.draw(SIDE).save(temporary, "PNG")
    return named
