"""The gradient of one step: of the whole batch directly, with gradient accumulation or with gradient caching; in one
process or in several.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.models.pairs import PairEmbeddings, PairModel
from sightline.nn.loss import loss_of_rows, loss_of_rows_without_equals, text_kinds
from sightline.train.batch import Batch
from sightline.train.loss import ContrastiveLoss, Loss
from sightline.train.parallel import Parallel


@dataclass(frozen=True)
class StepResult:
    """The loss of a step (a scalar on the model's device), and its images and texts, over all processes."""

    loss: Tensor
    images: int
    texts: int


def backward(
    model: PairModel,
    batch: Batch,
    loss: Loss,
    *,
    micro_batch_size: int | None = None,
    grad_accum_steps: int = 1,
    precision: torch.dtype = torch.float32,
    parallel: Parallel,
) -> StepResult:
    """Adds the gradient of the loss to the parameters' `.grad`, the same in every process.

    `batch`: this process's rows, on any device; tensors are moved to the model's. `micro_batch_size`: images in memory
    at a time; the gradient is the whole batch's (gradient caching). `grad_accum_steps`: into how many parts the batch
    is divided; each part is a batch by itself, with its own negatives, and is weighted by its images. `precision`: that
    of the embeddings; similarities and loss are float32.

    Raises `UsageError` where parts cannot give the gradient of the whole, and for too few images.
    """
    if micro_batch_size is not None or parallel.world_size > 1:
        for name, _ in _batch_norms(model):
            raise UsageError(
                f"{type(model).__name__} has batch norms ({name}, ...) that would see only a part of the batch: "
                "freeze_norms=True keeps their statistics as they are; or leave micro_batch_size out, in one process"
            )
    step = _Step(model, loss, precision, parallel)
    whole = step.local_batch(batch)
    if min(whole.images) < grad_accum_steps:
        raise UsageError(
            f"{min(whole.images)} images are too few ({batch.skipped} could not be read): lower grad_accum_steps "
            f"({grad_accum_steps}), or have a larger batch_size"
        )
    if grad_accum_steps > 1 and batch.extras:
        raise UsageError("a batch with extras for its loss has no parts; use micro_batch_size, not grad_accum_steps")
    parts = [whole] if grad_accum_steps == 1 else [step.local_batch(part) for part in _split(batch, grad_accum_steps)]
    losses = []
    for part in parts:
        weight, is_last = sum(part.images) / sum(whole.images), part is parts[-1]
        if micro_batch_size is None:
            losses.append(step.direct(part, weight, is_last))
        else:
            losses.append(step.grad_cache(part, micro_batch_size, weight, is_last))
    return StepResult(parallel.mean(torch.stack(losses).sum()), sum(whole.images), sum(whole.texts))


def freeze_batch_norms(model: PairModel) -> None:
    """Batch norms keep their statistics, except in the `batch_modules`, which always see the whole batch."""
    for _, module in _batch_norms(model):
        module.eval()


def _batch_norms(model: PairModel) -> list[tuple[str, nn.Module]]:
    """The batch norms inside the towers that use the statistics of the rows that they see."""
    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.training
        and name.partition(".")[0] not in model.batch_modules
    ]


