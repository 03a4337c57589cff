"""`sightline eval retrieval`: recall of pictures by their captions, and of captions by their pictures."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.eval.common import JsonFile, ModelArgument, PrecisionOption, check_files, finish, open_model
from sightline.cli.output import bar


def command(
    model: ModelArgument,
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help="Captions: shards (*.tar), a table (CSV, TSV, JSONL) or a folder with one, Karpathy's or COCO's JSON.",
            show_default=False,
        ),
    ],
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of data that names splits.", show_default=False)
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where the pictures or films are, if not beside the captions.", show_default=False
        ),
    ] = None,
    precision: PrecisionOption = "float32",
    json: JsonFile = None,
) -> None:
    """Recall@1, 5, 10, median and mean rank, pictures by captions and captions by pictures.

    A picture or film with several captions is found by any of them. All pairs are scored, a tile at a time; by X-CLIP
    as the whole model scores them, since its texts read differently for each film.

    \b
    Examples:
      sightline eval retrieval openai/clip-vit-base-patch32 dataset_coco.json --split test --pictures coco/
      sightline eval retrieval mini shards/dev-{0000..0003}.tar --json dev.json
      sightline eval retrieval microsoft/xclip-base-patch32 msrvtt_test.csv --pictures videos/
    """
    check_files(json)

    from sightline.data import captions
    from sightline.evaluate import retrieval
    from sightline.evaluate.media import quiet

    opened = captions(data, split=split, pictures=pictures)
    encoder = open_model(model, precision)
    with bar() as report:
        result = retrieval(encoder, opened, report or quiet, settings={"split": split})
    finish(result, opened, json)
