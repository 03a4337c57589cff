"""The training loop.

Everything random in a step depends on the seed and the step alone: which samples, how they are cropped, which units
are dropped. So a run that is taken up from a checkpoint gives the same weights, bit for bit, as one never stopped.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sightline.encoder.hardware import pick_device, pick_dtype
from sightline.errors import SightlineError, UsageError
from sightline.models.pairs import PairModel
from sightline.train.batch import Data
from sightline.train.card import Story, card
from sightline.train.checkpoints import Checkpoints, pack, unpack
from sightline.train.ema import Average
from sightline.train.log import Log
from sightline.train.optimiser import optimiser, rate
from sightline.train.parts import freeze
from sightline.train.recipe import Recipe, Share


@dataclass(frozen=True)
class Outcome:
    """How a run ended: at which step, whether it was asked to stop before its last, and where its checkpoint is."""

    step: int
    steps: int
    stopped: bool
    path: Path


def train(recipe: Recipe, folder: str | os.PathLike[str]) -> Outcome:
    """Trains, or goes on with the run in `folder` where it was stopped or killed.

    SIGTERM and Ctrl-C end the step, save and stop; a second one stops at once. Raises `UsageError`,
    `CheckpointError`, and `SightlineError` where training itself fails (no memory, a loss that is no number).
    """
    return Trainer(recipe, Path(folder)).run()


class Trainer:
    """One run: what a recipe says, made ready."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe = recipe
        self.checkpoints = Checkpoints(folder)
        self.share = Share()
        self.device = pick_device("auto")
        self.dtype = pick_dtype(recipe.precision, self.device)
        torch.manual_seed(recipe.seed)
        self.model, self.processor = recipe.start()
        self._make_ready(self.model)
        self.about_data, self.fingerprint, self.data = self._data()
        self.steps = recipe.steps or self._steps(recipe.epochs or 1)
        self.optimiser = optimiser(self.model, recipe)
        self.average = None if recipe.average is None else Average(self.model, recipe.average)
        self.log: Log | None = None
        self.pictures, self.skipped = 0, 0

    def _make_ready(self, model: PairModel) -> None:
        recipe = self.recipe
        model.to(self.device).train().requires_grad_(True)
        if recipe.scale == "fixed":
            model.scale_parameter.requires_grad_(False)
        if self.device.type == "cpu":
            # torch's fused attention takes three times as long backwards there, for sequences as short as these.
            model.set_attn_implementation("eager")
        freeze(model, recipe.freeze)
        if recipe.checkpoint_gradients:
            model.gradient_checkpointing_enable()

    def _data(self) -> tuple[str, str | None, Data]:
        """Their name, the fingerprint that they may have, and the batches."""
        recipe = self.recipe
        if callable(recipe.data):
            made = recipe.data(recipe, self.processor, self.share)
            return str(recipe.settings()["data"]), getattr(made, "fingerprint", None), made
        from sightline.data import captions  # type: ignore[import-not-found, unused-ignore]
        from sightline.train.loader import Loader  # type: ignore[import-not-found, unused-ignore]

        found = captions(recipe.data, split=recipe.split, pictures=recipe.pictures)
        loader: Data = Loader(
            found.samples,
            self.processor,
            batch=recipe.batch,
            seed=recipe.seed,
            captions=recipe.texts,
            crop=recipe.crop,
            flip=recipe.flip,
            workers=recipe.workers,
            rank=self.share.rank,
            world=self.share.world,
        )
        return found.name, found.fingerprint, loader

    def _steps(self, epochs: float) -> int:
        each: int | None = getattr(self.data, "steps_per_epoch", None)
        if each is None:
            raise UsageError("data that is made by a function has no epochs: say how many steps")
        return max(1, round(epochs * each))

    def run(self) -> Outcome:
        """All steps that are left."""
        start = self._begin()
        step = start
        with self._open_log(start) as self.log, _stopping() as asked:
            if start:
                self._evaluate(start)  # where the run was killed in between
            for step, batch in enumerate(self.data.stream(start, self.steps), start + 1):
                with _explained(self.recipe, step):
                    figures = self.step(step - 1, batch.to(self.device))
                if self.log is not None:
                    self.log.step(step, figures)
                stop = asked.is_set()
                if stop or step % self.recipe.every == 0 or step == self.steps:
                    self._save(step)
                if stop:
                    break
        return Outcome(step, self.steps, step < self.steps, self.checkpoints.path(step))

    def step(self, number: int, batch: Any) -> dict[str, float]:
        """One step, numbered from 0: gradient, clipping, AdamW."""
        torch.manual_seed(self.recipe.seed * 1_000_003 + number)
        for group in self.optimiser.param_groups:
            group["lr"] = rate(number, self.steps, self.recipe) * group["share"]
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            halves = self.model.halves(batch.pixel_values, batch.input_ids, batch.attention_mask)
        # What is summed over the batch is summed in float32.
        met = self.model.meet(halves.map(Tensor.float))
        loss = self.model.loss(met)
        if not loss.isfinite():
            raise SightlineError(
                f"step {number + 1}: the loss is {loss.item()}; lower the rate ({self.recipe.rate:g}), lengthen the "
                f'warm-up ({self.recipe.warm_up} steps), or try precision="float32"; the last checkpoint is whole'
            )
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimiser.step()
        self.model.hold_scale(self.recipe.max_scale)
        if self.average is not None:
            self.average.update(self.model, number + 1)
        self.pictures += len(batch)
        self.skipped += batch.skipped
        return {
            "loss": loss.item(),
            "scale": self.model.scale.item(),
            "rate": rate(number, self.steps, self.recipe),
            "skipped": batch.skipped,
        }

    def _begin(self) -> int:
        """The step to start from; weights and moments are those of the last checkpoint."""
        last = self.checkpoints.begin(self.recipe.settings() | {"fingerprint of the data": self.fingerprint})
        if last is None:
            return 0
        state, told = self.checkpoints.open(last)
        self.pictures, self.skipped = told["pictures"], told["skipped"]
        unpack(state, self.model, self.optimiser, self.average)
        return last

    def _save(self, step: int) -> None:
        model = self.model if self.average is None else self.average.model
        state = pack(self.model, self.optimiser, self.average)
        told = {"pictures": self.pictures, "skipped": self.skipped}
        self.checkpoints.save(step, model, self.processor, self._card(step), state, told)
        self._evaluate(step)
        self.checkpoints.tidy()

    def _evaluate(self, step: int) -> None:
        due = step % self.recipe.every == 0 or step == self.steps
        if self.recipe.evaluate is not None and due and step not in self.checkpoints.results():
            figures = self.recipe.evaluate(self.checkpoints.path(step))
            self.checkpoints.evaluated(step, figures)
            self.checkpoints.describe(step, self._card(step))
            if self.log is not None:
                self.log.evaluated(step, figures)

    def _card(self, step: int) -> str:
        results = {at: figures for at, figures in self.checkpoints.results().items() if at <= step}
        story = Story(self.about_data, self.fingerprint, step, self.steps, self.pictures, self.skipped, results)
        return card(self.model, self.recipe, story)

    def _open_log(self, start: int) -> AbstractContextManager[Log | None]:
        if self.share.rank:
            return nullcontext()
        return Log(self.checkpoints.folder, self.steps, self.recipe.batch, start)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Within, the first SIGTERM or Ctrl-C sets the event; the next one does what it always did."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def ask(number: int, _: object) -> None:
        asked.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _explained(recipe: Recipe, step: int) -> Iterator[None]:
    """Running out of memory says what to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and "allocate memory" not in str(error):
            raise
        raise SightlineError(
            f"step {step}: not enough memory for {recipe.micro_batch or recipe.batch} pictures at a time; set a "
            "(smaller) micro_batch, which keeps the gradient of the whole batch, or checkpoint_gradients=True"
        ) from error
