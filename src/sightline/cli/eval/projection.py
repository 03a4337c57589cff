"""`sightline eval projection`: how many numbers a vector needs."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.eval.common import (
    CaptionsArgument,
    HtmlFile,
    ImageRootOption,
    JsonFile,
    ModelArgument,
    PrecisionOption,
    SplitOption,
    check_files,
    finish,
    open_model,
)
from sightline.cli.output import progress_bar


def command(
    model: ModelArgument,
    data: CaptionsArgument,
    train: Annotated[
        list[str],
        typer.Option(metavar="SOURCE", help="Captions to train the heads on. May be given several times."),
    ],
    split: SplitOption = None,
    train_split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of what the heads are trained on.", show_default=False)
    ] = None,
    image_root: ImageRootOption = None,
    train_image_root: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where the pictures to train on are (as --image-root).", show_default=False
        ),
    ] = None,
    dims: Annotated[
        list[int] | None,
        typer.Option("--dim", metavar="N", help="A dimension; may be given several times (128 to 1024 if not)."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the heads and their batches.")] = 0,
    precision: PrecisionOption = "float32",
    json: JsonFile = None,
    html: HtmlFile = None,
) -> None:
    """Recall with vectors of other dimensions: new heads, trained briefly on frozen towers, beside the model's own
    vectors cut, and turned to their principal axes.

    \b
    Example:
      sightline eval projection openai/clip-vit-base-patch32 dataset_flickr8k.json --split val \\
        --train dataset_flickr8k.json --train-split train --html dimensions.html
    """
    check_files(json, html)

    from sightline.data import captions
    from sightline.evaluate import projection
    from sightline.evaluate.encode import quiet
    from sightline.evaluate.projection import DIMS

    opened = captions(data, split=split, image_root=image_root)
    learned = captions(train, split=train_split, image_root=train_image_root or image_root)
    encoder = open_model(model, precision)
    with progress_bar() as report:
        result = projection(
            encoder, learned, opened, report or quiet, dims=dims or DIMS, seed=seed, settings={"split": split}
        )
    finish(result, opened, json, html)
