"""`sightline train`: a model from captions."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sightline.cli.options import argument, option
from sightline.cli.output import one_line
from sightline.errors import Stopped, UsageError

if TYPE_CHECKING:
    from sightline.data import Captions


class TowerName(StrEnum):
    """The towers that can be frozen."""

    IMAGE = "image"
    TEXT = "text"


def command(
    recipe: Annotated[
        Path | None,
        argument("[RECIPE.py]", "A Python file with `recipe = Recipe(...)`. Without it, the options are all settings."),
    ] = None,
    out: Annotated[
        Path | None,
        option("FOLDER", "Write the run into this folder, or go on with the run in it. Default: the recipe's name."),
    ] = None,
    model: Annotated[
        str | None, option("NAME_OR_FOLDER", "Start from this checkpoint. Needed without a recipe.")
    ] = None,
    text_model: Annotated[
        str | None,
        option(
            "NAME_OR_FOLDER",
            "Pair the model's image tower with the text tower of this BERT, RoBERTa or CLIP. Default: the model's "
            "text tower.",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        option(
            "SOURCE",
            "Train on these captions: shards (*.tar), a table (CSV, TSV, JSONL) or a folder with one, Karpathy's or "
            "COCO's JSON. May be given several times. Needed without a recipe.",
        ),
    ] = None,
    split: Annotated[str | None, option("NAME", "Train on this split of the data only. Default: all of them.")] = None,
    image_root: Annotated[
        Path | None,
        option("FOLDER", "Folder of the images that the captions name. Default: the folder of the captions."),
    ] = None,
    steps: Annotated[int | None, option("N", "Length of the run in steps. Default: by the number of epochs.")] = None,
    epochs: Annotated[float | None, option("N", "Length of the run in rounds over the data. Default: 1.")] = None,
    batch_size: Annotated[
        int | None, option("N", "Number of images in a step, over all processes. Default: 256.")
    ] = None,
    micro_batch_size: Annotated[
        int | None,
        option(
            "N", "Number of images in memory at a time; the gradient is the whole batch's. Default: the whole batch."
        ),
    ] = None,
    lr: Annotated[float | None, option("LR", "Highest learning rate. Default: 0.0001.")] = None,
    warmup_steps: Annotated[
        int | None,
        option("N", "Number of steps in which the learning rate rises to its highest. Default: a twentieth of all."),
    ] = None,
    checkpoint_every: Annotated[
        int | None, option("N", "Number of steps between checkpoints, and between evaluations. Default: 500.")
    ] = None,
    precision: Annotated[
        Literal["auto", "bfloat16", "float32"] | None,
        typer.Option(
            help="Precision of matrix products; auto is bfloat16 where the hardware has it. Default: auto.",
            show_default=False,
        ),
    ] = None,
    freeze: Annotated[
        list[TowerName] | None,
        typer.Option(help="Do not train this tower. May be given twice. Default: train both.", show_default=False),
    ] = None,
    lora: Annotated[
        int | None, option("RANK", "Train low-rank adapters of this rank and nothing else. Default: train all weights.")
    ] = None,
    ema_decay: Annotated[
        float | None,
        option(
            "DECAY",
            "Save the exponential moving average of the weights with this decay, such as 0.999. Default: save the "
            "weights themselves.",
        ),
    ] = None,
    evaluate: Annotated[
        list[str] | None,
        option(
            "SOURCE",
            "Measure the recall of each checkpoint on these captions; RUN/best is the best checkpoint. May be given "
            "several times. Default: no evaluation.",
        ),
    ] = None,
    evaluate_split: Annotated[
        str | None, option("NAME", "Evaluate on this split of the captions only. Default: all of them.")
    ] = None,
    seed: Annotated[int | None, option("N", "Random seed. Default: 0.")] = None,
) -> None:
    """Train a model on captioned images or videos.

    Settings come from a recipe file, from options, or both: options win, and defaults hold where there is no recipe.
    Ctrl-C saves the run and stops it, with exit status 130. The same command goes on with a run that was stopped or
    killed, and gives the weights of a run never stopped. RUN/last is a checkpoint like any other,
    and so is RUN/best of a run with --evaluate.

    \b
    Examples:
      sightline train --model openai/clip-vit-base-patch32 --data captions.csv --epochs 5 --out run
      sightline train --model mini --data train.jsonl --evaluate test.jsonl --steps 500 --checkpoint-every 100 --out run
      sightline train recipe.py --out run
      sightline index ~/Pictures --model run/last --index my-index
    """
    options = dict(locals())
    from sightline.train import Lora, Recipe, open_recipe, train

    # Options of a recipe's field have the field's name; those that are left out are None.
    names = {field.name for field in dataclasses.fields(Recipe)}
    settings: dict[str, Any] = {name: options[name] for name in names & options.keys() if options[name] is not None}
    if freeze:
        settings["freeze"] = tuple(tower.value for tower in freeze)
    if lora is not None:
        settings["lora"] = Lora(rank=lora)
    if evaluate is not None:
        settings["evaluate"] = Recall(evaluate, evaluate_split, image_root)
    if steps is not None or epochs is not None:
        settings |= {"steps": steps, "epochs": epochs}
    if recipe is None:
        if missing := [f"--{name}" for name in ("model", "data") if name not in settings]:
            raise UsageError(f"without a recipe, {' and '.join(missing)} must be given")
        if out is None:
            raise UsageError("say into which folder the run is to be written: --out FOLDER")
        outcome = train(Recipe(**({"epochs": 1.0} | settings)), out)
    else:
        outcome = train(open_recipe(recipe, **settings), out or Path(recipe.stem))
    if outcome.stopped:
        at = f"step {outcome.step} of {outcome.steps}"
        raise Stopped(f"stopped after {at}; the same command goes on from {outcome.path}")
    if outcome.is_main:
        typer.echo(f"trained {outcome.steps} steps; the model: {one_line(str(outcome.path))}")


@dataclass(frozen=True)
class Recall:
    """An evaluation for a recipe: a checkpoint's recall on captions. Raises `DataError` for unreadable captions."""

    source: list[str]
    split: str | None = None
    image_root: Path | None = None

    def __post_init__(self) -> None:
        self._captions()  # so that errors come before the first step

    def __call__(self, folder: Path) -> Mapping[str, float]:
        from sightline.encoder import load
        from sightline.evaluate import retrieval

        return retrieval(load(folder), self._captions()).figures

    def _captions(self) -> "Captions":
        from sightline.data import captions

        are_shards = all(str(source).endswith(".tar") for source in self.source)
        return captions(self.source, split=self.split, image_root=None if are_shards else self.image_root)
