"""`sightline train`: a model from captions."""

import dataclasses
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sightline.cli.options import argument, option
from sightline.cli.output import one_line
from sightline.cli.recall import Recall
from sightline.errors import Stopped, UsageError

if TYPE_CHECKING:
    from sightline.train import Outcome, Recipe


MEMORY = "Memory and speed"
BATCHES = "Batches and images"
LEARNING = "Learning"
LOSS = "Loss"
TRAINED = "What is trained"


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
        option(
            "FOLDER",
            "Write the run into this folder, or go on with the run in it, which needs no other option. Default: "
            "the recipe's name.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        option("NAME_OR_FOLDER", "Start from this checkpoint; a run that goes on knows it. Needed without a recipe."),
    ] = None,
    text_model: Annotated[
        str | None,
        option(
            "NAME_OR_FOLDER",
            "Pair the model's image tower with the text tower of this BERT, RoBERTa or CLIP. Default: the model's "
            "text tower.",
            panel=TRAINED,
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        option(
            "SOURCE",
            "Train on these captions: shards (*.tar), a table (CSV, TSV, JSONL) or a folder with one, Karpathy's or "
            "COCO's JSON, a folder of images with texts of the same names. A pattern in quotes names many: "
            "'train-*.tar', 'train-{0000..0003}.tar'. May be given several times; a run that goes on knows them. "
            "Needed without a recipe.",
        ),
    ] = None,
    split: Annotated[str | None, option("NAME", "Train on this split of the data only. Default: all of them.")] = None,
    image_root: Annotated[
        Path | None,
        option("FOLDER", "Look in this folder for the images that the captions name. Default: the captions' folder."),
    ] = None,
    steps: Annotated[
        int | None,
        option(
            "N",
            "Train for this number of steps; more of them make a run longer. --steps and --epochs exclude each other. "
            "Default: those of the epochs.",
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        option(
            "N", "Train for this number of rounds over the data; --steps and --epochs exclude each other. Default: 1."
        ),
    ] = None,
    batch_size: Annotated[
        int | None, option("N", "Take this number of images in a step, over all processes. Default: 256.")
    ] = None,
    captions_per_image: Annotated[
        int | None, option("N", "Take this number of captions of each image in a step. Default: 1.", panel=BATCHES)
    ] = None,
    micro_batch_size: Annotated[
        int | None,
        option(
            "N",
            "Compute this number of images at a time in each process; the gradient is the whole batch's. Default: the "
            "whole batch.",
            panel=MEMORY,
        ),
    ] = None,
    grad_accum_steps: Annotated[
        int | None,
        option(
            "N",
            "Divide each process's batch into this number of parts; each is a batch by itself, and their gradients "
            "are added up. Default: 1.",
            panel=BATCHES,
        ),
    ] = None,
    crop: Annotated[
        tuple[float, float] | None,
        option(
            "LEAST MOST",
            "Crop images at random; the crop's fraction of the area lies between these two numbers, such as 0.5 1. "
            "Default: the processor's crop.",
            panel=BATCHES,
        ),
    ] = None,
    flip: Annotated[bool | None, option(None, "Mirror half of the images. Default: --no-flip.", panel=BATCHES)] = None,
    color_jitter: Annotated[
        float | None,
        option(
            "X",
            "Change brightness, contrast and saturation each by a random factor from 1 - X to 1 + X. Default: 0.",
            panel=BATCHES,
        ),
    ] = None,
    lr: Annotated[
        float | None, option("LR", "Let the learning rate rise to this number and fall after it. Default: 0.0001.")
    ] = None,
    warmup_steps: Annotated[
        int | None,
        option(
            "N",
            "Raise the learning rate to its highest in this number of steps. Default: a twentieth of all steps.",
            panel=LEARNING,
        ),
    ] = None,
    weight_decay: Annotated[
        float | None, option("X", "Apply this weight decay of AdamW to the matrices. Default: 0.1.", panel=LEARNING)
    ] = None,
    betas: Annotated[
        tuple[float, float] | None,
        option("B1 B2", "Use these decay rates for the two moments of AdamW. Default: 0.9 0.98.", panel=LEARNING),
    ] = None,
    eps: Annotated[float | None, option("X", "Use this epsilon in AdamW. Default: 1e-8.", panel=LEARNING)] = None,
    layer_decay: Annotated[
        float | None,
        option(
            "X",
            "Give each block of a tower this fraction of the learning rate of the block after it, such as 0.8. "
            "Default: 1.",
            panel=LEARNING,
        ),
    ] = None,
    max_grad_norm: Annotated[
        float | None,
        option(
            "X",
            "Scale gradients down to this norm where they exceed it; 0 leaves them as they are. Default: 1.",
            panel=LEARNING,
        ),
    ] = None,
    logit_scale: Annotated[
        Literal["learned", "fixed"] | None,
        option(
            None,
            "Train the scale of the logits, or leave it as the model starts with it. Default: learned.",
            panel=LOSS,
        ),
    ] = None,
    max_logit_scale: Annotated[
        float | None, option("X", "Keep the scale of the logits at most this large. Default: 100.", panel=LOSS)
    ] = None,
    label_smoothing: Annotated[
        float | None,
        option(
            "X",
            "Smooth the labels of the contrastive loss by this much. Default: as in the family's paper.",
            panel=LOSS,
        ),
    ] = None,
    equal_captions: Annotated[
        Literal["negatives", "ignored"] | None,
        option(
            None,
            "Count equal captions of different images in a batch as wrong answers for each other (negatives, as CLIP "
            "does), or do not compare them with each other (ignored). Default: negatives.",
            panel=LOSS,
        ),
    ] = None,
    freeze: Annotated[
        list[TowerName] | None,
        option(None, "Do not train this tower. May be given twice. Default: train both.", panel=TRAINED),
    ] = None,
    freeze_norms: Annotated[
        bool | None,
        option(None, "Keep the batch norms' statistics of the checkpoint. Default: --no-freeze-norms.", panel=TRAINED),
    ] = None,
    lora: Annotated[
        int | None,
        option(
            "RANK", "Train low-rank adapters of this rank and nothing else. Default: train all weights.", panel=TRAINED
        ),
    ] = None,
    precision: Annotated[
        Literal["auto", "bfloat16", "float32"] | None,
        option(
            None,
            "Compute matrix products in this precision; auto is bfloat16 where the hardware has it. float16 is not "
            "offered: small gradients would become 0. Default: auto.",
            panel=MEMORY,
        ),
    ] = None,
    device: Annotated[
        str | None,
        option(
            "DEVICE",
            "Train and evaluate on this device: cpu, cuda, cuda:1, mps or xpu; auto takes a GPU if there is one. "
            "Default: auto.",
            panel=MEMORY,
        ),
    ] = None,
    ema_decay: Annotated[
        float | None,
        option(
            "DECAY",
            "Save the exponential moving average of the weights with this decay, such as 0.999. Default: save the "
            "weights themselves.",
            panel=LEARNING,
        ),
    ] = None,
    grad_checkpointing: Annotated[
        bool | None,
        option(
            None,
            "Compute each block again for its gradient: less memory, more time. Default: --no-grad-checkpointing.",
            panel=MEMORY,
        ),
    ] = None,
    compile: Annotated[
        bool | None,
        option(
            None,
            "Compile the towers' blocks: the first steps take minutes, the others less. Default: --no-compile.",
            panel=MEMORY,
        ),
    ] = None,
    fsdp: Annotated[
        bool | None,
        option(
            None,
            "Divide weights, gradients and moments among the processes (FSDP); otherwise each process has all of them. "
            "Default: --no-fsdp.",
            panel=MEMORY,
        ),
    ] = None,
    workers: Annotated[
        int | None, option("N", "Prepare images in this number of threads. Default: the number of cores.", panel=MEMORY)
    ] = None,
    seed: Annotated[
        int | None, option("N", "Start the random numbers of the run from this seed. Default: 0.", panel=LEARNING)
    ] = None,
    checkpoint_every: Annotated[
        int | None, option("N", "Save and evaluate a checkpoint every N steps. Default: 500.")
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
) -> None:
    """Train a model on captioned images or videos.

    Settings come from a recipe file, from options, or both: options win, and defaults hold where there is no recipe.
    Ctrl-C saves the run and stops it, with exit status 130. `sightline train --out RUN` goes on with a run that was
    stopped or killed, and gives the weights of a run never stopped; with more --steps or --epochs it makes a finished
    run longer. RUN/last is a checkpoint like any other, and so is RUN/best of a run with --evaluate.

    \b
    Examples:
      sightline train --model openai/clip-vit-base-patch32 --data captions.csv --epochs 5 --out run
      sightline train --model mini --data train.jsonl --evaluate val.jsonl --steps 500 --checkpoint-every 100 --out run
      sightline train --out run
      sightline train --out run --steps 1000
      sightline train recipe.py --out run
      sightline index ~/Pictures --model run/last --index my-index
    """
    options = dict(locals())
    from sightline.train import train

    made, folder = _recipe(options)
    if isinstance(made.evaluate, Recall):
        made = dataclasses.replace(made, evaluate=dataclasses.replace(made.evaluate, device=made.device))
    on = f"sightline train --out {shlex.quote(str(folder))}"
    try:
        outcome = train(made, folder)
    except KeyboardInterrupt as error:
        raise Stopped(f"stopped at once; `{on}` goes on from the last checkpoint, if there is one") from error
    if outcome.stopped:
        raise Stopped(f"stopped after step {outcome.step} of {outcome.steps}; `{on}` goes on from there")
    if outcome.is_main:
        typer.echo(one_line(_summary(made, folder, outcome)))


def _recipe(options: dict[str, Any]) -> "tuple[Recipe, Path]":
    """The recipe that the options name or are, and the run's folder."""
    from sightline.train import Distillation, Lora, Recipe, Teacher, open_recipe, open_run

    # Options of a recipe's field have the field's name; those that are left out are None.
    names = {field.name for field in dataclasses.fields(Recipe)}
    settings: dict[str, Any] = {name: options[name] for name in names & options.keys() if options[name] is not None}
    if options["freeze"]:
        settings["freeze"] = tuple(tower.value for tower in options["freeze"])
    if options["max_grad_norm"] == 0:
        settings["max_grad_norm"] = None
    if options["lora"] is not None:
        settings["lora"] = Lora(rank=options["lora"])
    if options["steps"] is not None or options["epochs"] is not None:
        settings |= {"steps": options["steps"], "epochs": options["epochs"]}
    if options["evaluate"] is not None:
        settings["evaluate"] = Recall(options["evaluate"], options["evaluate_split"], options["image_root"])
    elif options["evaluate_split"] is not None:
        raise UsageError("--evaluate-split names a split of --evaluate, which is not given")
    recipe, out = options["recipe"], options["out"]
    if recipe is None and out is not None and (out / "run.json").is_file():
        return open_run(out, known=[Recall, Distillation, Teacher], **settings), out
    if recipe is not None:
        return open_recipe(recipe, **settings), out or Path(recipe.stem)
    if out is not None and not settings:
        above = f"; the run is {out.parent}" if (out.parent / "run.json").is_file() else ""
        raise UsageError(f"{out} holds no run to go on with{above}; a new run needs --model and --data, or a recipe")
    if missing := [f"--{name}" for name in ("model", "data") if name not in settings]:
        raise UsageError(f"without a recipe, {' and '.join(missing)} must be given")
    if out is None:
        raise UsageError("say into which folder the run is to be written: --out FOLDER")
    return Recipe(**({"epochs": 1.0} | settings)), out


def _summary(recipe: "Recipe", folder: Path, outcome: "Outcome") -> str:
    best = f", the best: {folder / 'best'}" if recipe.evaluate is not None else " (best needs --evaluate)"
    return f"trained {outcome.steps} steps; the model: {folder / 'last'}{best}"
