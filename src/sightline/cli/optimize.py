"""`sightline optimize`: a smaller or faster model of a checkpoint."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.options import DeviceOption, argument, option
from sightline.errors import UsageError

RECOVERY = "Recovery"


def command(
    model: Annotated[str, argument("MODEL", "Make this checkpoint smaller: a folder, a Hub name, or mini.")],
    out: Annotated[Path, option("FOLDER", "Write the smaller model into this new folder. Needed.", "--out")],
    prune: Annotated[
        float | None,
        option(
            "SHARE",
            "Remove this share of each tower's multiplications, such as 0.3: the least important blocks, hidden "
            "units, and heads with their part of the width. Default: nothing is removed.",
        ),
    ] = None,
    to: Annotated[
        str | None,
        option(
            "PRECISION",
            "Round the model's weights, and what goes into them, to this precision: int8, for processors. Default: not "
            "rounded.",
        ),
    ] = None,
    calibrate: Annotated[
        list[str] | None,
        option(
            "SOURCE",
            "With --prune: measure on these captions with their images what is important. With --to: measure on this "
            "folder of images which numbers there are. May be given several times. Default: with --prune, the captions "
            "of --recover.",
        ),
    ] = None,
    texts: Annotated[
        Path | None,
        option("FILE", "With --to: measure on the texts in this file, one on each line. Default: on drawn scenes'."),
    ] = None,
    recover: Annotated[
        list[str] | None,
        option(
            "SOURCE",
            "Train the smaller model on these captions to give MODEL's vectors (distillation). May be given several "
            "times. Default: no training.",
            panel=RECOVERY,
        ),
    ] = None,
    split: Annotated[
        str | None, option("NAME", "Use this split of the captions only. Default: all of them.", panel=RECOVERY)
    ] = None,
    image_root: Annotated[
        Path | None,
        option(
            "FOLDER",
            "Look in this folder for the images that the captions name. Default: the captions' folder.",
            panel=RECOVERY,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        option("N", "Train for this number of steps; needed with --recover. Default: no training.", panel=RECOVERY),
    ] = None,
    batch_size: Annotated[
        int, option("N", "Take this number of images in a step. Default: 128.", panel=RECOVERY)
    ] = 128,
    lr: Annotated[
        float,
        option("LR", "Let the learning rate rise to this number and fall after it. Default: 0.0001.", panel=RECOVERY),
    ] = 1e-4,
    checkpoint_every: Annotated[
        int, option("N", "Save a checkpoint, from which training goes on, every N steps. Default: 100.", panel=RECOVERY)
    ] = 100,
    device: DeviceOption = "auto",
) -> None:
    """Make a smaller model of a checkpoint.

    --prune removes whole parts of the towers: what remains is a checkpoint like any other, with a smaller config, and
    faster in any program. A table says what was removed and how many multiplications are left. --recover then trains
    it to give the vectors of the whole model. Ctrl-C saves the training and stops, with exit status 130, and the same
    command goes on. FOLDER appears when all is done.

    --to int8 gives a checkpoint of a quarter to a half of the size, which only Sightline opens, and which computes
    faster on processors with instructions for int8 (VNNI).

    \b
    Examples:
      sightline optimize openai/clip-vit-base-patch32 --prune 0.3 --recover captions.csv --steps 2000 --out small
      sightline optimize mini --prune 0.2 --calibrate captions.csv --out small
      sightline optimize openai/clip-vit-base-patch32 --to int8 --calibrate Pictures --out quick
    """
    if to is not None:
        typer.echo(_calibrated(out, model, to, calibrate or [], texts, prune is not None or bool(recover)))
        return
    if texts is not None:
        raise UsageError("--texts belongs to --to int8")
    from sightline.cli.pruning import Pruning, Recovery, prune_into

    if prune is None:
        raise UsageError(
            "say how the model is to become smaller: --prune 0.3 removes 30% of its multiplications, "
            "--to int8 rounds its weights"
        )
    if recover and steps is None:
        raise UsageError("say how long --recover is to train: --steps N")
    if steps is not None and not recover:
        raise UsageError("--steps says how long --recover trains: give --recover SOURCE, or leave --steps out")
    pruning = Pruning(model, prune, calibrate or recover or [], split, image_root)
    recovery = Recovery(recover, steps, batch_size, lr, checkpoint_every) if recover and steps is not None else None
    typer.echo(prune_into(out, pruning, recovery, device))


def _calibrated(out: Path, model: str, to: str, calibrate: list[str], texts: Path | None, prunes: bool) -> str:
    """Writes the checkpoint in the precision `to`. Returns what is to be said at the end."""
    from sightline.cli.calibrating import calibrate_into

    if to != "int8":
        raise UsageError(f"--to {to}: a checkpoint is rounded to int8 (--precision of other commands has the others)")
    if prunes:
        raise UsageError("one after the other: --prune first, then --to int8 of what came out")
    return calibrate_into(out, model, calibrate, texts)
