"""`sightline train`: a model from captions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.cli.output import one_line
from sightline.errors import Stopped, UsageError

if TYPE_CHECKING:
    from sightline.data import Captions


def command(
    recipe: Annotated[
        Path | None,
        typer.Argument(metavar="[RECIPE.py]", help="A Python file with `recipe = Recipe(...)`.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where the run lives (the recipe's name, if left out). Give a run's folder again to go on with it.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME_OR_FOLDER", help="The checkpoint to start from.", show_default=False)
    ] = None,
    text_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_FOLDER",
            help="Pair the model's picture tower with this text tower: a BERT, a RoBERTa, a CLIP.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE",
            help="Captions: shards (*.tar), a table (CSV, TSV, JSONL) or a folder with one, "
            "Karpathy's or COCO's JSON. May be given several times.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(metavar="NAME", help="Of data that names splits.")] = None,
    image_root: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the pictures are, if not beside the captions.")
    ] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="How long to train.", show_default=False)] = None,
    epochs: Annotated[
        float | None, typer.Option(metavar="N", help="How long, in rounds over the data.", show_default=False)
    ] = None,
    batch: Annotated[int | None, typer.Option(metavar="N", help="Pictures in a step.", show_default=False)] = None,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Pictures in memory at a time; the gradient is the whole batch's.", show_default=False
        ),
    ] = None,
    rate: Annotated[float | None, typer.Option(metavar="R", help="Highest learning rate.", show_default=False)] = None,
    warm_up: Annotated[int | None, typer.Option(metavar="N", help="Steps to it.", show_default=False)] = None,
    every: Annotated[
        int | None, typer.Option(metavar="N", help="Steps between checkpoints.", show_default=False)
    ] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="auto|bfloat16|float32", help="Of the products.", show_default=False)
    ] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(metavar="image|text", help="A tower that stays as it is. May be given twice.", show_default=False),
    ] = None,
    lora: Annotated[
        int | None,
        typer.Option(metavar="RANK", help="Train adapters of this rank; all else stays as it is.", show_default=False),
    ] = None,
    average: Annotated[
        float | None,
        typer.Option(metavar="D", help="Save the weights' moving average with this decay, such as 0.999."),
    ] = None,
    evaluate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE",
            help="Captions on which each checkpoint's recall is measured; RUN/best is the best in it.",
            show_default=False,
        ),
    ] = None,
    evaluate_split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of these, where they name splits.", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Of all that is random.", show_default=False)] = None,
) -> None:
    """Train a model on captioned pictures or films, or go on with a run that was stopped or killed.

    From a recipe file, from options alone, or both: options win. Ctrl-C saves and stops; the same command goes on, with
    the weights that it would have had without the stop. RUN/last and RUN/best are checkpoints like any other.

    \b
    Examples:
      sightline train --model openai/clip-vit-base-patch32 --data captions.csv --epochs 5 --out run
      sightline train --model mini --data train.jsonl --evaluate test.jsonl --steps 500 --every 100 --out run
      sightline train recipe.py --out run
      sightline search "a red kite" --model run/best
    """
    from sightline.train import Lora, Recipe, open_recipe, train

    given: dict[str, Any] = {
        "model": model, "text_model": text_model, "data": data, "split": split, "image_root": image_root,
        "steps": steps, "epochs": epochs, "batch": batch, "micro_batch": micro_batch, "rate": rate,
        "warm_up": warm_up, "every": every,
        "precision": precision, "seed": seed, "average": average, "freeze": tuple(freeze or ()) or None,
        "lora": None if lora is None else Lora(rank=lora),
        "evaluate": None if evaluate is None else Recalled(evaluate, evaluate_split, image_root),
    }  # fmt: skip
    told = {name: value for name, value in given.items() if value is not None}
    if "steps" in told or "epochs" in told:
        told = {"steps": None, "epochs": None} | told
    if recipe is not None:
        made = open_recipe(recipe, **told)
    else:
        if missing := [f"--{name}" for name in ("model", "data") if name not in told]:
            raise UsageError(f"without a recipe, {' and '.join(missing)} must be given")
        made = Recipe(**({"epochs": 1.0} | told if told.get("steps") is None else told))
    if out is None:
        if recipe is None:
            raise UsageError("say where the run is to live: --out FOLDER")
        out = Path(recipe.stem)
    outcome = train(made, out)
    if outcome.stopped:
        at = f"step {outcome.step} of {outcome.steps}"
        raise Stopped(f"stopped after {at}; the same command goes on from {outcome.path}")
    if outcome.is_main:
        typer.echo(f"trained {outcome.steps} steps; the model: {one_line(str(outcome.path))}")


@dataclass(frozen=True)
class Recalled:
    """A checkpoint's recall on captions: what training is told of evaluation."""

    source: list[str]
    split: str | None = None
    image_root: Path | None = None

    def __post_init__(self) -> None:
        self._captions()  # what is wrong with them is said before the first step

    def __call__(self, folder: Path) -> Mapping[str, float]:
        from sightline.encoder import load
        from sightline.evaluate import retrieval

        return retrieval(load(folder), self._captions()).figures

    def _captions(self) -> "Captions":
        from sightline.data import captions

        shards = all(str(source).endswith(".tar") for source in self.source)
        return captions(self.source, split=self.split, image_root=None if shards else self.image_root)
