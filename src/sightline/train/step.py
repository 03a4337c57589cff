"""The gradient of one step, however it is computed: at once, added up, or in parts that give that of the whole.

Shapes: B pictures, T texts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.models.pairs import Halves, PairModel
from sightline.train.batch import Batch
from sightline.train.objective import Objective
from sightline.train.parallel import Parallel


@dataclass(frozen=True)
class Done:
    """What a step found, over all processes: the loss (a scalar on the model's device), pictures and texts."""

    loss: Tensor
    pictures: int
    texts: int


def backward(
    model: PairModel,
    batch: Batch,
    objective: Objective,
    *,
    micro_batch: int | None = None,
    accumulate: int = 1,
    precision: torch.dtype = torch.float32,
    parallel: Parallel,
) -> Done:
    """Adds the gradient of the loss to the parameters' `.grad`, the same in every process.

    `batch` may be on the processor: what is computed on is moved. `micro_batch`: so many pictures at a time, for the
    gradient of all (gradient caching). `accumulate`: into so many parts goes the batch, each a batch of its own with
    its own wrong answers; a part counts by its pictures. `precision`: of the halves; what they meet in is float32.

    Raises `UsageError` where parts cannot give the gradient of the whole, or the batch has no such parts.
    """
    if micro_batch is not None:
        _check_norms(model)
    if not len(batch):
        raise UsageError(f"none of the batch's pictures could be read ({batch.skipped} of them)")
    step = _Step(model, objective, precision, parallel)
    losses = []
    for number, part in enumerate(_parts(batch, accumulate), 1):
        weight, last = len(part) / len(batch), number == accumulate
        losses.append(
            step.whole(part, weight, last) if micro_batch is None else step.cached(part, micro_batch, weight, last)
        )
    return Done(torch.stack(losses).sum(), len(batch), len(batch.owner))


def _parts(batch: Batch, count: int) -> Iterator[Batch]:
    """`count` parts of much the same number of pictures."""
    if count == 1:
        yield batch
        return
    if len(batch) < count:
        raise UsageError(f"a batch of {len(batch)} pictures has no {count} parts; lower accumulate")
    if batch.extras:
        raise UsageError("a loss that needs more than pictures and texts has no parts: micro_batch, not accumulate")
    for i in range(count):
        yield batch.part(len(batch) * i // count, len(batch) * (i + 1) // count)


@dataclass(frozen=True)
class _Step:
    model: PairModel
    objective: Objective
    precision: torch.dtype
    parallel: Parallel

    def whole(self, batch: Batch, weight: float, last: bool) -> Tensor:
        """All graphs at once."""
        found: list[Tensor] = []

        def loss() -> list[Tensor]:
            found.append(self._loss(self._halves(batch), batch) * weight)
            return found

        self.parallel.backward(loss, [None], last)
        return found[0].detach()

    def cached(self, batch: Batch, size: int, weight: float, last: bool) -> Tensor:
        """`size` pictures with their texts at a time, for the gradient of all at the price of one forward more.

        Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup" (2021), section 3: the
        halves without a graph; the loss, and its gradient with regard to the halves; then each part again, with the
        same random numbers, and from its halves' gradients back. At any time there is the graph of one part.
        """
        parts = [batch.part(start, min(start + size, len(batch))) for start in range(0, len(batch), size)]
        states, halves = [], []
        with torch.no_grad():
            for part in parts:
                states.append(_random_state(self.model.device))
                halves.append(self._halves(part))
        whole = Halves(_joined([one.pictures for one in halves]), _joined([one.texts for one in halves]))
        found: list[Tensor] = []

        def loss() -> list[Tensor]:
            found.append(self._loss(whole, batch) * weight)
            return found

        self.parallel.backward(loss, [None], False)
        after = _random_state(self.model.device)
        picture = text = 0
        for part, state in zip(parts, states, strict=True):
            _set_random_state(self.model.device, state)
            gradients = [
                *(_rows(tensor, picture, len(part)) for tensor in whole.pictures),
                *(_rows(tensor, text, len(part.owner)) for tensor in whole.texts),
            ]
            picture, text = picture + len(part), text + len(part.owner)

            def again(part: Batch = part) -> list[Tensor]:
                halves = self._halves(part)
                return [*halves.pictures, *halves.texts]

            self.parallel.backward(again, gradients, last and part is parts[-1])
        _set_random_state(self.model.device, after)
        return found[0].detach()

    def _halves(self, batch: Batch) -> Halves:
        device = self.model.device
        with torch.autocast(device.type, self.precision, enabled=self.precision != torch.float32):
            halves = self.model.halves(
                batch.pixel_values.to(device, non_blocking=True),
                batch.input_ids.to(device, non_blocking=True),
                batch.attention_mask.to(device, non_blocking=True),
            )
        if self.precision == torch.float32:
            return halves
        # What is summed over the batch is summed in float32: bfloat16's logits, up to 100, are 0.5 apart.
        return Halves(tuple(x.float() for x in halves.pictures), tuple(x.float() for x in halves.texts))

    def _loss(self, halves: Halves, batch: Batch) -> Tensor:
        return self.objective(self.model.meet(halves), batch.to(self.model.device))


def _check_norms(model: PairModel) -> None:
    """Raises `UsageError` for batch norms that would see a part of the batch and should see the whole."""
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
            raise UsageError(
                f"{type(model).__name__} has batch norms ({name}) that would see only a part of the batch: freeze "
                "their statistics, or compute the batch at once, without micro_batch and in one process"
            )


def _joined(parts: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Rows of all parts in one tensor each, to receive gradients."""
    return tuple(torch.cat(tensors).requires_grad_() for tensors in zip(*parts, strict=True))


def _rows(tensor: Tensor, start: int, count: int) -> Tensor | None:
    return None if tensor.grad is None else tensor.grad[start : start + count]


def _random_state(device: torch.device) -> list[Tensor]:
    """Where the random numbers of the processor and the device stand."""
    own = [] if device.type == "cpu" else [torch.get_device_module(device).get_rng_state(device)]
    return [torch.get_rng_state(), *own]


def _set_random_state(device: torch.device, state: list[Tensor]) -> None:
    torch.set_rng_state(state[0])
    for own in state[1:]:
        torch.get_device_module(device).set_rng_state(own, device)
