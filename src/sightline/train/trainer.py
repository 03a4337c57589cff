"""The training loop.

Everything random in a step depends on the seed and the step alone: which samples, how they are cropped, which units
are dropped. So a run that goes on from a checkpoint gives the same weights, bit for bit, as a run never stopped.
"""

import errno
import math
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sightline.checkpoint.selection import read_selection
from sightline.encoder.hardware import pick_dtype
from sightline.errors import DataError, SightlineError, UsageError
from sightline.models.pairs import PairModel
from sightline.nn.bert_layers import BertLayer
from sightline.nn.transformer import Block
from sightline.train.advice import memory_advice
from sightline.train.batch import Batch
from sightline.train.checkpoints import Checkpoints, pack, unpack
from sightline.train.ema import ExponentialMovingAverage
from sightline.train.freeze import freeze
from sightline.train.log import Log
from sightline.train.lora import Adapted, attach
from sightline.train.loss import ContrastiveLoss
from sightline.train.model_card import RunSummary, model_card
from sightline.train.optimizer import learning_rate, optimizer
from sightline.train.parallel import Parallel
from sightline.train.recipe import LocalRows, Recipe, describe
from sightline.train.run_file import RunFile, changes_shown
from sightline.train.source import open_source
from sightline.train.step import backward, freeze_batch_norms
from sightline.train.stopping import StopSignals


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the last step done, all steps, whether it stopped before the end, and its checkpoint's path.

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
    with Parallel.start(recipe.fsdp, recipe.device) as parallel:
        return Trainer(recipe, Path(folder), parallel).run()


