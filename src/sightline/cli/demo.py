"""`sightline demo`: a gallery of drawn scenes, indexed and searched, with nothing to download."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.cli.output import bar, one_line

if TYPE_CHECKING:
    from sightline.scenes import Scene

FOLDER = Path("demo")
PICTURES, SIDE, SEED = 300, 256, 1
SHOWN = 5

END = """
Every command has --help. With your own photos:

  {sightline} index ~/Pictures
  {sightline} search "grandma on a red bicycle" --html found.html

The first of these fetches the model openai/clip-vit-base-patch32, once. Without a network, name a folder that holds a
checkpoint: --model FOLDER. (The model of this tour, mini, knows drawn scenes only.)
"""


def command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the gallery and its index go.")] = FOLDER,
) -> None:
    """Draw a gallery, index it with the model in the package, and search it: a tour without a download.

    \b
    Example:
      sightline demo
    """
    from sightline.encoder import load
    from sightline.index import sync
    from sightline.scenes import distinct
    from sightline.search import Query, open_index
    from sightline.search.sheet import Section, cards, picture, write_sheet

    gallery, index, example = folder / "pictures", folder / "index", folder / "example.png"
    *drawn, asked = distinct(PICTURES + 1, SEED)
    scenes = {f"scene-{number:03}.png": scene for number, scene in enumerate(drawn, 1)}
    _draw({gallery / name: scene for name, scene in scenes.items()} | {example: asked})
    model = load("mini")
    _show("index", str(gallery), "--index", str(index), "--model", "mini")
    with bar() as progress:
        summary = sync(index, [gallery], model, progress)
    typer.echo(f"{summary.added:,} added, {summary.unchanged:,} unchanged\n")

    queries = [
        Query("a yellow heart inside a white circle on green grass"),
        Query(images=(example,)),
        Query("on green grass", images=(example,)),
        Query("in moonlight", avoid=("a night sky",)),
    ]
    opened = open_index(index, model)
    sections = []
    for query in queries:
        options = [part for file in query.images for part in ("--image", str(file))]
        options += [part for text in query.avoid for part in ("--not", text)]
        _show("search", *query.texts, *options, "-k", str(SHOWN), "--index", str(index))
        if query.images:
            typer.echo(f"   ({example.name} shows {asked.caption})")
        found = opened.search(query, SHOWN)
        for result in found:
            name = Path(result.uri).name
            caption = scenes[name].caption if name in scenes else ""
            typer.echo(f"{result.rank:>3}  {result.score:.4f}  {one_line(name)}  {caption}")
        typer.echo()
        sections.append(Section(str(query), cards(opened.table, found), examples=[picture(f) for f in query.images]))
    write_sheet(folder / "found.html", "Sightline: a tour", sections)
    typer.echo(f"All of this as a page: {one_line(str((folder / 'found.html').absolute()))}")
    # In a virtual environment that isn't active the command goes by its path.
    typer.echo(END.format(sightline="sightline" if shutil.which("sightline") else sys.argv[0]))


def _show(*words: str) -> None:
    typer.secho(f"$ {shlex.join(('sightline', *words))}", bold=True)


def _draw(scenes: "dict[Path, Scene]") -> None:
    """Those of the pictures that are not there yet."""
    from sightline.files import replacing

    missing = {file: scene for file, scene in scenes.items() if not file.exists()}
    if missing:
        typer.echo(f"Drawing {len(missing)} scenes ...")
    for file, scene in missing.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            scene.draw(SIDE).save(temporary, "PNG")
