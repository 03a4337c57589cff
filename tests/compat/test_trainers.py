"""`transformers.Trainer` and a loop with `accelerate` train each family as our own trainer does."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import Dataset

from sightline.models.pairs import PairModel
from sightline.train.batch import Batch
from sightline.train.loss import ContrastiveLoss
from sightline.train.parallel import Parallel
from sightline.train.step import backward
from support import twins

RATE, STEPS, ROWS = 1e-3, 2, 4


class Pairs(Dataset[dict[str, Any]]):
    """Eight pairs, four a step, and a column that no model reads."""

    def __init__(self, name: str) -> None:
        self.given = twins.inputs(name, STEPS * ROWS)
        self.column_names = [*self.given, "file"]

    def __len__(self) -> int:
        return STEPS * ROWS

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {name: tensor[row] for name, tensor in self.given.items()} | {"file": f"{row}.jpg"}


def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("input_ids", "attention_mask", "pixel_values")
    return {name: torch.stack([row[name] for row in rows]) for name in names} | {"return_loss": True}


def model_of(name: str) -> Any:
    """Without dropout; two processes that draw noise in the same order draw the same."""
    model, _ = twins.twins(name)
    for module in model.modules():
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    model.config.get_text_config().update(dict.fromkeys(_dropouts(model.config.get_text_config()), 0.0))
    return model


def _dropouts(config: Any) -> Iterator[str]:
    return (name for name in config.kinds if "drop" in name)


def by_our_trainer(name: str) -> tuple[list[float], dict[str, torch.Tensor]]:
    """The losses of two steps by our own trainer's, in the precision of its batches, and the parameters after them."""
    model = model_of(name).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    losses, data = [], Pairs(name).given
    torch.manual_seed(0)
    for step in range(STEPS):
        rows = slice(step * ROWS, (step + 1) * ROWS)
        batch = Batch(
            data["pixel_values"][rows], data["input_ids"][rows], data["attention_mask"][rows], torch.arange(ROWS)
        )
        optimizer.zero_grad()
        loss = ContrastiveLoss(label_smoothing=model.label_smoothing)
        losses.append(float(backward(model, batch, loss, parallel=Parallel(model)).loss))
        optimizer.step()
    return losses, dict(model.named_parameters())


def same_parameters(found: PairModel, expected: dict[str, torch.Tensor]) -> None:
    for name, parameter in found.named_parameters():
        torch.testing.assert_close(parameter, expected[name], rtol=1e-4, atol=1e-6, msg=name)
