"""The gradient of one step, however it is computed: at once, added up, or in parts that give that of the whole; in one
process or in several.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.models.pairs import Halves, PairModel
from sightline.train.batch import Batch
from sightline.train.loss import Contrastive, Objective, share
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

    `batch`: this process's rows, on any device; what is computed on is moved. `micro_batch`: so many pictures at a
    time, for the gradient of all (gradient caching). `accumulate`: the batch in so many parts, each a batch of its own
    with its own wrong answers; a part counts by its pictures. `precision`: of the halves; they meet in float32.

    Raises `UsageError` where parts cannot give the gradient of the whole, and for too few pictures.
    """
    if micro_batch is not None or parallel.world > 1:
        for name, _ in _batch_norms(model):
            raise UsageError(
                f"{type(model).__name__} has batch norms ({name}, ...) that would see only a part of the batch: "
                "freeze_norms=True keeps their statistics as they are; or leave micro_batch away, in one process"
            )
    step = _Step(model, objective, precision, parallel)
    whole = step.part(batch)
    if min(whole.pictures) < accumulate:
        raise UsageError(
            f"{min(whole.pictures)} pictures are too few ({batch.skipped} could not be read): lower accumulate "
            f"({accumulate}), or have a larger batch"
        )
    if accumulate > 1 and batch.extras:
        raise UsageError("a batch with extras for its loss has no parts; use micro_batch instead of accumulate")
    parts = [whole] if accumulate == 1 else [step.part(part) for part in _cut(batch, accumulate)]
    losses = []
    for part in parts:
        weight, last = sum(part.pictures) / sum(whole.pictures), part is parts[-1]
        losses.append(
            step.at_once(part, weight, last) if micro_batch is None else step.cached(part, micro_batch, weight, last)
        )
    return Done(parallel.mean(torch.stack(losses).sum()), sum(whole.pictures), sum(whole.texts))


def freeze_batch_norms(model: PairModel) -> None:
    """Batch norms go on with the statistics that they have, but for those that see the whole batch in any case."""
    for _, module in _batch_norms(model):
        module.eval()


def _batch_norms(model: PairModel) -> list[tuple[str, nn.Module]]:
    """Those of the halves that take the statistics of what they see."""
    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.training
        and name.partition(".")[0] not in model.of_the_batch
    ]


