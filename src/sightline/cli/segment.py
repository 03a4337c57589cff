"""`sightline segment`: which word fits each part of an image."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.options import BatchSizeOption, DeviceOption, JsonOption, argument, check_image, option, typed
from sightline.cli.output import hub_hint, one_line, write_json
from sightline.encoder.precision import Precision
from sightline.errors import UsageError
from sightline.segment.defaults import DEFAULT_MODEL, Mode
from sightline.templates import IMAGE_TEMPLATE


def command(
    image: Annotated[Path, argument("IMAGE", "Segment this image file.")],
    words: Annotated[list[str], argument("WORD...", "Look for what these words name: two words or more.")],
    background: Annotated[
        float | None,
        option(
            "P",
            "Call a pixel background when no word fits it with at least probability P, above 0 and up to 1 (try 0.95 "
            "for photos). Default: every pixel gets a word.",
        ),
    ] = None,
    mode: Annotated[
        Mode,
        option(
            None,
            "Segment by this method: `paper` averages sliding windows as Xu et al. (2022) evaluate; `transformers` "
            "enlarges the segmentation logits of that library. Default: paper.",
        ),
    ] = "paper",
    out: Annotated[
        Path | None,
        option(
            "FILE",
            "Write the painted image to FILE (PNG), and a label map beside it (FILE with .labels.png). Default: "
            "print only.",
        ),
    ] = None,
    prompt: Annotated[
        str,
        option(
            "TEXT",
            "Put each word into this text, in place of {}, and let the model read it. Default: " + IMAGE_TEMPLATE,
        ),
    ] = IMAGE_TEMPLATE,
    model: Annotated[
        str,
        option(
            "NAME_OR_FOLDER",
            "Use this GroupViT model: a Hub name, a folder, or mini-groupvit, which knows the colors and backgrounds "
            f"of drawn scenes. Default: {DEFAULT_MODEL}.",
        ),
    ] = DEFAULT_MODEL,
    precision: Annotated[
        Precision,
        option(
            None,
            "Compute in this precision; auto is bfloat16 where the hardware has it, which changes labels at edges. "
            "Default: float32.",
        ),
    ] = "float32",
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find which of the given words fits each part of an image.

    Prints each word's share of the image. Every pixel gets the word that fits it best; with --background, pixels that
    no word fits become background.

    \b
    Examples:
      sightline segment room.jpg cat sofa wall --out room.png
      sightline segment street.jpg car bus person --background 0.95
      sightline segment drawn.png "something red" "white paper" --model mini-groupvit
    """
    image = check_image(image)
    if out is not None:
        from sightline.report.overlay import check_overlay

        check_overlay(out)
        if out.absolute() == image.absolute():
            raise UsageError(f"{out} is the image itself: choose another name")

    from sightline.segment import Segmenter

    with hub_hint("--model FOLDER, or --model mini-groupvit"):
        segmenter = Segmenter(model, device=device, precision=precision, batch_size=batch_size)
    words, prompt = list(map(typed, words)), typed(prompt)
    segmentation = segmenter(image, words, mode=mode, background=background, prompt=prompt)
    rest = max(0.0, 1 - float(segmentation.shares.sum()))
    lines = sorted(zip(segmentation.shares.tolist(), segmentation.classes, strict=True), key=lambda line: -line[0])
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

        labels, classes = segmentation.labels, segmentation.classes
        save_png(label_map(labels, classes), label_file(out), classes)
        save_png(overlay(open_image(image), labels, classes, segmentation.shares), out, classes)
        typer.echo(f"image: {one_line(str(out))}, labels: {one_line(str(label_file(out)))}", err=True)
