"""A table of tokens gets more rows, or fewer."""

import torch
from torch import nn


def resize(table: nn.Embedding, rows: int, spread: float | None) -> None:
    """Gives `table` another number of `rows`: the first stay, those beyond them are new.

    New rows lie around the mean of all, as near as 1e-9 of their covariance (Hewitt, "Initializing New Word Embeddings
    for Pretrained Language Models", 2021), or, where `spread` is a number, around 0 with this standard deviation.
    """
    old = table.weight.detach()
    if rows == len(old):
        return
    new = old.new_empty(rows, old.shape[1])
    kept, added = new[: len(old)], new[len(old) :]
    kept.copy_(old[:rows])
    if spread is None and len(added):
        mean = old.float().mean(0)
        # Sums of all centered rows with random weights have their covariance.
        weights = torch.randn(len(added), len(old), device=old.device) * (1e-9 / len(old)) ** 0.5
        added.copy_(mean + weights @ (old.float() - mean))
    elif spread is not None:
        added.normal_(0, spread)
    table.weight = nn.Parameter(new, requires_grad=table.weight.requires_grad)
    table.num_embeddings = rows
    if table.padding_idx is not None and table.padding_idx >= rows:
        table.padding_idx = None
