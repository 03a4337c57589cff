"""A training run in one or several processes.

Each of several processes computes the embeddings of its rows, gathers those of all, and computes the part of the loss
that its rows have. The mean over the processes of their losses' gradients, each loss times the number of processes, is
the whole batch's gradient.
"""

import copy
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import accumulate
from types import TracebackType
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from sightline.encoder.hardware import pick_device
from sightline.errors import UsageError
from sightline.models.pairs import PairModel
from sightline.nn.bert_layers import BertLayer
from sightline.nn.transformer import Block

T = TypeVar("T")

_TIMEOUT = timedelta(hours=6)
"""How long the other processes wait for the main process to evaluate."""


class Parallel:
    """A run in a single process, which computes all rows."""

    rank = 0
    world_size = 1

    def __init__(self, device: str = "auto") -> None:
        self.device = pick_device(device)

    @staticmethod
    def start(fsdp: bool = False, device: str = "auto") -> "Parallel":
        """A single process or, if `torchrun` started this process, one of several; with `fsdp` they divide the weights.

        Raises `UsageError` for `fsdp` in a single process, and for a device that is not there.
        """
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            return FSDPProcesses(device) if fsdp else DDPProcesses(device)
        if fsdp:
            raise UsageError("fsdp divides weights among processes; start several: torchrun --nproc-per-node=8")
        return Parallel(device)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

    def wrap(self, model: PairModel) -> PairModel:
        """The same model, on its device, ready for `backward`. Called once, before there is an optimizer."""
        return model.to(self.device)

    def whole(self, model: PairModel) -> PairModel:
        """The model with all its weights in this process, to be saved. All processes call it."""
        return model

    def clip_grad_norm(self, model: PairModel, max_grad_norm: float) -> float:
        """Scales the gradients down where the norm of all of them together exceeds `max_grad_norm`. The norm before."""
        return nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm).item()

    def run(self, work: Callable[[], T]) -> T:
        """`work()`, which uses the model."""
        return work()

    def backward(self, work: Callable[[], list[Tensor]], gradients: Sequence[Tensor | None], is_last: bool) -> None:
        """Runs `work()` and adds the gradients of its tensors, times `gradients`, to the parameters' `.grad`.

        The last call of a step turns `.grad` into the mean over all processes.
        """
        _backward(self.run(work), gradients)

    def counts(self, *numbers: int) -> list[list[int]]:
        """These numbers of every process, by rank."""
        return [list(numbers)]

    def gather(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """(counts[rank], ...) of every process -> (sum(counts), ...). Gradients go back to the process of their rows,
        added up over the processes."""
        return rows

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over all processes, without gradient."""
        return tensor.detach()

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true in any process. All processes call it."""
        return flag

    def barrier(self) -> None:
        """Waits until all processes are here."""

    def close(self) -> None:
        """Ends the connection to the other processes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self.close()


class DDPProcesses(Parallel):
    """One of the processes that `torchrun` started; each has the whole model (torch's DDP)."""

    def __init__(self, device: str = "auto") -> None:
        self.rank, self.world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        if ":" in device:
            raise UsageError(f"device {device!r}: each of several processes takes a GPU of its own; say the kind alone")
        super().__init__(device)
        if self.device.type == "cuda":
            self.device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(self.device)
        # Tensors on the CPU are exchanged by gloo, so that no GPU waits for them.
        backend = "cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=_TIMEOUT)

    def wrap(self, model: PairModel) -> PairModel:
        model = super().wrap(model)
        # Parameters such as BERT's pooler's have no gradient, others none in a step's last part.
        self._model = DistributedDataParallel(_Work(model), find_unused_parameters=True)
        return model

    def backward(self, work: Callable[[], list[Tensor]], gradients: Sequence[Tensor | None], is_last: bool) -> None:
        # DDP exchanges gradients only of what went through its wrapper.
        _backward(self._model(work) if is_last else work(), gradients)

    def counts(self, *numbers: int) -> list[list[int]]:
        gathered = [torch.empty(len(numbers), dtype=torch.int64) for _ in range(self.world_size)]
        distributed.all_gather(gathered, torch.tensor(numbers))
        return [counts.tolist() for counts in gathered]

    def gather(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        return _Gather.apply(rows, counts, self.rank)  # type: ignore[no-any-return, no-untyped-call]

    def mean(self, tensor: Tensor) -> Tensor:
        total = tensor.detach().clone()
        distributed.all_reduce(total)
        return total / self.world_size

    def any(self, flag: bool) -> bool:
        return any(value for (value,) in self.counts(int(flag)))

    def barrier(self) -> None:
        self.counts(0)

    def close(self) -> None:
        distributed.destroy_process_group()


class FSDPProcesses(DDPProcesses):
    """One of the processes that `torchrun` started; each has a part of the weights and moments (torch's FSDP)."""

    def wrap(self, model: PairModel) -> PairModel:
        self._empty = copy.deepcopy(model).to("meta")
        model = Parallel.wrap(self, model)
        for value in model.state_dict().values():
            distributed.broadcast(value, 0)
        mesh = init_device_mesh(self.device.type, (self.world_size,))
        for module in model.modules():
            if isinstance(module, Block | BertLayer):
                fully_shard(module, mesh=mesh)
                register_fsdp_forward_method(module, "at")
        # FSDP cannot divide a single number: every process has the logit scale.
        self._undivided = {parameter for parameter in model.parameters() if parameter.ndim == 0}
        self._work = fully_shard(_Work(model), mesh=mesh, ignored_params=self._undivided)
        return model

    def whole(self, model: PairModel) -> PairModel:
        state = {name: full(tensor).cpu() for name, tensor in model.state_dict().items()}
        self._empty.load_state_dict(state, strict=True, assign=True)
        return self._empty

    def clip_grad_norm(self, model: PairModel, max_grad_norm: float) -> float:
        trained = [parameter for parameter in model.parameters() if parameter.grad is not None]
        # torch computes with divided and undivided tensors separately; their norm is one.
        kinds = [[p for p in trained if isinstance(p.grad, DTensor) == divided] for divided in (True, False)]
        norms = [full(nn.utils.get_total_norm([p.grad for p in kind if p.grad is not None])) for kind in kinds if kind]
        norm = torch.linalg.vector_norm(torch.stack(norms))
        for kind in kinds:
            nn.utils.clip_grads_with_norm_(kind, max_grad_norm, norm)
        return float(norm)

    def run(self, work: Callable[[], T]) -> T:
        return self._work(work)  # type: ignore[no-any-return, operator]

    def backward(self, work: Callable[[], list[Tensor]], gradients: Sequence[Tensor | None], is_last: bool) -> None:
        self._work.set_requires_gradient_sync(is_last)
        self._work.set_is_last_backward(is_last)
        _backward(self.run(work), gradients)
        if is_last:
            for parameter in self._undivided:
                if parameter.grad is not None:
                    parameter.grad.copy_(self.mean(parameter.grad))


class _Work(nn.Module):
    """Makes any function of the model a call of `forward`, which torch's wrappers expect."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[], T]) -> T:
        return work()


class _Gather(torch.autograd.Function):
    """The rows of all processes, whose numbers of rows may differ."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: Sequence[int], rank: int) -> Tensor:
        ctx.start, ctx.stop = [0, *accumulate(counts)][rank : rank + 2]
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        gathered = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(gathered, padded)
        return torch.cat([part[:count] for part, count in zip(gathered, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total[ctx.start : ctx.stop], None, None


def _backward(tensors: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
    pairs = [(tensor, gradient) for tensor, gradient in zip(tensors, gradients, strict=True) if tensor.requires_grad]
    if not pairs:
        raise UsageError("neither tower is trained, so there is no memory to save: leave micro_batch_size out")
    torch.autograd.backward([tensor for tensor, _ in pairs], [gradient for _, gradient in pairs])


def full(tensor: Tensor) -> Tensor:
    """All of a tensor that may be divided among processes, without gradient. All call it, in the same order."""
    return tensor.full_tensor().detach() if isinstance(tensor, DTensor) else tensor.detach()


def shared_like(tensor: Tensor, pattern: Tensor) -> Tensor:
    """A whole tensor, or this process's part of it where `pattern` is divided among processes."""
    tensor = tensor.to(pattern.device)
    if isinstance(pattern, DTensor):
        return distribute_tensor(tensor, pattern.device_mesh, pattern.placements)
    return tensor
