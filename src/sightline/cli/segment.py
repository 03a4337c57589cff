"""`sightline segment`: which of some words each part of a picture goes by."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.output import JsonOption, check_image, one_line, write_json
from sightline.errors import HubError, UsageError
from sightline.templates import IMAGE_TEMPLATE


def command(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The picture.", show_default=False)],
    words: Annotated[
        list[str], typer.Argument(metavar="WORD...", help="What may be in it: two words or more.", show_default=False)
    ],
    background: Annotated[
        float | None,
        typer.Option(metavar="T", help="Leave unnamed what no word fits with this probability (0 to 1; try 0.95)."),
    ] = None,
    mode: Annotated[
        str,
        typer.Option(
            metavar="transformers|paper",
            help="paper: windows and groups as Xu et al. (2022) evaluate; transformers: its segmentation logits.",
        ),
    ] = "paper",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the picture painted (PNG), and beside it its labels (.labels.png)."),
    ] = None,
    prompt: Annotated[
        str, typer.Option(metavar="TEXT", help="The text that a word is put into, at {}.")
    ] = IMAGE_TEMPLATE,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME_OR_FOLDER",
            help="A GroupViT: on the Hub, in a folder, or mini-groupvit, which knows the "
            "colors and backgrounds of drawn scenes.",
        ),
    ] = "nvidia/groupvit-gcc-yfcc",
    as_json: JsonOption = False,
) -> None:
    """Find which of some words each part of a picture goes by.

    Prints each word's share of the picture. Every pixel gets the word that fits it best; with --background, pixels that
    none fits stay without.

    \b
    Examples:
      sightline segment room.jpg cat sofa wall --out room.png
      sightline segment street.jpg car bus person --background 0.95
      sightline segment drawn.png "something red" "white paper" --model mini-groupvit
    """
    check_image(image)
    if out is not None:
        from sightline.report.overlay import check_overlay

        check_overlay(out)
        if out.absolute() == image.absolute():
            raise UsageError(f"{out} is the picture itself: choose another name")

    from sightline.segment import Segmenter

    try:
        segmenter = Segmenter(model)
    except HubError as error:
        raise HubError(f"{error} (here: --model FOLDER, or --model mini-groupvit)", error.reason) from error
    found = segmenter(image, words, mode=mode, background=background, prompt=prompt)  # type: ignore[arg-type]
    rest = max(0.0, 1 - float(found.shares.sum()))
    lines = sorted(zip(found.shares.tolist(), found.classes, strict=True), key=lambda line: -line[0])
    if as_json:
        write_json({"class": name, "share": share} for share, name in lines)
        if background is not None:
            write_json([{"class": None, "share": rest}])
    else:
        for share, name in lines:
            typer.echo(f"{share:6.1%}  {one_line(name)}")
        if background is not None:
            typer.echo(f"{rest:6.1%}  (background)")
    if out is not None:
        from sightline.processing.image.reading import open_image
        from sightline.report.overlay import label_file, label_map, overlay, save_png

        save_png(label_map(found.labels, found.classes), label_file(out), found.classes)
        save_png(overlay(open_image(image), found.labels, found.classes, found.shares), out, found.classes)
        typer.echo(f"picture: {one_line(str(out))}, labels: {one_line(str(label_file(out)))}", err=True)
