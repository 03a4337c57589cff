"""What each of two processes does for `test_parallel`; the main one leaves what came out in a folder."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import torch
from safetensors.torch import save_file

from sightline.nn.attention import Attention
from sightline.nn.loss import contrastive_loss
from sightline.train import Lora
from sightline.train.batch import Batch
from sightline.train.loss import ContrastiveLoss
from sightline.train.parallel import Parallel, full
from sightline.train.step import backward
from sightline.train.trainer import Trainer
from support import runs, tiny

OWNER = torch.tensor([0, 0, 1, 2, 3, 3, 3, 4])
PARTS = (0, 2), (2, 5)  # pictures of the first process, and of the other one: not as many
EQUAL = ContrastiveLoss(0.1, "ignored")
STEPS, STOP = 20, 7  # in the midst of step STOP one process is told to stop


def training(family, parallel, steps, loss=None, dtype=torch.float64, **how):
    """Losses of so many steps of plain AdamW, and the weights and buffers after them."""
    model = parallel.wrap(tiny.model(family, dtype=dtype))
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, foreach=False)
    losses = []
    for step in range(steps):
        batch, weight = tiny.batch(model, OWNER.tolist(), step), torch.arange(8.0)
        if loss is EQUAL:
            batch = tiny.with_equal_captions(batch)
        if parallel.world_size > 1:
            start, stop = PARTS[parallel.rank]
            batch, weight = batch.part(start, stop), weight[torch.isin(OWNER, torch.arange(start, stop))]
        if loss is own_loss:
            batch = replace(batch, extras={"weight": weight})
        adam.zero_grad()
        done = backward(model, batch, loss or ContrastiveLoss(0.1), parallel=parallel, **how)
        assert (done.images, done.texts) == (5, 8)
        losses.append(done.loss)
        parallel.clip_grad_norm(model, 1.0)
        adam.step()
    state = {name: full(tensor).clone() for name, tensor in model.state_dict().items()}
    saved = parallel.whole(model).state_dict()
    assert all(torch.equal(saved[name], state[name]) for name in state)
    return {"loss": torch.stack(losses), **state}


def own_loss(similarities, batch):
    """A loss of one's own, which looks at all that a batch tells it."""
    assert batch.pixel_values.shape == (5, 0)
    assert torch.equal(batch.owner, OWNER)
    assert batch.extras["weight"].tolist() == list(range(8))
    lengths = batch.attention_mask.sum(1) + batch.input_ids[:, 1] / 100
    return (
        contrastive_loss(similarities.logits_per_image, batch.owner)
        + (similarities.logits_per_image * lengths * batch.extras["weight"]).mean() / 100
    )


def small_things(parallel):
    """What is gathered, where gradients go, and what all agree on."""
    rank = parallel.rank
    own = torch.full((rank + 1, 2), rank + 1.0).requires_grad_()
    everybody = parallel.gather(own, [1, 2])
    assert everybody.tolist() == [[1, 1], [2, 2], [2, 2]]
    # Each process weighs the rows in its own way: what comes back is the sum of both.
    (everybody * torch.tensor([[1.0], [10.0], [100.0]]) * (rank + 1)).sum().backward()
    assert own.grad.tolist() == ([[3, 3]] if rank == 0 else [[30, 30], [300, 300]])
    assert parallel.counts(rank, 7) == [[0, 7], [1, 7]]
    assert parallel.any(rank == 1)
    assert not parallel.any(False)
    assert parallel.mean(torch.tensor(float(rank))).item() == 0.5
    assert parallel.is_main == (rank == 0)
    parallel.barrier()


class Numbers(runs.Numbers):
    """The last sample of every second batch cannot be read. Where a run is to stop, the last process is told to."""

    stops = False

    def stream(self, start: int, stop: int) -> Iterator[Batch]:
        last = self.local_rows.rank == self.local_rows.world_size - 1
        for step in range(start, stop):
            batch = self.at(step)
            if step + 1 == STOP and start == 0 and self.stops and last:
                os.kill(os.getpid(), signal.SIGTERM)
            yield replace(batch.part(0, len(batch) - 1), skipped=1) if step % 2 and last else batch


class Stopping(Numbers):
    stops = True


def model():
    """The tiny CLIP without dropout, of which processes have different draws."""
    found, processor = runs.model()
    for module in found.modules():
        if isinstance(module, Attention):
            module.dropout = 0.0
    return found, processor


def recipe(**changes):
    same = {
        "model": model,
        "data": Numbers,
        "steps": STEPS,
        "lr": 1e-3,
        "checkpoint_every": STEPS,
        "precision": "float32",
    }
    return runs.recipe(**same | changes)


def main(rank, ports, folder):
    """All that two processes are tested with, in turn."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    ports, found = iter(ports), {}
    with start(ports) as parallel:
        small_things(parallel)
        for family in tiny.FAMILIES:
            found[f"{family}-whole"] = training(family, parallel, STEPS)
            found[f"{family}-cached"] = training(family, parallel, 3, micro_batch_size=2)
        found["clip-float32"] = training("clip", parallel, STEPS, dtype=torch.float32)
        for family in tiny.FAMILIES:
            found[f"{family}-equal"] = training(family, parallel, 3, loss=EQUAL)
        found["clip-own"] = training("clip", parallel, 3, loss=own_loss)
    with start(ports, fsdp=True) as parallel:
        for family in tiny.FAMILIES:
            found[f"{family}-sharded"] = training(family, parallel, 3)
            found[f"{family}-sharded-cached"] = training(family, parallel, 3, micro_batch_size=2)
    cases = (
        ("run", Numbers, False),
        ("stopped", Stopping, False),
        ("sharded", Stopping, True),
        ("average", Stopping, True),
    )
    for name, data, fsdp in cases:
        own = recipe(data=data, fsdp=fsdp, ema_decay=0.9 if name == "average" else None)
        with start(ports, fsdp) as parallel:
            outcome = Trainer(own, folder / name, parallel).run()
        assert (outcome.step, outcome.stopped) == ((STOP, True) if data is Stopping else (STEPS, False))
        if outcome.stopped:
            with start(ports, fsdp) as parallel:
                outcome = Trainer(own, folder / name, parallel).run()
            assert (outcome.step, outcome.stopped) == (STEPS, False)
    with start(ports, fsdp=True) as parallel:
        told = recipe(fsdp=True, lora=Lora(rank=2), steps=3)
        Trainer(told, folder / "lora", parallel).run()
    if rank == 0:
        for name, tensors in found.items():
            save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / f"{name}.safetensors")


def start(ports, fsdp=False):
    """The two processes find each other, each time where nobody listens any more."""
    os.environ["MASTER_PORT"] = str(next(ports))
    return Parallel.start(fsdp)
