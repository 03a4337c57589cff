"""New projections on frozen towers: two linear maps, trained as CLIP's are (Radford et al., 2021, figure 3).

Shapes: N images, T texts, W width of a tower's pooled states.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.evaluate.pair_vectors import PairVectors
from sightline.nn.loss import contrastive_loss

BATCH_SIZE, STEPS, LR, WEIGHT_DECAY = 1000, 300, 3e-3, 0.2
MAX_SCALE = 100.0  # as in CLIP


class Heads(nn.Module):
    """Two linear maps, and the scale of the cosines between their outputs."""

    def __init__(self, image_width: int, text_width: int, dim: int, scale: float) -> None:
        super().__init__()
        self.images = nn.Linear(image_width, dim, bias=False)
        self.texts = nn.Linear(text_width, dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(scale).log())
        for head in (self.images, self.texts):
            nn.init.normal_(head.weight, std=head.in_features**-0.5)

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        """(B, W) and (B, W') -> scaled cosines (B, B)."""
        cosines = F.normalize(self.texts(texts), dim=-1) @ F.normalize(self.images(images), dim=-1).T
        return cosines * self.log_scale.exp().clamp(max=MAX_SCALE)

    @torch.inference_mode()
    def project(self, states: PairVectors) -> PairVectors:
        """Pooled states -> vectors of unit length."""
        images, texts = (
            F.normalize(head(torch.from_numpy(rows)), dim=-1).numpy()
            for head, rows in ((self.images, states.images), (self.texts, states.texts))
        )
        return states.with_rows(images, texts)


def train_heads(
    states: PairVectors, dim: int, scale: float, seed: int = 0, progress: Callable[[int], None] = lambda steps: None
) -> Heads:
    """Heads of `dim` numbers for pooled states: AdamW with a cosine, `STEPS` batches of images, each with one of its
    texts. The same `seed` gives the same heads on the same machine. `progress` gets the number of steps done."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heads = Heads(states.images.shape[1], states.texts.shape[1], dim, scale)
    images, texts = torch.from_numpy(states.images), torch.from_numpy(states.texts)
    counts = torch.from_numpy(np.bincount(states.owner, minlength=len(images)))
    starts = counts.cumsum(0) - counts
    batch_size = min(BATCH_SIZE, len(images))
    maps = [heads.images.weight, heads.texts.weight]
    optimizer = torch.optim.AdamW(
        [{"params": maps, "weight_decay": WEIGHT_DECAY}, {"params": [heads.log_scale], "weight_decay": 0.0}], LR
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    order = torch.empty(0, dtype=torch.long)
    for step in range(1, STEPS + 1):
        if len(order) < batch_size:
            order = torch.randperm(len(images), generator=generator)
        rows, order = order[:batch_size], order[batch_size:]
        which = (torch.rand(batch_size, generator=generator) * counts[rows]).long()
        loss = contrastive_loss(heads(images[rows], texts[starts[rows] + which]))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        progress(step)
    return heads.eval()
