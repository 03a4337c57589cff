"""`sightline eval projection`: how many numbers a vector needs."""

from pathlib import Path
from typing import Annotated

from sightline.cli.eval.common import evaluate_all, open_model
from sightline.cli.eval.files import Files
from sightline.cli.eval.options import (
    CaptionsArgument,
    CsvOption,
    FreshOption,
    HtmlOption,
    ImageRootOption,
    JsonOption,
    LatexOption,
    MarkdownOption,
    ModelArgument,
    PrecisionOption,
    SeedOption,
    SplitOption,
)
from sightline.cli.options import BatchSizeOption, DeviceOption, option


def command(
    model: ModelArgument,
    source: CaptionsArgument,
    train: Annotated[list[str], option("SOURCE", "Train the heads on these captions. May be repeated.")],
    split: SplitOption = None,
    train_split: Annotated[
        str | None, option("NAME", "Train the heads on this split of --train only. Default: all of them.")
    ] = None,
    image_root: ImageRootOption = None,
    train_image_root: Annotated[
        Path | None,
        option(
            "FOLDER", "Look in this folder, or these shards, for the images that --train names. Default: --image-root."
        ),
    ] = None,
    dims: Annotated[
        list[int] | None,
        option(
            "N", "Project to vectors of this dimension. May be repeated. Default: 128, 256, 512, 768 and 1024.", "--dim"
        ),
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    precision: PrecisionOption = None,
    batch_size: BatchSizeOption = None,
    fresh: FreshOption = False,
    json: JsonOption = None,
    html: HtmlOption = None,
    csv: CsvOption = None,
    markdown: MarkdownOption = None,
    latex: LatexOption = None,
) -> None:
    """Recall with vectors of other dimensions.

    Measures new heads, trained briefly on frozen towers; the model's vectors, truncated; and their principal axes.

    \b
    Example:
      sightline eval projection openai/clip-vit-base-patch32 dataset_flickr8k.json --split val \\
        --train dataset_flickr8k.json --train-split train --html dimensions.html
    """
    files = Files(json, html, csv, markdown, latex)

    from sightline.data import captions
    from sightline.evaluate import projection
    from sightline.evaluate.projection import DIMS

    dataset = captions(source, split=split, image_root=image_root)
    train_data = captions(train, split=train_split, image_root=train_image_root or image_root)
    encoder, settings = open_model(model, device, precision, batch_size), {"split": split}
    evaluate_all(
        [dataset],
        files,
        fresh,
        lambda dataset, progress, kept: projection(
            encoder, train_data, dataset, progress, dims=dims or DIMS, seed=seed, settings=settings, kept=kept
        ),
    )
