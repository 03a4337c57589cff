"""`sightline demo`: drawn scenes and a video, indexed, searched and segmented, with nothing to download."""

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.cli.options import argument
from sightline.cli.output import one_line, place, progress_bar

if TYPE_CHECKING:
    from sightline.report.contact_sheet import CardGroup
    from sightline.scenes import Scene, SceneVideo
    from sightline.search import Index, Query

IMAGES, SIDE, SEED = 300, 256, 1
RESULTS = 5

END = """
Every command has --help. With your own photos:

  {sightline} index ~/Pictures
  {sightline} search "grandma on a red bicycle" --html found.html

The first of these fetches the model openai/clip-vit-base-patch32, once. Without a network, name a folder that holds a
checkpoint: --model FOLDER. (The models of this tour know only drawn scenes.)
"""


def command(
    folder: Annotated[
        Path, argument("FOLDER", "Write the gallery, its index and the pages into this folder. Default: demo.")
    ] = Path("demo"),
) -> None:
    """Take a tour without a download.

    Draws a gallery of images and a video, indexes it with a model in the package, searches and segments it.

    \b
    Example:
      sightline demo
    """
    tour(folder, IMAGES)


def tour(folder: Path, images: int) -> None:
    """The tour, over a gallery of that many images."""
    from sightline.report.contact_sheet import write_sheet

    gallery = Gallery.plan(folder, images)
    gallery.draw()
    index = _index(gallery)
    sections = [_search(query, index, gallery) for query in _queries(gallery)]
    sections.append(_segment(gallery))
    page = folder / "found.html"
    write_sheet(page, "Sightline: a tour", sections)
    typer.echo(f"All of this as a page: {one_line(str(page.absolute()))}")
    # In a virtual environment that isn't active the command goes by its path.
    typer.echo(END.format(sightline=_program()))


@dataclass(frozen=True)
class Gallery:
    """What is drawn: an image of each scene, a video of a few shots, and an example image, which is not indexed."""

    folder: Path
    scenes: "dict[str, Scene]"
    """By file name in `images`."""
    shots: "list[SceneVideo]"
    example: "Scene"

    @classmethod
    def plan(cls, folder: Path, images: int) -> "Gallery":
        from sightline.scenes import distinct

        *scenes, example = distinct(images + 1, SEED)
        named = {f"scene-{number:03}.png": scene for number, scene in enumerate(scenes, 1)}
        return cls(folder, named, _shots(), example)

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def example_file(self) -> Path:
        return self.folder / "example.png"

    def draw(self) -> None:
        """Writes the files that are missing."""
        from sightline.files import replacing
        from sightline.scenes import write_video

        scenes = {self.images / name: scene for name, scene in self.scenes.items()} | {self.example_file: self.example}
        missing = {file: scene for file, scene in scenes.items() if not file.exists()}
        if missing:
            typer.echo(f"Drawing {len(missing)} scenes ...")
        for file, scene in missing.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file) as temporary:
                scene.draw(SIDE).save(temporary, "PNG")
        video = self.images / "video.mp4"
        if not video.exists():
            with replacing(video) as temporary:
                write_video(self.shots, temporary, SIDE)


def _program() -> str:
    """The command as it can be typed: by its path in a virtual environment that isn't active, or as a module."""
    if shutil.which("sightline"):
        return "sightline"
    return "python -m sightline" if Path(sys.argv[0]).name == "__main__.py" else sys.argv[0]


def _shots() -> "list[SceneVideo]":
    """Four videos with different backgrounds in which something moves all the time, so that none is left out."""
    from sightline.scenes import distinct_videos

    shots: dict[str, SceneVideo] = {}
    for video in distinct_videos(60, SEED):
        if video.motion in ("left", "right", "up", "down", "bounces") and len(video.scene.things) > 1:
            shots.setdefault(video.scene.background, video)
    return list(shots.values())[:4]


def _index(gallery: Gallery) -> "Index":
    from sightline.encoder import load
    from sightline.index.sync import sync
    from sightline.search import open_index

    folder = gallery.folder / "index"
    model = load("mini")
    _show("index", str(gallery.images), "--index", str(folder), "--model", "mini")
    with progress_bar() as progress:
        report = sync(folder, [gallery.images], model, progress)
    typer.echo(f"{report.added:,} added, {report.unchanged:,} unchanged\n")
    return open_index(folder, model)


def _queries(gallery: Gallery) -> "list[Query]":
    """By words, by an image, by both, with something to avoid, and for a moment of the video."""
    from sightline.search import Query

    example = gallery.example_file
    return [
        Query("a yellow heart inside a white circle on green grass"),
        Query(images=(example,)),
        Query("on green grass", images=(example,)),
        Query("in moonlight", avoid=("a night sky",)),
        Query(gallery.shots[2].scene.caption),
    ]


def _search(query: "Query", index: "Index", gallery: Gallery) -> "CardGroup":
    """Prints the results of a query, and returns them as a section of the page."""
    from sightline.report.contact_sheet import CardGroup, cards, small_image

    options = [part for file in query.images for part in ("--image", str(file))]
    options += [part for text in query.avoid for part in ("--not", text)]
    _show("search", *query.texts, *options, "-k", str(RESULTS), "--index", str(gallery.folder / "index"))
    if query.images:
        typer.echo(f"   ({gallery.example_file.name} shows {gallery.example.caption})")
    results = index.search(query, RESULTS)
    for result in results:
        name = Path(result.uri).name
        caption = gallery.scenes[name].caption if name in gallery.scenes else ""
        typer.echo(f"{result.rank:>3}  {result.score:.4f}  {one_line(name)}{place(result)}  {caption}")
    typer.echo()
    return CardGroup(str(query), cards(index.table, results), examples=[small_image(file) for file in query.images])


def _segment(gallery: Gallery) -> "CardGroup":
    """Prints the parts of an image by words and paints them; returns the painting as a section of the page."""
    from sightline.processing.image.reading import open_image
    from sightline.report.contact_sheet import Card, CardGroup, small_image
    from sightline.report.overlay import overlay, save_png
    from sightline.scenes import BACKGROUNDS
    from sightline.segment import Segmenter

    name = _clearest(gallery.scenes)
    file, scene, out = gallery.images / name, gallery.scenes[name], gallery.folder / "segmented.png"
    words = [f"{thing.color} {thing.shape}" for thing in scene.things]
    words.append(BACKGROUNDS[scene.background].phrase.split(" ", 1)[1])
    _show("segment", str(file), *words, "--model", "mini-groupvit", "--out", str(out))
    segmentation = Segmenter("mini-groupvit")(file, words)
    for word, share in zip(segmentation.classes, segmentation.shares.tolist(), strict=True):
        typer.echo(f"{share:6.1%}  {one_line(word)}")
    typer.echo()
    painted = overlay(open_image(file), segmentation.labels, segmentation.classes, segmentation.shares)
    save_png(painted, out, segmentation.classes)
    card = Card(str(out.absolute()), None, small_image(out))
    return CardGroup(f"Which part is which: {', '.join(words)}", [card], examples=[small_image(file)])


def _clearest(scenes: "dict[str, Scene]") -> str:
    """The name of the scene with several things whose smallest thing is the largest."""
    several = [name for name, scene in scenes.items() if len(scene.things) > 1]
    return max(several, key=lambda name: min(thing.radius for thing in scenes[name].things))


def _show(*words: str) -> None:
    """Prints the command that does the same."""
    typer.secho(f"$ {shlex.join(('sightline', *words))}", bold=True)
