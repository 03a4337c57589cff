"""The training loop.

Everything random in a step depends on the seed and the step alone: which samples, how they are cropped, which units
are dropped. So a run that goes on from a checkpoint gives the same weights, bit for bit, as a run never stopped.
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
from sightline.encoder.memory import is_out_of_memory
from sightline.errors import DataError, SightlineError, UsageError
from sightline.logger import LOGGER
from sightline.models.pairs import PairModel
from sightline.nn.transformer import Block
from sightline.processing.text_counts import TextCounts
from sightline.train.batch import Batch, Data
from sightline.train.checkpoints import Checkpoints, pack, unpack
from sightline.train.ema import ExponentialMovingAverage
from sightline.train.freeze import freeze
from sightline.train.loader import Loader
from sightline.train.log import Log
from sightline.train.lora import Adapted, attach
from sightline.train.loss import ContrastiveLoss
from sightline.train.model_card import RunSummary, model_card
from sightline.train.optimizer import learning_rate, optimizer
from sightline.train.parallel import Parallel
from sightline.train.recipe import LocalRows, Recipe
from sightline.train.step import backward, freeze_batch_norms


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the last step done, all steps, whether it stopped before the last, and its checkpoint's path.

    Of several processes the one with `is_main` wrote the checkpoint.
    """

    step: int
    steps: int
    stopped: bool
    path: Path
    is_main: bool


def train(recipe: Recipe, folder: str | os.PathLike[str]) -> Outcome:
    """Trains in `folder`, or goes on with the run in it that was stopped or killed.

    SIGTERM and Ctrl-C end the step, save and stop; a second one stops at once. Raises `UsageError`,
    `CheckpointError`, and `SightlineError` where training itself fails (no memory, a loss that is not finite).
    """
    with Parallel.start(recipe.fsdp) as parallel:
        return Trainer(recipe, Path(folder), parallel).run()


