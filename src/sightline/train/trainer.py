"""The training loop.

Everything random in a step depends on the seed and the step alone: which samples, how they are cropped, which units
are dropped. So a run that is taken up from a checkpoint gives the same weights, bit for bit, as one never stopped.
"""

import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from sightline.data import captions
from sightline.encoder.hardware import pick_dtype
from sightline.errors import DataError, SightlineError, UsageError
from sightline.models.pairs import PairModel
from sightline.nn.transformer import Block
from sightline.train.batch import Batch, Data
from sightline.train.checkpoints import Checkpoints, pack, unpack
from sightline.train.ema import Average
from sightline.train.freeze import freeze
from sightline.train.loader import Loader
from sightline.train.log import Log
from sightline.train.lora import Adapted, attach
from sightline.train.loss import Contrastive
from sightline.train.model_card import Story, card
from sightline.train.optimizer import optimizer, rate
from sightline.train.parallel import Parallel
from sightline.train.recipe import Recipe, Share
from sightline.train.step import backward, freeze_batch_norms


@dataclass(frozen=True)
class Outcome:
    """How a run ended: at which step, whether it was asked to stop before its last, and where its checkpoint is.

    Of several processes one `is_main`, the one that wrote it.
    """

    step: int
    steps: int
    stopped: bool
    path: Path
    is_main: bool


def train(recipe: Recipe, folder: str | os.PathLike[str]) -> Outcome:
    """Trains, or goes on with the run in `folder` where it was stopped or killed.

    SIGTERM and Ctrl-C end the step, save and stop; a second one stops at once. Raises `UsageError`,
    `CheckpointError`, and `SightlineError` where training itself fails (no memory, a loss that is no number).
    """
    with Parallel.start(recipe.shard) as parallel:
        return Trainer(recipe, Path(folder), parallel).run()