def _split(batch: Batch, count: int) -> Iterator[Batch]:
    for i in range(count):
        yield batch.part(len(batch) * i // count, len(batch) * (i + 1) // count)


@dataclass(frozen=True)
class _LocalBatch:
    """This process's rows of a batch, and the numbers of images and texts of every process, by rank."""

    rows: Batch
    images: Sequence[int]
    texts: Sequence[int]


@dataclass(frozen=True)
class _Step:
    model: PairModel
    loss: Loss
    precision: torch.dtype
    parallel: Parallel

    def local_batch(self, rows: Batch) -> _LocalBatch:
        return _LocalBatch(rows, *zip(*self.parallel.counts(len(rows), len(rows.owner)), strict=True))

    def direct(self, batch: _LocalBatch, weight: float, is_last: bool) -> Tensor:
        """All graphs in memory. Returns the loss times `weight`, to be averaged over the processes."""
        losses: list[Tensor] = []

        def work() -> list[Tensor]:
            losses.append(self._loss(self._encode(batch.rows), batch) * weight)
            return losses

        self.parallel.backward(work, [None], is_last)
        return losses[0].detach()

    def grad_cache(self, batch: _LocalBatch, size: int, weight: float, is_last: bool) -> Tensor:
        """As `direct`, with the graph of `size` images and their texts in memory at a time, for one more forward pass.

        Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup" (2021), section 3: the
        embeddings without a graph; the loss, and its gradient with respect to the embeddings; then each micro-batch's
        embeddings again, with the same random numbers, and back from their gradients.
        """
        device = self.model.device
        # The same count in every process: processes that share weights (FSDP) compute in step.
        count = -(-max(batch.images) // size)
        if min(batch.images) < count:
            raise UsageError(
                f"{min(batch.images)} images cannot be divided into {count} parts: raise micro_batch_size ({size})"
            )
        micro_batches = list(_split(batch.rows, count))
        random_states, parts = [], []
        with torch.no_grad():
            for micro_batch in micro_batches:
                random_states.append(_random_state(device))
                parts.append(self.parallel.run(partial(self._encode, micro_batch)))
        embeddings = PairEmbeddings(_leaves([part.images for part in parts]), _leaves([part.texts for part in parts]))
        losses: list[Tensor] = []

        def work() -> list[Tensor]:
            losses.append(self._loss(embeddings, batch) * weight)
            return losses

        self.parallel.backward(work, [None], False)
        end_state = _random_state(device)
        image = text = 0
        for micro_batch, random_state in zip(micro_batches, random_states, strict=True):
            _set_random_state(device, random_state)
            gradients = [
                *(_rows(leaf.grad, image, len(micro_batch)) for leaf in embeddings.images),
                *(_rows(leaf.grad, text, len(micro_batch.owner)) for leaf in embeddings.texts),
            ]
            is_last_call = is_last and micro_batch is micro_batches[-1]
            self.parallel.backward(partial(self._tensors, micro_batch), gradients, is_last_call)
            image, text = image + len(micro_batch), text + len(micro_batch.owner)
        _set_random_state(device, end_state)
        return losses[0].detach()

    def _encode(self, batch: Batch) -> PairEmbeddings:
        device = self.model.device
        with torch.autocast(device.type, self.precision, enabled=self.precision != torch.float32):
            embeddings = self.model.encode(
                batch.pixel_values.to(device, non_blocking=True),
                batch.input_ids.to(device, non_blocking=True),
                batch.attention_mask.to(device, non_blocking=True),
            )
        # Sums over the batch are float32: bfloat16's logits, up to 100, are 0.5 apart.
        return embeddings if self.precision == torch.float32 else embeddings.map(Tensor.float)

    def _tensors(self, batch: Batch) -> list[Tensor]:
        embeddings = self._encode(batch)
        return [*embeddings.images, *embeddings.texts]

    def _loss(self, local: PairEmbeddings, batch: _LocalBatch) -> Tensor:
        """The loss that this process's rows add to the loss of the whole batch, times the number of processes."""
        model, parallel, rows = self.model, self.parallel, batch.rows
        gathered = PairEmbeddings(
            tuple(parallel.gather(tensor, batch.images) for tensor in local.images),
            tuple(parallel.gather(tensor, batch.texts) for tensor in local.texts),
        )
        whole = model.project_batch(gathered)
        if parallel.world_size == 1 or not isinstance(self.loss, ContrastiveLoss):
            return self.loss(model.similarities(whole), self._gather(batch))
        image, text = sum(batch.images[: parallel.rank]), sum(batch.texts[: parallel.rank])
        images = tuple(tensor[image : image + len(rows)] for tensor in whole.images)
        texts = tuple(tensor[text : text + len(rows.owner)] for tensor in whole.texts)
        per_image = model.similarities(PairEmbeddings(images, whole.texts)).logits_per_image
        per_text = model.similarities(PairEmbeddings(whole.images, texts)).logits_per_image.t()
        smoothing = self.loss.label_smoothing
        if self.loss.equal_captions == "ignored":
            everybody = self._gather(batch)
            kinds = text_kinds(everybody.input_ids, everybody.attention_mask)
            loss = loss_of_rows_without_equals(per_image, per_text, everybody.owner, kinds, image, text, smoothing)
        else:
            loss = loss_of_rows(per_image, per_text, rows.owner.to(model.device), image, text, smoothing)
        return parallel.world_size * loss

    def _gather(self, batch: _LocalBatch) -> Batch:
        """The batch of all processes, on the model's device, without its pixels."""
        rows, parallel = batch.rows, self.parallel

        def gather(tensor: Tensor) -> Tensor:
            return parallel.gather(tensor.to(self.model.device), [n for (n,) in parallel.counts(len(tensor))])

        longest = max(n for (n,) in parallel.counts(rows.input_ids.shape[1]))
        ids, mask = (F.pad(tokens, (0, longest - tokens.shape[1])) for tokens in (rows.input_ids, rows.attention_mask))
        owner = rows.owner + sum(batch.images[: parallel.rank])
        extras = {name: gather(tensor) for name, tensor in rows.extras.items()}
        return Batch(torch.empty(sum(batch.images), 0), gather(ids), gather(mask), gather(owner), extras, rows.skipped)


def _leaves(parts: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Each tensor's rows of all parts in one leaf, which receives a gradient."""
    return tuple(torch.cat(rows).requires_grad_() for rows in zip(*parts, strict=True))


def _rows(gradient: Tensor | None, start: int, count: int) -> Tensor | None:
    return None if gradient is None else gradient[start : start + count]


def _random_state(device: torch.device) -> list[Tensor]:
    """The states of the random number generators of the processor and of the device."""
    on_device = [] if device.type == "cpu" else [torch.get_device_module(device).get_rng_state(device)]
    return [torch.get_rng_state(), *on_device]


def _set_random_state(device: torch.device, state: list[Tensor]) -> None:
    torch.set_rng_state(state[0])
    for on_device in state[1:]:
        torch.get_device_module(device).set_rng_state(on_device, device)