class Trainer:
    """A run in this process, made ready from its recipe."""

    def __init__(self, recipe: Recipe, folder: Path, parallel: Parallel) -> None:
        self.recipe, self.parallel = recipe, parallel
        self.checkpoints = Checkpoints(folder)
        self.precision = pick_dtype(recipe.precision, parallel.device)
        torch.manual_seed(recipe.seed)
        model, self.processor = recipe.start()
        self._make_ready(model)
        self.ema = None if recipe.ema_decay is None else ExponentialMovingAverage(model, recipe.ema_decay)
        self.model = parallel.wrap(model)
        if self.ema is not None:
            self.ema.start(self.model)
        self.remark = ""
        self.data_name, self.fingerprint, self.data = self._open_data()
        self.steps = recipe.steps or self._steps(recipe.epochs or 1)
        self.optimizer = optimizer(self.model, recipe)
        smoothing = model.label_smoothing if recipe.label_smoothing is None else recipe.label_smoothing
        self.loss = recipe.loss or ContrastiveLoss(smoothing)
        self.log: Log | None = None
        self.images, self.skipped = 0, 0

    def _make_ready(self, model: PairModel) -> None:
        model.train().requires_grad_(True)
        if self.recipe.logit_scale == "fixed":
            model.scale_parameter.requires_grad_(False)
        if self.parallel.device.type == "cpu":
            # torch's fused attention takes three times as long backwards there, for sequences as short as these.
            model.set_attn_implementation("eager")
        if self.recipe.lora is not None:
            attach(model, self.recipe.lora)
        freeze(model, self.recipe.freeze)
        if self.recipe.freeze_norms:
            freeze_batch_norms(model)
        if self.recipe.grad_checkpointing:
            model.gradient_checkpointing_enable()
        if self.recipe.compile:
            for module in model.modules():
                if isinstance(module, Block):
                    module.compile()

    def _open_data(self) -> tuple[str, str | None, Data]:
        """The data's name, their fingerprint if they have one, and the batches."""
        recipe, rows = self.recipe, LocalRows(self.parallel.rank, self.parallel.world_size)
        if callable(recipe.data):
            data = recipe.data(recipe, self.processor, rows)
            return str(recipe.settings()["data"]), getattr(data, "fingerprint", None), data
        dataset = captions(recipe.data, split=recipe.split, image_root=recipe.image_root)
        loader = Loader(
            dataset.samples,
            self.processor,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            captions_per_image=recipe.captions_per_image,
            crop=recipe.crop,
            flip=recipe.flip,
            color_jitter=recipe.color_jitter,
            workers=recipe.workers,
            rank=rows.rank,
            world_size=rows.world_size,
        )
        if dataset.left_out:
            self.remark = f"left out of the data: {dataset.left_out}"
        return f"{dataset.name}: {len(dataset.samples):,} images or videos", dataset.fingerprint, loader

    def _steps(self, epochs: float) -> int:
        steps_per_epoch: float | None = getattr(self.data, "steps_per_epoch", None)
        if steps_per_epoch is None:
            raise UsageError("data that a function makes has no epochs: say how many steps")
        return max(1, round(epochs * steps_per_epoch))

    def run(self) -> Outcome:
        """All steps that are left. Raises `UsageError` where another process trains in the same folder."""
        with self.checkpoints.lock() if self.parallel.is_main else nullcontext():
            return self._run()

    def _run(self) -> Outcome:
        start = self._begin()
        step = start
        with self._open_log(start) as self.log, _stop_signals() as stop_asked:
            if self.log is not None and self.remark:
                self.log.say(self.remark)
            if start:
                self._evaluate(start)  # where the run was killed in between
            elif self.recipe.evaluate is not None and not callable(self.recipe.model):
                self._save(0)  # what training has to improve on
            spelling_said = False
            for step, batch in enumerate(self.data.stream(start, self.steps), start + 1):
                with _memory_advice(self.recipe, step):
                    figures = self.step(step - 1, batch)
                if self.log is not None:
                    self.log.step(step, figures)
                    spelling_said = spelling_said or self._log_spelling()
                stop = self.parallel.any(stop_asked.is_set())
                if stop or step % self.recipe.checkpoint_every == 0 or step == self.steps:
                    self._save(step)
                if stop:
                    break
            else:
                if step < self.steps:
                    raise DataError(f"the data ended after step {step} of {self.steps}; `stream` must give them all")
            self._log_unreadable()
            self._log_cut()
        return Outcome(step, self.steps, step < self.steps, self.checkpoints.path(step), self.parallel.is_main)

    def _log_unreadable(self) -> None:
        unreadable: dict[str, str] = getattr(self.data, "unreadable", {})
        if self.log is not None and unreadable:
            reasons = "; ".join(list(unreadable.values())[:3]) + ("; ..." if len(unreadable) > 3 else "")
            self.log.say(f"could not be read, {len(unreadable):,} in all: {reasons}")

    def _log_spelling(self) -> bool:
        """Says once, when the first batches have shown it, that the vocabulary lacks the captions' words."""
        warnings = list(self._texts.spelled_warning(str(self.recipe.settings()["model"]), "captions"))
        for warning in warnings:
            LOGGER.warning(warning)
        return bool(warnings)

    def _log_cut(self) -> None:
        for warning in self._texts.cut_warning("captions"):
            LOGGER.warning(warning)

    @property
    def _texts(self) -> TextCounts:
        """What the data say of the texts so far; nothing where a function made the data."""
        counts: TextCounts = getattr(self.data, "texts", TextCounts())
        return counts

    def step(self, number: int, batch: Batch) -> dict[str, float]:
        """A step, numbered from 0: gradient, clipping, AdamW. Raises `SightlineError` if the loss or the norm of the
        gradient is not finite."""
        recipe, lr = self.recipe, learning_rate(number, self.steps, self.recipe)
        # Processes differ in what they drop, and no step repeats another's choices.
        torch.manual_seed((recipe.seed * (1 << 32) + number) * self.parallel.world_size + self.parallel.rank)
        self.optimizer.zero_grad(set_to_none=True)
        result = backward(
            self.model,
            batch,
            self.loss,
            micro_batch_size=recipe.micro_batch_size,
            grad_accum_steps=recipe.grad_accum_steps,
            precision=self.precision,
            parallel=self.parallel,
        )
        loss = result.loss.item()
        norm = 0.0 if recipe.max_grad_norm is None else self.parallel.clip_grad_norm(self.model, recipe.max_grad_norm)
        for name, value in (("loss", loss), ("gradient's norm", norm)):
            if not math.isfinite(value):
                raise SightlineError(
                    f"step {number + 1}: the {name} is {value}; lower lr (now {lr:g}), raise warmup_steps, or "
                    'try precision="float32". The last checkpoint is whole'
                )
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        self.optimizer.step()
        if recipe.logit_scale == "learned":
            self.model.clamp_logit_scale(recipe.max_logit_scale)
        if self.ema is not None:
            self.ema.update(self.model, number + 1)
        skipped = sum(count for (count,) in self.parallel.counts(batch.skipped))
        self.images += result.images
        self.skipped += skipped
        return {"loss": loss, "logit_scale": self.model.scale.item(), "lr": lr, "skipped": skipped}

    def _begin(self) -> int:
        """Restores the last checkpoint, if there is one. Returns the step to start from."""
        if self.parallel.is_main:
            # The number of threads changes no result.
            settings = {name: value for name, value in self.recipe.settings().items() if name != "workers"}
            self.checkpoints.begin(settings | {"fingerprint of the data": self.fingerprint})
        self.parallel.barrier()
        steps = self.checkpoints.steps()
        if not steps:
            return 0
        state, counts = self.checkpoints.open(steps[-1])
        self.images, self.skipped = counts["images"], counts["skipped"]
        unpack(state, self.model, self.optimizer, self.ema)
        return steps[-1]

    def _save(self, step: int) -> None:
        whole = self.parallel.whole(self.model) if self.ema is None else self.ema.whole()
        state = pack(self.model, self.optimizer, self.ema)
        if self.parallel.is_main:
            counts = {"images": self.images, "skipped": self.skipped}
            model = whole if self.recipe.lora is None else Adapted(whole, self.recipe.lora)
            self.checkpoints.save(step, model, self.processor, self._card(step), state, counts)
        self._evaluate(step)
        if self.parallel.is_main:
            self.checkpoints.tidy()
        self.parallel.barrier()

    def _evaluate(self, step: int) -> None:
        if self.recipe.evaluate is None or not self.parallel.is_main or step in self.checkpoints.results():
            return
        if step % self.recipe.checkpoint_every == 0 or step == self.steps:
            figures = self.recipe.evaluate(self.checkpoints.path(step))
            self.checkpoints.evaluated(step, figures)
            self.checkpoints.describe(step, self._card(step))
            if self.log is not None:
                self.log.evaluated(step, figures)

    def _card(self, step: int) -> str:
        results = {at: figures for at, figures in self.checkpoints.results().items() if at <= step}
        summary = RunSummary(self.data_name, self.fingerprint, step, self.steps, self.images, self.skipped, results)
        return model_card(self.model, self.recipe, summary)

    def _open_log(self, start: int) -> AbstractContextManager[Log | None]:
        if not self.parallel.is_main:
            return nullcontext()
        return Log(self.checkpoints.folder, self.steps, self.recipe.batch_size, start)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Within, the first SIGTERM or Ctrl-C sets the event; the next one is handled as before."""
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
def _memory_advice(recipe: Recipe, step: int) -> Iterator[None]:
    """Where memory runs out, the error says which setting to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise SightlineError(
            f"step {step}: not enough memory for {recipe.micro_batch_size or recipe.batch_size} images at a time: give "
            "--micro-batch-size (micro_batch_size in a recipe) a smaller number, which keeps the gradient of the whole "
            "batch, or take --grad-checkpointing or --precision bfloat16; the last checkpoint is whole"
        ) from error
