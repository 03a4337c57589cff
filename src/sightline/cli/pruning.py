"""`sightline optimize --prune`: prunes a checkpoint and, if asked to, recovers it by distillation from the whole one.

While that goes on there is a folder beside the one that is wanted, from which the same command goes on:

    OUT.unfinished/pruning.json   what was asked for
                  /start/         the pruned checkpoint, before recovery
                  /run/           the training, as `sightline train` has it
"""

import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.cli.calibrating import check_new, check_not_quantised
from sightline.cli.output import one_line, progress_bar
from sightline.errors import Stopped, UsageError
from sightline.files import read_json, write_json

if TYPE_CHECKING:
    from sightline.models.families import Family
    from sightline.train import Recipe

SAMPLES = 128
"""Images, with a caption of each, on which importance is measured."""
NOTE = "pruning.json"


@dataclass(frozen=True)
class Pruning:
    """What is to be pruned, by which share, and the captions on which importance is measured."""

    model: str
    amount: float
    calibrate: list[str]
    split: str | None
    image_root: Path | None


@dataclass(frozen=True)
class Recovery:
    """The captions to recover on, and for how long."""

    source: list[str]
    steps: int
    batch_size: int
    lr: float
    checkpoint_every: int


def prune_into(out: Path, pruning: Pruning, recovery: Recovery | None, device: str) -> str:
    """Writes the pruned model into `out`, which appears when all is done. Returns what is to be said at the end. Raises
    `UsageError`, `Stopped`."""
    _check(out, pruning)
    check_not_quantised(pruning.model)
    unfinished = out.absolute().with_name(f"{out.absolute().name}.unfinished")
    path, family, asked = _asked(pruning)
    recipe = None if recovery is None else _recipe(unfinished, family, pruning, recovery, device)
    if unfinished.exists():
        _check_same(unfinished, asked, out)
    else:
        _prune(unfinished, path, family, pruning, asked, device)
    made = unfinished / "start" if recipe is None else _recovered(unfinished, recipe)
    finished = unfinished / "finished"
    shutil.rmtree(finished, ignore_errors=True)
    shutil.copytree(made, finished, ignore=shutil.ignore_patterns("training"))
    shutil.copy(unfinished / NOTE, finished / NOTE)
    finished.rename(out)
    shutil.rmtree(unfinished)
    return one_line(f"the pruned model: {out}" + ("" if recovery else "; --recover SOURCE --steps N would train it"))


def _check(out: Path, pruning: Pruning) -> None:
    check_new(out)
    if not 0 < pruning.amount < 1:
        raise UsageError(
            f"--prune {pruning.amount:g}: give the share of the multiplications to be removed, such as 0.3"
        )
    if not pruning.calibrate:
        raise UsageError(
            "importance is measured on images and texts: give --calibrate SOURCE, captioned images, or --recover "
            "SOURCE, to train on them, too"
        )


def _asked(pruning: Pruning) -> "tuple[Path, Family, dict[str, Any]]":
    """The checkpoint's place and family, and what is asked for in the terms of the note."""
    from sightline.checkpoint.fingerprint import fingerprint
    from sightline.checkpoint.hub import resolve
    from sightline.checkpoint.weight_files import weight_paths
    from sightline.models.families import family_of

    path = resolve(pruning.model)
    family = family_of(path if path.is_dir() else path.parent)
    asked = {**asdict(pruning), "image_root": pruning.image_root and str(pruning.image_root)}
    return path, family, asked | {"fingerprint": fingerprint(weight_paths(path))}


def _check_same(unfinished: Path, asked: dict[str, Any], out: Path) -> None:
    old = read_json(unfinished / NOTE)
    if differ := sorted(name for name, value in asked.items() if old.get(name) != value):
        raise UsageError(
            f"{unfinished} holds what another command has begun (other: {', '.join(differ)}): give that command again, "
            f"delete the folder, or choose another --out than {out}"
        )


def _prune(
    unfinished: Path, path: Path, family: "Family", pruning: Pruning, asked: dict[str, Any], device: str
) -> None:
    """Makes the folder with the pruned checkpoint in it, whole or not at all, and shows what was removed."""
    from sightline.data import captions
    from sightline.encoder.hardware import pick_device
    from sightline.optimize import prune_structured
    from sightline.train.loader import Loader

    model = family.model.from_pretrained(path, dtype="float32").check_plain(path).to(pick_device(device))
    processor = family.processor.from_pretrained(path)
    samples = captions(pruning.calibrate, split=pruning.split, image_root=pruning.image_root).samples
    batch = next(Loader(samples, processor, batch_size=min(SAMPLES, len(samples))).stream(0, 1))
    inputs = {
        "pixel_values": batch.pixel_values,
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
    }
    with progress_bar() as progress:
        pruned = prune_structured(model, pruning.amount, inputs, progress=progress)
    print(pruned, file=sys.stderr)
    writing = unfinished.with_name(f".{unfinished.name}")
    shutil.rmtree(writing, ignore_errors=True)
    try:
        pruned.model.save_pretrained(writing / "start")
        processor.save_pretrained(writing / "start")
        write_json(writing / NOTE, asked | {"removed": {cut.tower: asdict(cut) for cut in pruned.cuts}})
        writing.rename(unfinished)
    finally:
        shutil.rmtree(writing, ignore_errors=True)


def _recipe(unfinished: Path, family: "Family", pruning: Pruning, recovery: Recovery, device: str) -> "Recipe":
    """The training of the pruned checkpoint to give the whole one's vectors. Raises `UsageError`."""
    from sightline.train import Distillation, Recipe, Teacher

    if family.is_rescored:
        raise UsageError(
            f"{pruning.model}: its texts depend on the video, so there are no vectors to learn: leave --recover out "
            "(--calibrate measures), and train the result by `sightline train --model`"
        )
    return Recipe(
        model=str(unfinished / "start"),
        data=Teacher(
            teacher=pruning.model,
            source=recovery.source,
            split=pruning.split,
            image_root=None if pruning.image_root is None else str(pruning.image_root),
        ),
        loss=Distillation(),
        steps=recovery.steps,
        batch_size=recovery.batch_size,
        lr=recovery.lr,
        logit_scale="fixed",
        checkpoint_every=recovery.checkpoint_every,
        device=device,
    )


def _recovered(unfinished: Path, recipe: "Recipe") -> Path:
    """Trains, or goes on. Returns the trained checkpoint's folder. Raises `Stopped`."""
    from sightline.train import train

    try:
        outcome = train(recipe, unfinished / "run")
    except KeyboardInterrupt as error:
        raise Stopped("stopped at once; the same command goes on from the last checkpoint, if there is one") from error
    if outcome.stopped:
        raise Stopped(f"stopped after step {outcome.step} of {outcome.steps}; the same command goes on from there")
    return outcome.path
