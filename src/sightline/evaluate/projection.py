"""How many numbers a vector needs: new projections of other dimensions on frozen towers, beside cheaper ways to fewer.

The towers' pooled states are computed once; a head is two linear maps, trained as CLIP's are (Radford et al., 2021,
figure 3), so that one dimension takes seconds. Beside it stand what needs no training: the model's own vectors cut
after the first numbers, and turned so that the first tell most (principal axes).

Shapes: N pictures, T texts, W width of a tower's pooled states, P projection.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.encoder.source import Vectors
from sightline.nn.loss import contrastive_loss

DIMS = 128, 256, 512, 768, 1024
BATCH, STEPS, RATE, DECAY = 1000, 100, 1e-3, 0.2
LARGEST = 100.0  # scale, as in CLIP


@dataclass(frozen=True)
class Pairs:
    """Of N pictures and T texts the vectors (N, ...) and (T, ...), and each text's picture (T,), ascending."""

    pictures: Vectors
    texts: Vectors
    owner: NDArray[np.int64]


class Heads(nn.Module):
    """Two linear maps, and the scale of the cosines between what they give."""

    def __init__(self, pictures: int, texts: int, dim: int, scale: float) -> None:
        super().__init__()
        self.pictures = nn.Linear(pictures, dim, bias=False)
        self.texts = nn.Linear(texts, dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(scale).log())
        for head in (self.pictures, self.texts):
            nn.init.normal_(head.weight, std=head.in_features**-0.5)

    def forward(self, pictures: Tensor, texts: Tensor) -> Tensor:
        """(B, W) and (B, W') -> scaled cosines (B, B)."""
        cosines = F.normalize(self.texts(texts), dim=-1) @ F.normalize(self.pictures(pictures), dim=-1).T
        return cosines * self.log_scale.exp().clamp(max=LARGEST)

    @torch.inference_mode()
    def project(self, pairs: Pairs) -> Pairs:
        """Pooled states -> vectors of unit length."""
        pictures, texts = (
            F.normalize(head(torch.from_numpy(rows)), dim=-1).numpy()
            for head, rows in ((self.pictures, pairs.pictures), (self.texts, pairs.texts))
        )
        return Pairs(pictures, texts, pairs.owner)


def train_heads(pairs: Pairs, dim: int, scale: float, seed: int = 0) -> Heads:
    """Heads of `dim` numbers for pooled states: AdamW with a cosine, `STEPS` batches of pictures, each with one of its
    texts. The same `seed` gives the same heads on the same machine."""
    torch_seed = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heads = Heads(pairs.pictures.shape[1], pairs.texts.shape[1], dim, scale)
    pictures, texts = torch.from_numpy(pairs.pictures), torch.from_numpy(pairs.texts)
    counts = torch.from_numpy(np.bincount(pairs.owner, minlength=len(pictures)))
    starts = counts.cumsum(0) - counts
    batch = min(BATCH, len(pictures))
    maps = [heads.pictures.weight, heads.texts.weight]
    optimiser = torch.optim.AdamW(
        [{"params": maps, "weight_decay": DECAY}, {"params": [heads.log_scale], "weight_decay": 0.0}], RATE
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    order = torch.empty(0, dtype=torch.long)
    for _ in range(STEPS):
        if len(order) < batch:
            order = torch.randperm(len(pictures), generator=torch_seed)
        rows, order = order[:batch], order[batch:]
        which = (torch.rand(batch, generator=torch_seed) * counts[rows]).long()
        loss = contrastive_loss(heads(pictures[rows], texts[starts[rows] + which]))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return heads.eval()


def truncated(pairs: Pairs, dim: int) -> Pairs:
    """The first `dim` numbers of each vector, of unit length again."""
    return _turned(pairs, np.eye(pairs.pictures.shape[1], dim, dtype=np.float32))


def principal_axes(pairs: Pairs) -> NDArray[np.float32]:
    """Vectors (N, P), (T, P) -> (P, P), columns: the axes that tell most of both, pictures and texts counting alike.

    Not centred: with all P axes the cosines are what they were.
    """
    moment = sum(rows.T.astype(np.float64) @ rows / len(rows) for rows in (pairs.pictures, pairs.texts))
    _, axes = np.linalg.eigh(moment)
    return np.asarray(axes[:, ::-1], np.float32)


def _turned(pairs: Pairs, axes: NDArray[np.float32]) -> Pairs:
    pictures, texts = (rows @ axes for rows in (pairs.pictures, pairs.texts))
    return Pairs(_unit(pictures), _unit(texts), pairs.owner)


def _unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