class Trainer:
    """A run in this process, made ready from its recipe."""

    def __init__(self, recipe: Recipe, folder: Path, parallel: Parallel) -> None:
        self.recipe, self.parallel = recipe, parallel
        self.checkpoints = Checkpoints(folder)
        self.precision = pick_dtype(recipe.precision, parallel.device)
        # Looked at before there is a model, as they may not be there.
        self.evaluated_on: str | None = getattr(recipe.evaluate, "data_fingerprint", None)
        torch.manual_seed(recipe.seed)
        model, self.processor = recipe.start()
        self._make_ready(model)
        self.ema = None if recipe.ema_decay is None else ExponentialMovingAverage(model, recipe.ema_decay)
        self.model = parallel.wrap(model)
        if self.ema is not None:
            self.ema.start(self.model)
        self.changes: tuple[Mapping[str, Any], ...] = ()
        self.source = open_source(recipe, self.processor, LocalRows(parallel.rank, parallel.world_size))
        self.remarks, self.data = list(self.source.remarks), self.source.data
        self.steps = recipe.steps or self._steps(recipe.epochs or 1)
        if (recipe.warmup_steps or 0) >= self.steps:
            self.remarks.append(
                f"the warmup of {recipe.warmup_steps:,} steps is not shorter than the run of {self.steps:,}: the "
                "learning rate stays below --lr"
            )
        self.optimizer = optimizer(self.model, recipe)
        smoothing = model.label_smoothing if recipe.label_smoothing is None else recipe.label_smoothing
        self.loss = recipe.loss or ContrastiveLoss(smoothing, recipe.equal_captions)
        self.log: Log | None = None
        self.stop = StopSignals()
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
                if isinstance(module, Block | BertLayer):
                    module.compile()

    def _steps(self, epochs: float) -> int:
        steps_per_epoch: float | None = getattr(self.data, "steps_per_epoch", None)
        if steps_per_epoch is None:
            raise UsageError("data that a function makes has no epochs: say how many steps")
        return max(1, round(epochs * steps_per_epoch))

    def run(self) -> Outcome:
        """All steps that are left. Raises `UsageError` where another process trains in the same folder."""
        try:
            with self.checkpoints.lock() if self.parallel.is_main else nullcontext():
                return self._run()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise SightlineError(
                f"{self.checkpoints.folder}: cannot be written ({error.strerror}); make room, and the same command "
                "goes on from the last checkpoint"
            ) from error

    def _run(self) -> Outcome:
        start = step = self._begin()
        with self._open_log(start) as self.log, self.stop.handled():
            for remark in self.remarks:
                self._say(remark)
            if start == self.steps:
                self._say(f"all {start:,} steps are done; --steps or --epochs makes the run longer")
            if start:
                self._evaluate(start)  # where the run was killed in between
            elif self.recipe.evaluate is not None and not callable(self.recipe.model):
                self._save(0)  # what training has to improve on
            is_stopped = self.parallel.any(self.stop.asked)
            if not is_stopped:
                step, is_stopped = self._steps_from(start)
            self._log_unreadable()
        return Outcome(step, self.steps, is_stopped, self.checkpoints.path(step), self.parallel.is_main)

    def _steps_from(self, start: int) -> tuple[int, bool]:
        """Trains to the end. Returns the last step, and whether a signal left something to do."""
        step, batches = start, iter(self.data.stream(start, self.steps))
        images = self.recipe.batch_size // self.parallel.world_size
        while step < self.steps:
            with memory_advice(self.recipe, step + 1, images):
                batch = next(batches, None)
                if batch is None:
                    raise DataError(f"the data ended after step {step} of {self.steps}; `stream` must give them all")
                figures = self.step(step, batch)
            step += 1
            if self.log is not None:
                self.log.step(step, figures)
            is_stopped = self.parallel.any(self.stop.asked)
            if is_stopped or step % self.recipe.checkpoint_every == 0 or step == self.steps:
                self._save(step)
                is_stopped = self.parallel.any(self.stop.asked)
            if is_stopped:
                return step, step < self.steps or self._is_due(step)
        return step, False

    def _say(self, text: str) -> None:
        if self.log is not None:
            self.log.say(text)

    def _log_unreadable(self) -> None:
        unreadable: dict[str, str] = getattr(self.data, "unreadable", {})
        if unreadable:
            reasons = "; ".join(list(unreadable.values())[:3]) + ("; ..." if len(unreadable) > 3 else "")
            self._say(f"could not be read, {len(unreadable):,} in all: {reasons}")

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
                rounding = "" if self.precision == torch.float32 else "go on from it with --precision float32, or "
                raise SightlineError(
                    f"step {number + 1}: the {name} is {value}. The last checkpoint is whole: {rounding}begin a run in "
                    f"another folder with a lower --lr (now {lr:g}) or more --warmup-steps"
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
            self._begin_file()
            self.checkpoints.repair()
        self.parallel.barrier()
        steps = self.checkpoints.steps()
        if not steps:
            return 0
        state, counts = self.checkpoints.open(steps[-1])
        self.images, self.skipped = counts["images"], counts["skipped"]
        unpack(state, self.model, self.optimizer, self.ema)
        return steps[-1]

    def _begin_file(self) -> None:
        """Writes the settings of a new run, or checks those of an old one and notes what is to change. A run without a
        checkpoint has nothing to keep, and begins anew."""
        folder, done = self.checkpoints.folder, self.checkpoints.steps()
        file = RunFile.of(self.recipe, self.steps, self.source.fingerprint, self.evaluated_on)
        if done:
            old = RunFile.open(folder)
            file = old.continued(file, done[-1], folder)
            self.remarks += file.said_since(old)
        self.changes = file.changes
        file.save(folder)

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

    def _is_due(self, step: int) -> bool:
        """Whether the checkpoint of a step has still to be evaluated, by this process."""
        if self.recipe.evaluate is None or not self.parallel.is_main or step in self.checkpoints.results():
            return False
        return step % self.recipe.checkpoint_every == 0 or step == self.steps

    def _evaluate(self, step: int) -> None:
        """Evaluates a checkpoint, unless a signal prevents it: then it is done when the run goes on."""
        if self.recipe.evaluate is None or not self._is_due(step) or self.stop.asked:
            return
        self._say(f"step {step:,}: evaluating")
        evaluate, figures = self.recipe.evaluate, None
        with self.stop.interrupting():
            figures = evaluate(self.checkpoints.path(step))
        if figures is None:
            return
        data = getattr(evaluate, "data", None) or describe(self.recipe.settings()["evaluate"])
        self.checkpoints.evaluated(step, figures, data, self.evaluated_on)
        self.checkpoints.describe(step, self._card(step))
        if self.log is not None:
            self.log.evaluated(step, figures)

    def _card(self, step: int) -> str:
        results = {at: figures for at, figures in self.checkpoints.results().items() if at <= step}
        summary = RunSummary(
            data=self.source.name,
            fingerprint=self.source.fingerprint,
            step=step,
            steps=self.steps,
            images=self.images,
            skipped=self.skipped,
            results=results,
            changes=changes_shown(self.changes),
            selection=read_selection(self.checkpoints.path(step)),
        )
        return model_card(self.model, self.recipe, summary)

    def _open_log(self, start: int) -> AbstractContextManager[Log | None]:
        if not self.parallel.is_main:
            return nullcontext()
        return Log(self.checkpoints.folder, self.steps, self.recipe.batch_size, start)
