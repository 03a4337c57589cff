"""A run's folder: checkpoints that any program opens, and the state from which the run goes on as if never stopped.

    run/step-00000500/     config.json, model.safetensors, tokenizer, processor, card: a checkpoint as any other
                 /adapter/   of a run with LoRA, as peft has it; the checkpoint itself holds it merged
                 /training/  state.safetensors (weights, moments), state.json (step, counts)
                 /selection.json  of the best: by which data it was chosen
    run/last, run/best     links to two of them
    run/results.json       the figures of evaluations, by step

A checkpoint is written under another name and renamed once it is whole and on the disk, so a folder with the final name
is always whole. No file is a pickle.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sightline.checkpoint.selection import Selection, write_selection
from sightline.errors import CheckpointError, JsonError, UsageError
from sightline.files import read_json, take_lock, write_json, write_text
from sightline.models.pairs import PairModel
from sightline.models.processor import Processor
from sightline.train.ema import ExponentialMovingAverage
from sightline.train.lora import Adapted
from sightline.train.parallel import full, shared_like

_WRITING = ".writing-"
_LOCK = "run.lock"


class Checkpoints:
    """The checkpoints of the run in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def steps(self) -> list[int]:
        """The steps of all checkpoints, ascending."""
        names = (path.name.removeprefix("step-") for path in self.folder.glob("step-*"))
        return sorted(int(name) for name in names if name.isdecimal())

    def path(self, step: int) -> Path:
        """The folder of the checkpoint of a step."""
        return self.folder / f"step-{step:08}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Makes the folder; within, no other process trains in it.

        Raises `UsageError` if another process does, or if the folder holds something else than a run.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(f"{self.folder} is a file or lies in one: name a folder for the run") from error
        # A killed run may have left the temporary name of its first file.
        names = {path.name for path in self.folder.iterdir() if not path.name.startswith(".run.json.")}
        if "run.json" not in names and names - {_LOCK}:
            raise UsageError(
                f"{self.folder} is not empty and holds no run: choose another folder, such as {self.folder}/run"
            )
        handle = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            with suppress(OSError):  # a file system without locks
                if not take_lock(handle):
                    raise UsageError(f"{self.folder}: another process trains there; wait until it is done, or stop it")
            yield
        finally:
            os.close(handle)

    def repair(self) -> None:
        """Deletes what a kill left half-written, and links the last checkpoint."""
        for left in self.folder.glob(_WRITING + "*"):
            left.unlink() if left.is_symlink() else shutil.rmtree(left)
        if steps := self.steps():
            self._link("last", self.path(steps[-1]))

    def save(
        self,
        step: int,
        model: PairModel | Adapted,
        processor: Processor,
        card: str,
        state: Mapping[str, Tensor],
        counts: Mapping[str, Any],
    ) -> Path:
        """Writes the checkpoint of a step, whole or not at all, and makes it the last.

        Raises `CheckpointError` where the disk is full, say.
        """
        path, writing = self.path(step), self.folder / f"{_WRITING}{step:08}"
        try:
            model.save_pretrained(writing)
            processor.save_pretrained(writing)
            write_text(writing / "README.md", card)
            training = writing / "training"
            training.mkdir()
            save_file({name: tensor.contiguous() for name, tensor in state.items()}, training / "state.safetensors")
            write_json(training / "state.json", {"step": step, **counts})
            for file in (*writing.rglob("*"), writing):
                _sync_to_disk(file)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(writing, ignore_errors=True)
            raise CheckpointError(
                f"{path}: cannot be written ({error}); make room, and the same command goes on from the last checkpoint"
            ) from error
        writing.rename(path)
        self._link("last", path)
        _sync_to_disk(self.folder)
        return path

    def describe(self, step: int, card: str) -> None:
        """Replaces a checkpoint's card."""
        write_text(self.path(step) / "README.md", card)

    def open(self, step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The state and the counts that `save` wrote. Raises `CheckpointError` if they are damaged."""
        training = self.path(step) / "training"
        try:
            return load_file(training / "state.safetensors"), read_json(training / "state.json")
        except (OSError, SafetensorError, JsonError) as error:
            raise CheckpointError(
                f"{training}: cannot be read ({error}); delete {self.path(step)} to go on from the one before, or "
                "from the beginning"
            ) from error

    def results(self) -> dict[int, dict[str, float]]:
        """The figures of evaluations, by step."""
        path = self.folder / "results.json"
        return {int(step): figures for step, figures in self._read(path).items()} if path.exists() else {}

    def evaluated(self, step: int, figures: Mapping[str, float], data: str, data_fingerprint: str | None) -> None:
        """Writes an evaluation's figures. The highest first figure, of equals the earliest, is the best; its checkpoint
        keeps by which data it was chosen."""
        results = self.results() | {step: dict(figures)}
        first = next(iter(figures), None)
        if first is not None:
            best = max(sorted(results), key=lambda key: results[key].get(first, float("-inf")))
            if best == step:
                self._link("best", self.path(step))
            selection = Selection(data=data, data_fingerprint=data_fingerprint, metric=first, checkpoints=len(results))
            write_selection(self.path(best), selection)
        # Last, since a step with figures is not evaluated again after a kill.
        write_json(self.folder / "results.json", {f"{key:08}": value for key, value in sorted(results.items())})

    def tidy(self) -> None:
        """Deletes all checkpoints except the last and the best."""
        kept = {(self.folder / name).resolve().name for name in ("last", "best")}
        for step in self.steps():
            if self.path(step).name not in kept:
                shutil.rmtree(self.path(step))

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            return read_json(path)
        except (OSError, JsonError) as error:
            raise CheckpointError(
                f"{path} is damaged ({error}); put back a copy of the file, or train into another folder"
            ) from error

    def _link(self, name: str, path: Path) -> None:
        new = self.folder / f"{_WRITING}{name}"
        new.unlink(missing_ok=True)
        new.symlink_to(path.name)
        new.replace(self.folder / name)


def _sync_to_disk(path: Path) -> None:
    """Waits until a file or a folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def pack(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, ema: ExponentialMovingAverage | None = None
) -> dict[str, Tensor]:
    """Weights, buffers, the optimizer's moments and the averaged weights by name, whole. All processes call it."""
    state = {f"model.{name}": full(tensor).cpu() for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            state[f"optimizer.{name}.{key}"] = full(torch.as_tensor(value)).cpu()
    if ema is not None:
        state |= {f"ema.{name}": full(tensor).cpu() for name, tensor in ema.tensors.items()}
    return state


def unpack(
    state: Mapping[str, Tensor],
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    ema: ExponentialMovingAverage | None = None,
) -> None:
    """Restores what `pack` returned."""
    saved, current = _under("model.", state), model.state_dict()
    tensors = {name: shared_like(tensor, current.get(name, tensor)) for name, tensor in saved.items()}
    model.load_state_dict(tensors, strict=True)
    if ema is not None:
        ema.restore(_under("ema.", state))
    parameters = dict(model.named_parameters())
    for name, tensor in state.items():
        if name.startswith("optimizer."):
            name, _, key = name.removeprefix("optimizer.").rpartition(".")
            parameter = parameters[name]
            # The number of steps is a number; the moments are divided among processes as their parameter is.
            moment = tensor.to(parameter.device) if key == "step" else shared_like(tensor, parameter)
            optimizer.state[parameter][key] = moment


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