class Trainer:
    """One run, in this process and in those beside it: what a recipe says, made ready."""

    def __init__(self, recipe: Recipe, folder: Path, parallel: Parallel) -> None:
        self.recipe, self.parallel = recipe, parallel
        self.checkpoints = Checkpoints(folder)
        self.dtype = pick_dtype(recipe.precision, parallel.device)
        torch.manual_seed(recipe.seed)
        model, self.processor = recipe.start()
        self._make_ready(model)
        self.average = None if recipe.average is None else Average(model, recipe.average)
        self.model = parallel.wrap(model)
        if self.average is not None:
            self.average.start(self.model)
        self.remark = ""
        self.about_data, self.fingerprint, self.data = self._data()
        self.steps = recipe.steps or self._steps(recipe.epochs or 1)
        self.optimizer = optimizer(self.model, recipe)
        smoothing = model.label_smoothing if recipe.label_smoothing is None else recipe.label_smoothing
        self.objective = recipe.objective or Contrastive(smoothing)
        self.log: Log | None = None
        self.pictures, self.skipped = 0, 0

    def _make_ready(self, model: PairModel) -> None:
        model.train().requires_grad_(True)
        if self.recipe.scale == "fixed":
            model.scale_parameter.requires_grad_(False)
        if self.parallel.device.type == "cpu":
            # torch's fused attention takes three times as long backwards there, for sequences as short as these.
            model.set_attn_implementation("eager")
        if self.recipe.lora is not None:
            attach(model, self.recipe.lora)
        freeze(model, self.recipe.freeze)
        if self.recipe.freeze_norms:
            freeze_batch_norms(model)
        if self.recipe.checkpoint_gradients:
            model.gradient_checkpointing_enable()
        if self.recipe.compile:
            for module in model.modules():
                if isinstance(module, Block):
                    module.compile()

    def _data(self) -> tuple[str, str | None, Data]:
        """Their name, the fingerprint that they may have, and the batches."""
        recipe, share = self.recipe, Share(self.parallel.rank, self.parallel.world)
        if callable(recipe.data):
            made = recipe.data(recipe, self.processor, share)
            return str(recipe.settings()["data"]), getattr(made, "fingerprint", None), made
        found = captions(recipe.data, split=recipe.split, image_root=recipe.image_root)
        loader = Loader(
            found.samples,
            self.processor,
            batch=recipe.batch,
            seed=recipe.seed,
            captions=recipe.texts,
            crop=recipe.crop,
            flip=recipe.flip,
            color=recipe.color,
            workers=recipe.workers,
            rank=share.rank,
            world=share.world,
        )
        if found.left_out:
            self.remark = f"left out of the data: {found.left_out}"
        return f"{found.name}: {len(found):,} pictures or films", found.fingerprint, loader

    def _steps(self, epochs: float) -> int:
        each: float | None = getattr(self.data, "steps_per_epoch", None)
        if each is None:
            raise UsageError("data that is made by a function has no epochs: say how many steps")
        return max(1, round(epochs * each))

    def run(self) -> Outcome:
        """All steps that are left. Raises `UsageError` where another process trains in the same folder."""
        with self.checkpoints.held() if self.parallel.is_main else nullcontext():
            return self._go_on()

    def _go_on(self) -> Outcome:
        start = self._begin()
        step = start
        with self._open_log(start) as self.log, _stopping() as asked:
            if self.log is not None and self.remark:
                self.log.say(self.remark)
            if start:
                self._evaluate(start)  # where the run was killed in between
            elif self.recipe.evaluate is not None and not callable(self.recipe.model):
                self._save(0)  # what training has to improve on
            for step, batch in enumerate(self.data.stream(start, self.steps), start + 1):
                with _explained(self.recipe, step):
                    figures = self.step(step - 1, batch)
                if self.log is not None:
                    self.log.step(step, figures)
                stop = self.parallel.any(asked.is_set())
                if stop or step % self.recipe.every == 0 or step == self.steps:
                    self._save(step)
                if stop:
                    break
            else:
                if step < self.steps:
                    raise DataError(f"the data ended after step {step} of {self.steps}; `stream` is to give them all")
            self._tell_unreadable()
        return Outcome(step, self.steps, step < self.steps, self.checkpoints.path(step), self.parallel.is_main)

    def _tell_unreadable(self) -> None:
        unreadable: dict[str, str] = getattr(self.data, "unreadable", {})
        if self.log is not None and unreadable:
            some = "; ".join(list(unreadable.values())[:3]) + ("; ..." if len(unreadable) > 3 else "")
            self.log.say(f"could not be read, {len(unreadable):,} in all: {some}")

    def step(self, number: int, batch: Batch) -> dict[str, float]:
        """One step, numbered from 0: gradient, clipping, AdamW. Raises `SightlineError` for a loss or a gradient that
        is none."""
        recipe, now = self.recipe, rate(number, self.steps, self.recipe)
        # Processes differ in what they drop, and no step repeats another's choices.
        torch.manual_seed((recipe.seed * (1 << 32) + number) * self.parallel.world + self.parallel.rank)
        self.optimizer.zero_grad(set_to_none=True)
        done = backward(
            self.model,
            batch,
            self.objective,
            micro_batch=recipe.micro_batch,
            accumulate=recipe.accumulate,
            precision=self.dtype,
            parallel=self.parallel,
        )
        loss = done.loss.item()
        norm = 0.0 if recipe.clip is None else self.parallel.clip(self.model, recipe.clip)
        for name, value in (("loss", loss), ("gradient's norm", norm)):
            if not math.isfinite(value):
                raise SightlineError(
                    f"step {number + 1}: the {name} is {value}; lower the rate (now {now:g}), lengthen the warm-up, or "
                    'try precision="float32". The last checkpoint is whole'
                )
        for group in self.optimizer.param_groups:
            group["lr"] = now * group["share"]
        self.optimizer.step()
        if recipe.scale == "learned":
            self.model.hold_scale(recipe.max_scale)
        if self.average is not None:
            self.average.update(self.model, number + 1)
        skipped = sum(count for (count,) in self.parallel.counts(batch.skipped))
        self.pictures += done.pictures
        self.skipped += skipped
        return {"loss": loss, "scale": self.model.scale.item(), "rate": now, "skipped": skipped}

    def _begin(self) -> int:
        """The step to start from; weights and moments are those of the last checkpoint."""
        if self.parallel.is_main:
            # Threads change nothing that is computed.
            settings = {name: value for name, value in self.recipe.settings().items() if name != "workers"}
            self.checkpoints.begin(settings | {"fingerprint of the data": self.fingerprint})
        self.parallel.barrier()
        steps = self.checkpoints.steps()
        if not steps:
            return 0
        state, told = self.checkpoints.open(steps[-1])
        self.pictures, self.skipped = told["pictures"], told["skipped"]
        unpack(state, self.model, self.optimizer, self.average)
        return steps[-1]

    def _save(self, step: int) -> None:
        whole = self.parallel.whole(self.model) if self.average is None else self.average.whole()
        state = pack(self.model, self.optimizer, self.average)
        if self.parallel.is_main:
            told = {"pictures": self.pictures, "skipped": self.skipped}
            saved = whole if self.recipe.lora is None else Adapted(whole, self.recipe.lora)
            self.checkpoints.save(step, saved, self.processor, self._card(step), state, told)
        self._evaluate(step)
        if self.parallel.is_main:
            self.checkpoints.tidy()
        self.parallel.barrier()

    def _evaluate(self, step: int) -> None:
        due = step % self.recipe.every == 0 or step == self.steps
        wanted = self.recipe.evaluate is not None and due and self.parallel.is_main
        if wanted and step not in self.checkpoints.results():
            figures = self.recipe.evaluate(self.checkpoints.path(step))  # type: ignore[misc]
            self.checkpoints.evaluated(step, figures)
            self.checkpoints.describe(step, self._card(step))
            if self.log is not None:
                self.log.evaluated(step, figures)

    def _card(self, step: int) -> str:
        results = {at: figures for at, figures in self.checkpoints.results().items() if at <= step}
        story = Story(self.about_data, self.fingerprint, step, self.steps, self.pictures, self.skipped, results)
        return card(self.model, self.recipe, story)

    def _open_log(self, start: int) -> AbstractContextManager[Log | None]:
        if not self.parallel.is_main:
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