def _cut(batch: Batch, count: int) -> Iterator[Batch]:
    for i in range(count):
        yield batch.part(len(batch) * i // count, len(batch) * (i + 1) // count)


@dataclass(frozen=True)
class _Part:
    """A batch, of which this process has some rows; how many pictures and texts each process has."""

    own: Batch
    pictures: Sequence[int]
    texts: Sequence[int]


@dataclass(frozen=True)
class _Step:
    model: PairModel
    objective: Objective
    precision: torch.dtype
    parallel: Parallel

    def part(self, own: Batch) -> _Part:
        return _Part(own, *zip(*self.parallel.counts(len(own), len(own.owner)), strict=True))

    def at_once(self, part: _Part, weight: float, last: bool) -> Tensor:
        """All graphs in memory. The loss, to be averaged over the processes, times `weight`."""
        found: list[Tensor] = []

        def loss() -> list[Tensor]:
            found.append(self._loss(self._halves(part.own), part) * weight)
            return found

        self.parallel.backward(loss, [None], last)
        return found[0].detach()

    def cached(self, part: _Part, size: int, weight: float, last: bool) -> Tensor:
        """As `at_once` with the graph of `size` pictures and their texts at a time, for one more forward of all.

        Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup" (2021), section 3: the
        halves without a graph; the loss, and its gradient with regard to the halves; then the halves of each piece
        again, with the same random numbers, and from their gradients back.
        """
        own, device = part.own, self.model.device
        # As many in every process: those that share weights compute in step.
        count = -(-max(part.pictures) // size)
        if min(part.pictures) < count:
            raise UsageError(f"{min(part.pictures)} pictures have no {count} parts: raise micro_batch ({size})")
        pieces = list(_cut(own, count))
        states, halves = [], []
        with torch.no_grad():
            for piece in pieces:
                states.append(_random_state(device))
                halves.append(self.parallel.run(partial(self._halves, piece)))
        whole = Halves(_leaves([one.pictures for one in halves]), _leaves([one.texts for one in halves]))
        found: list[Tensor] = []

        def loss() -> list[Tensor]:
            found.append(self._loss(whole, part) * weight)
            return found

        self.parallel.backward(loss, [None], False)
        after = _random_state(device)
        picture = text = 0
        for piece, state in zip(pieces, states, strict=True):
            _set_random_state(device, state)
            gradients = [
                *(_rows(leaf.grad, picture, len(piece)) for leaf in whole.pictures),
                *(_rows(leaf.grad, text, len(piece.owner)) for leaf in whole.texts),
            ]
            self.parallel.backward(partial(self._tensors, piece), gradients, last and piece is pieces[-1])
            picture, text = picture + len(piece), text + len(piece.owner)
        _set_random_state(device, after)
        return found[0].detach()

    def _halves(self, batch: Batch) -> Halves:
        device = self.model.device
        with torch.autocast(device.type, self.precision, enabled=self.precision != torch.float32):
            halves = self.model.halves(
                batch.pixel_values.to(device, non_blocking=True),
                batch.input_ids.to(device, non_blocking=True),
                batch.attention_mask.to(device, non_blocking=True),
            )
        # What is summed over the batch is summed in float32: bfloat16's logits, up to 100, are 0.5 apart.
        return halves if self.precision == torch.float32 else halves.map(Tensor.float)

    def _tensors(self, batch: Batch) -> list[Tensor]:
        halves = self._halves(batch)
        return [*halves.pictures, *halves.texts]

    def _loss(self, halves: Halves, part: _Part) -> Tensor:
        """This process's part in the loss of all, times the number of processes."""
        model, parallel, objective, own = self.model, self.parallel, self.objective, part.own
        gathered = Halves(
            tuple(parallel.gather(rows, part.pictures) for rows in halves.pictures),
            tuple(parallel.gather(rows, part.texts) for rows in halves.texts),
        )
        whole = model.together(gathered)
        if parallel.world == 1 or not isinstance(objective, Contrastive):
            return objective(model.compare(whole), self._told(part))
        picture, text = sum(part.pictures[: parallel.rank]), sum(part.texts[: parallel.rank])
        pictures = tuple(rows[picture : picture + len(own)] for rows in whole.pictures)
        texts = tuple(rows[text : text + len(own.owner)] for rows in whole.texts)
        of_pictures = model.compare(Halves(pictures, whole.texts)).logits_per_image
        of_texts = model.compare(Halves(whole.pictures, texts)).logits_per_image.t()
        owner = own.owner.to(model.device)
        return parallel.world * share(of_pictures, of_texts, owner, picture, text, objective.label_smoothing)

    def _told(self, part: _Part) -> Batch:
        """The batch of all processes, on the device, but for the pictures."""
        own, parallel = part.own, self.parallel

        def rows(tensor: Tensor) -> Tensor:
            return parallel.gather(tensor.to(self.model.device), [n for (n,) in parallel.counts(len(tensor))])

        longest = max(n for (n,) in parallel.counts(own.input_ids.shape[1]))
        ids, mask = (F.pad(tokens, (0, longest - tokens.shape[1])) for tokens in (own.input_ids, own.attention_mask))
        owner = own.owner + sum(part.pictures[: parallel.rank])
        extras = {name: rows(tensor) for name, tensor in own.extras.items()}
        return Batch(torch.empty(sum(part.pictures), 0), rows(ids), rows(mask), rows(owner), extras, own.skipped)


def _leaves(pieces: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Each tensor's rows of all pieces in one, to receive a gradient."""
    return tuple(torch.cat(rows).requires_grad_() for rows in zip(*pieces, strict=True))


def _rows(gradient: Tensor | None, start: int, count: int) -> Tensor | None:
    return None if gradient is None else gradient[start : start + count]


def _random_state(device: torch.device) -> list[Tensor]:
    """Where the random numbers of the processor and of the device stand."""
    own = [] if device.type == "cpu" else [torch.get_device_module(device).get_rng_state(device)]
    return [torch.get_rng_state(), *own]


def _set_random_state(device: torch.device, state: list[Tensor]) -> None:
    torch.set_rng_state(state[0])
    for own in state[1:]:
        torch.get_device_module(device).set_rng_state(own, device)
