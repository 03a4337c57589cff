"""`sightline eval`: how good a model is, each evaluation a command."""

from typing import ClassVar

import typer

from sightline.cli.commands import Commands


class Evaluations(Commands):
    """The evaluations, in the order of the help."""

    package: ClassVar = __name__
    names: ClassVar = (
        "retrieval",
        "zeroshot",
        "video",
        "linear-probe",
        "knn",
        "segmentation",
        "temperature",
        "projection",
        "diagnosis",
        "confusions",
        "compare",
        "table",
        "report",
    )


command = typer.Typer(cls=Evaluations, add_completion=False, rich_markup_mode=None)


@command.callback(invoke_without_command=True)
def evaluate(ctx: typer.Context) -> None:
    """Measure a model on data, compare results, and show them.

    \b
    Examples:
      sightline eval retrieval openai/clip-vit-base-patch32 dataset_coco.json --split test --json b32.json
      sightline eval zeroshot mini photos-by-class/
      sightline eval compare b32.json b16.json
    """
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
