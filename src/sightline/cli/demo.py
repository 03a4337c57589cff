"""`sightline demo`: a gallery of drawn scenes and a film, indexed, searched and segmented, with nothing to download."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.cli.output import bar, one_line, times

if TYPE_CHECKING:
    from sightline.report.contact_sheet import Section
    from sightline.scenes import Scene, SceneVideo

FOLDER = Path("demo")
PICTURES, SIDE, SEED = 300, 256, 1
SHOWN = 5

END = """
Every command has --help. With your own photos:

  {sightline} index ~/Pictures
  {sightline} search "grandma on a red bicycle" --html found.html

The first of these fetches the model openai/clip-vit-base-patch32, once. Without a network, name a folder that holds a
checkpoint: --model FOLDER. (The models of this tour know drawn scenes only.)
"""


def command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the gallery and its index go.")] = FOLDER,
) -> None:
    """Draw a gallery, index it with a model in the package, search and segment it: a tour without a download.

    \b
    Example:
      sightline demo
    """
    from sightline.encoder import load
    from sightline.index.sync import sync
    from sightline.report.contact_sheet import Section, cards, small_image, write_sheet
    from sightline.scenes import distinct
    from sightline.search import Query, open_index

    gallery, index, example = folder / "pictures", folder / "index", folder / "example.png"
    film, shots = gallery / "film.mp4", _shots()
    *drawn, asked = distinct(PICTURES + 1, SEED)
    scenes = {f"scene-{number:03}.png": scene for number, scene in enumerate(drawn, 1)}
    _draw({gallery / name: scene for name, scene in scenes.items()} | {example: asked})
    _film(shots, film)
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
        Query(shots[2].scene.caption),
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
            typer.echo(f"{result.rank:>3}  {result.score:.4f}  {one_line(name)}{times(result)}  {caption}")
        typer.echo()
        sections.append(
            Section(str(query), cards(opened.table, found), examples=[small_image(f) for f in query.images])
        )
    # The scene whose smallest thing is the largest.
    largest = max((name for name in scenes if len(scenes[name].things) > 1), key=lambda name: _least(scenes[name]))
    sections.append(_segment(gallery / largest, scenes[largest], folder / "segmented.png"))
    write_sheet(folder / "found.html", "Sightline: a tour", sections)
    typer.echo(f"All of this as a page: {one_line(str((folder / 'found.html').absolute()))}")
    # In a virtual environment that isn't active the command goes by its path.
    typer.echo(END.format(sightline="sightline" if shutil.which("sightline") else sys.argv[0]))


def _shots() -> "list[SceneVideo]":
    """Of four films, each with another background; what moves all the time, so that nothing of it is left out."""
    from sightline.scenes import distinct_videos

    shots: dict[str, SceneVideo] = {}
    for film in distinct_videos(60, SEED):
        if film.motion in ("left", "right", "up", "down", "bounces") and len(film.scene.things) > 1:
            shots.setdefault(film.scene.background, film)
    return list(shots.values())[:4]


def _film(shots: "list[SceneVideo]", file: Path) -> None:
    from sightline.files import replacing
    from sightline.scenes import write_video

    if not file.exists():
        with replacing(file) as temporary:
            write_video(shots, temporary, SIDE)


def _least(scene: "Scene") -> float:
    return min(thing.radius for thing in scene.things)


def _segment(file: Path, scene: "Scene", out: Path) -> "Section":
    """The parts of a picture by words, printed and painted."""
    from sightline.processing.image.reading import open_image
    from sightline.report.contact_sheet import Card, Section, small_image
    from sightline.report.overlay import overlay, save_png
    from sightline.scenes import BACKGROUNDS
    from sightline.segment import Segmenter

    words = [f"{thing.color} {thing.shape}" for thing in scene.things]
    words.append(BACKGROUNDS[scene.background].phrase.split(" ", 1)[1])
    _show("segment", str(file), *words, "--model", "mini-groupvit", "--out", str(out))
    found = Segmenter("mini-groupvit")(file, words)
    for name, share in zip(found.classes, found.shares.tolist(), strict=True):
        typer.echo(f"{share:6.1%}  {one_line(name)}")
    typer.echo()
    save_png(overlay(open_image(file), found.labels, found.classes, found.shares), out, found.classes)
    shown = Card(str(out.absolute()), float(found.shares.sum()), small_image(out))
    return Section(f"Which part is which: {', '.join(words)}", [shown], examples=[small_image(file)])


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
