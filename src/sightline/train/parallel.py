"""One training run in one or several processes.

Several: each computes the halves of its own rows, all get everybody's halves, and each the part of the loss that its
rows have. The gradients' mean over the processes, of losses times the number of processes, is the whole batch's.
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
from sightline.nn.transformer import Block

T = TypeVar("T")

_PATIENCE = timedelta(hours=6)
"""How long the others wait for the main process to evaluate."""


class Parallel:
    """The process alone: all rows are its own, and there is nobody to wait for."""

    rank = 0
    world = 1

    def __init__(self) -> None:
        self.device = pick_device("auto")

    @staticmethod
    def start(shard: bool = False) -> "Parallel":
        """The process alone or, where `torchrun` started it, one of several; with `shard` these divide up the weights.

        Raises `UsageError` if one process is to share.
        """
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            return Sharded() if shard else Processes()
        if shard:
            raise UsageError("one process has nobody to share weights with; start several: torchrun --nproc-per-node=8")
        return Parallel()

    @property
    def is_main(self) -> bool:
        """Of all processes, the one that writes files and reports."""
        return self.rank == 0

    def wrap(self, model: PairModel) -> PairModel:
        """The same model, on its device, ready for `backward`. Once, before there is an optimizer."""
        return model.to(self.device)

    def whole(self, model: PairModel) -> PairModel:
        """The model with all its weights in this process, to be saved. All call it, the main process saves."""
        return model

    def clip(self, model: PairModel, most: float) -> float:
        """Scales the gradients down where their norm, of all of them together, is larger than `most`. The norm."""
        return nn.utils.clip_grad_norm_(model.parameters(), most).item()

    def run(self, work: Callable[[], T]) -> T:
        """`work()`, which uses the model."""
        return work()

    def backward(self, work: Callable[[], list[Tensor]], gradients: Sequence[Tensor | None], last: bool) -> None:
        """Runs `work()` and adds the gradients of its tensors, times `gradients`, to the parameters' `.grad`.

        With the `last` of a step's calls they become the mean over all processes.
        """
        _backward(self.run(work), gradients)

    def counts(self, *numbers: int) -> list[list[int]]:
        """These numbers of every process, by rank."""
        return [list(numbers)]

    def gather(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """(counts[rank], ...) of every process -> (sum(counts), ...). Gradients go back to where rows came from, added
        up over the processes."""
        return rows

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over all processes, without gradient."""
        return tensor.detach()

    def any(self, flag: bool) -> bool:
        """Whether any process says so. All call it."""
        return flag

    def barrier(self) -> None:
        """Waits until all processes are here."""

    def close(self) -> None:
        """Lets go of the other processes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self.close()


class Processes(Parallel):
    """One of those that `torchrun` started; each has the whole model (torch's DDP)."""

    def __init__(self) -> None:
        self.rank, self.world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self.device = pick_device("auto")
        if self.device.type == "cuda":
            self.device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(self.device)
        # Numbers that are on the processor go by gloo, and no GPU waits for them.
        backend = "cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=_PATIENCE)

    def wrap(self, model: PairModel) -> PairModel:
        model = super().wrap(model)
        # Some parameters have no gradient (BERT's pooler), others not in a step's last part.
        self._model = DistributedDataParallel(_Work(model), find_unused_parameters=True)
        return model

    def backward(self, work: Callable[[], list[Tensor]], gradients: Sequence[Tensor | None], last: bool) -> None:
        # Gradients travel only of what went through the wrapper.
        _backward(self._model(work) if last else work(), gradients)

    def counts(self, *numbers: int) -> list[list[int]]:
        found = [torch.empty(len(numbers), dtype=torch.int64) for _ in range(self.world)]
        distributed.all_gather(found, torch.tensor(numbers))
        return [own.tolist() for own in found]

    def gather(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        return _Gather.apply(rows, counts, self.rank)  # type: ignore[no-any-return, no-untyped-call]

    def mean(self, tensor: Tensor) -> Tensor:
        total = tensor.detach().clone()
        distributed.all_reduce(total)
        return total / self.world

    def any(self, flag: bool) -> bool:
        return any(own for (own,) in self.counts(int(flag)))

    def barrier(self) -> None:
        self.counts(0)

    def close(self) -> None:
        distributed.destroy_process_group()


class Sharded(Processes):
    """One of those that `torchrun` started; each has its part of weights, gradients and moments (torch's FSDP)."""

    def wrap(self, model: PairModel) -> PairModel:
        self._bare = copy.deepcopy(model).to("meta")
        model = Parallel.wrap(self, model)
        for value in model.state_dict().values():
            distributed.broadcast(value, 0)
        mesh = init_device_mesh(self.device.type, (self.world,))
        for module in model.modules():
            if isinstance(module, Block):
                fully_shard(module, mesh=mesh)
                register_fsdp_forward_method(module, "at")
        # A single number cannot be shared: everybody has the scale.
        self._own = {parameter for parameter in model.parameters() if parameter.ndim == 0}
        self._work = fully_shard(_Work(model), mesh=mesh, ignored_params=self._own)
        return model

    def whole(self, model: PairModel) -> PairModel:
        state = {name: full(tensor).cpu() for name, tensor in model.state_dict().items()}
        self._bare.load_state_dict(state, strict=True, assign=True)
        return self._bare

    def clip(self, model: PairModel, most: float) -> float:
        trained = [parameter for parameter in model.parameters() if parameter.grad is not None]
        # Those that are shared and those that are not are not computed together, but have one norm.
        kinds = [[p for p in trained if isinstance(p.grad, DTensor) == shared] for shared in (True, False)]
        norms = [full(nn.utils.get_total_norm([p.grad for p in kind if p.grad is not None])) for kind in kinds if kind]
        norm = torch.linalg.vector_norm(torch.stack(norms))
        for kind in kinds:
            nn.utils.clip_grads_with_norm_(kind, most, norm)
        return float(norm)

    def run(self, work: Callable[[], T]) -> T:
        return self._work(work)  # type: ignore[no-any-return, operator]

    def backward(self, work: Callable[[], list[Tensor]], gradients: Sequence[Tensor | None], last: bool) -> None:
        self._work.set_requires_gradient_sync(last)
        self._work.set_is_last_backward(last)
        _backward(self.run(work), gradients)
        if last:
            for parameter in self._own:
                if parameter.grad is not None:
                    parameter.grad.copy_(self.mean(parameter.grad))


class _Work(nn.Module):
    """torch's wrappers look after one call of `forward`: this one does whatever it is given."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[], T]) -> T:
        return work()


class _Gather(torch.autograd.Function):
    """Rows of all processes, which may have different numbers of them."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: Sequence[int], rank: int) -> Tensor:
        ctx.start, ctx.stop = [0, *accumulate(counts)][rank : rank + 2]
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        found = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(found, padded)
        return torch.cat([part[:count] for part, count in zip(found, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total[ctx.start : ctx.stop], None, None


def _backward(tensors: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
    told = [pair for pair in zip(tensors, gradients, strict=True) if pair[0].requires_grad]
    if not told:
        raise UsageError("nothing of both towers is trained, so there are no graphs to save: leave micro_batch away")
    torch.autograd.backward([tensor for tensor, _ in told], [gradient for _, gradient in told])


def full(tensor: Tensor) -> Tensor:
    """All of a tensor that processes may share, without gradient. All call it, in the same order."""
    return tensor.full_tensor().detach() if isinstance(tensor, DTensor) else tensor.detach()


def shared_like(tensor: Tensor, pattern: Tensor) -> Tensor:
    """A whole tensor, or this process's part of it where `pattern` is shared."""
    tensor = tensor.to(pattern.device)
    if isinstance(pattern, DTensor):
        return distribute_tensor(tensor, pattern.device_mesh, pattern.placements)
    return tensor
