"""How many numbers a vector needs: new projections of other dimensions on frozen towers, beside cheaper ways to fewer.

The towers' pooled states are computed once; a head is two linear maps, trained as CLIP's are (Radford et al., 2021,
figure 3), so that one dimension takes seconds. Beside them stands what needs no training: the model's own vectors cut
after the first numbers, and turned so that the first tell most (principal axes).

Shapes: N pictures, T texts, W width of a tower's pooled states, P projection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.data import Captions, Sample
from sightline.encoder.encoder import Encoder
from sightline.encoder.source import Vectors
from sightline.errors import UsageError
from sightline.evaluate.encode import Report, about, quiet, read_texts, see
from sightline.evaluate.matching import learned_scale
from sightline.evaluate.result import Result, Skipped
from sightline.evaluate.retrieval import measure
from sightline.metrics import exact_cosines, pair_ranks
from sightline.models.tower import Tower
from sightline.nn.loss import contrastive_loss

DIMS = 128, 256, 512, 768, 1024
BATCH, STEPS, RATE, DECAY = 1000, 300, 3e-3, 0.2
LARGEST = 100.0  # scale, as in CLIP
TOLD = 0.99  # share of the vectors' length


@dataclass(frozen=True)
class Pairs:
    """Of N pictures and T texts rows (N, ...) and (T, ...), and each text's picture (T,), ascending."""

    pictures: Vectors
    texts: Vectors
    owner: NDArray[np.int64]


def projection(
    encoder: Encoder,
    train: Captions,
    data: Captions,
    report: Report = quiet,
    *,
    dims: Sequence[int] = DIMS,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> Result:
    """Recall on `data` of the model's own vectors and, of each of `dims` numbers: by heads trained on `train`, and,
    where its own have more, by its own cut and by their principal axes (those of `train`).

    The effective dimension is the number of principal axes that hold 99% of the vectors' squared length. Details: a row
    for each way and dimension. Raises `UsageError` for dimensions that are none and where samples of
    `data` are in `train` too, `DataError` if nothing can be read.
    """
    if not dims or min(dims) < 1:
        raise UsageError(f"dimensions must be whole numbers above 0, not {', '.join(map(str, dims)) or 'none'}")
    both = {(one.key, one.captions) for one in train.samples} & {(one.key, one.captions) for one in data.samples}
    if both:
        raise UsageError(
            f"{len(both):,} samples of {data.name} are also in {train.name}, such as {min(both)[0]}: "
            "what a head was trained on tells nothing; give other data"
        )
    twofold = _Twofold(encoder)
    states, own, train_skipped = twofold.pairs(train, report)
    states_of_data, own_of_data, skipped = twofold.pairs(data, report)
    scale, (axes, shares) = learned_scale(encoder), principal_axes(own)
    rows = [_row("own", own_of_data)]
    for dim in sorted(set(dims)):
        if dim < encoder.dim:
            rows.append(_row("own, cut", turned(own_of_data, np.eye(encoder.dim, dim, dtype=np.float32))))
            rows.append(_row("principal axes", turned(own_of_data, axes[:, :dim])))
        rows.append(_row("new heads", train_heads(states, dim, scale, seed).project(states_of_data)))
    return Result(
        kind="projection",
        figures={f"{row['way']} {row['dimension']} mean recall": row["mean_recall"] for row in rows}
        | {"effective_dimension": float(np.searchsorted(shares.cumsum(), TOLD) + 1)},
        **about(encoder, data),
        seed=seed,
        settings={
            "train": train.name,
            "train_fingerprint": train.fingerprint,
            "steps": STEPS,
            "batch": min(BATCH, len(states.pictures)),
            "learning_rate": RATE,
            "weight_decay": DECAY,
            **(settings or {}),
        },
        details={"rows": rows, "train_skipped": len(train_skipped)},
        skipped=skipped,
    )


class _Twofold(Encoder):
    """An encoder whose vectors are two in one: the pooled states of a tower, and beside them what its projection makes
    of them, each of unit length. A tower without a projection at its end gives its vectors, which are its states."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder.path, encoder.device, encoder.dtype)
        self._own_dim = self.dim
        _open_head(self._image)
        self.dim += _open_head(self._text)

    def pairs(self, data: Captions, report: Report) -> tuple[Pairs, Pairs, list[Skipped]]:
        """Pooled states, the model's own vectors, and what could not be read."""
        seen = see(self, data.samples, report)
        samples: list[Sample] = seen.samples
        texts = read_texts(self, list(chain.from_iterable(one.captions for one in samples)), report)
        owner = np.repeat(np.arange(len(samples)), [len(one.captions) for one in samples])
        dim = self._own_dim
        own = Pairs(_unit(seen.vectors[:, -dim:]), _unit(texts[:, -dim:]), owner)
        pictures, words = (_unit(rows[:, : rows.shape[1] - dim or dim]) for rows in (seen.vectors, texts))
        return Pairs(pictures, words, owner), own, seen.skipped


class _Beside(nn.Module):
    """A projection that gives what it takes beside what it makes of it."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([F.normalize(x, dim=-1), F.normalize(self.head(x), dim=-1)], dim=-1)


def _open_head(tower: Tower) -> int:
    """Has the tower's last layer give what it takes as well, and says how many numbers these are."""
    if tower.head is None:
        return 0
    head = getattr(tower, tower.head)
    setattr(tower, tower.head, _Beside(head))
    return int(next(head.parameters()).shape[1])


def _row(way: str, pairs: Pairs) -> dict[str, Any]:
    """The recalls of unit vectors."""
    of_images, of_texts = pair_ranks(exact_cosines(pairs.pictures, pairs.texts), pairs.owner)
    starts = np.flatnonzero(np.diff(pairs.owner)) + 1
    samples = {
        "image_to_text": (of_images + 1).tolist(),
        "text_to_image": [part.tolist() for part in np.split(of_texts + 1, starts)],
    }
    figures = measure(samples, np.ones((1, len(of_images))))
    return {"way": way, "dimension": pairs.pictures.shape[1]} | {name: float(of[0]) for name, of in figures.items()}


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
    optimizer = torch.optim.AdamW(
        [{"params": maps, "weight_decay": DECAY}, {"params": [heads.log_scale], "weight_decay": 0.0}], RATE
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    order = torch.empty(0, dtype=torch.long)
    for _ in range(STEPS):
        if len(order) < batch:
            order = torch.randperm(len(pictures), generator=torch_seed)
        rows, order = order[:batch], order[batch:]
        which = (torch.rand(batch, generator=torch_seed) * counts[rows]).long()
        loss = contrastive_loss(heads(pictures[rows], texts[starts[rows] + which]))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return heads.eval()


def principal_axes(pairs: Pairs) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Vectors (N, P), (T, P) -> (P, P), columns: the axes that tell most of both, pictures and texts counting alike;
    and the share (P,) of the squared lengths along each.

    Not centred: with all P axes the cosines are what they were.
    """
    moment = sum(rows.T.astype(np.float64) @ rows / len(rows) for rows in (pairs.pictures, pairs.texts))
    values, axes = np.linalg.eigh(moment)
    return np.asarray(axes[:, ::-1], np.float32), np.asarray(values[::-1] / values.sum())


def turned(pairs: Pairs, axes: NDArray[np.float32]) -> Pairs:
    """Vectors (N, P), (T, P) along axes (P, D), of unit length again."""
    return Pairs(_unit(pairs.pictures @ axes), _unit(pairs.texts @ axes), pairs.owner)


def _unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
