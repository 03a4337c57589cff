"""How many numbers a vector needs: new projections of other dimensions on frozen towers, beside cheaper ways to fewer.

The towers' pooled states are computed once; a head is two linear maps, trained as CLIP's are (Radford et al., 2021,
figure 3), so that each dimension takes seconds. Beside the heads stands what needs no training: the model's own vectors
truncated after the first numbers, and turned so that the first hold most (principal axes).

Shapes: N images, T texts, W width of a tower's pooled states, P projection.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, TypedDict

import numpy as np

from sightline.data import Captions
from sightline.encoder.encoder import Encoder
from sightline.errors import UsageError
from sightline.evaluate.encode import describe_run, encode
from sightline.evaluate.equal_texts import encode_different, equal_texts
from sightline.evaluate.kept import KeptVectors
from sightline.evaluate.matching import learned_scale
from sightline.evaluate.pair_vectors import PairVectors, principal_axes, turned
from sightline.evaluate.result import Result, Settings, Skipped
from sightline.evaluate.retrieval import figures_of, rank_samples
from sightline.metrics import exact_cosines, pair_ranks
from sightline.progress import Progress, ProgressCallback, no_progress
from sightline.vectors import unit

DIMS = 128, 256, 512, 768, 1024
EFFECTIVE = 0.99  # share of the vectors' squared length


class ProjectionDetails(TypedDict):
    """`rows`: for each method ("original", "truncated", "principal axes", "new heads") and dimension {"method",
    "dimension"} and the figures of `retrieval`. `train_skipped`: how many samples to train on could not be read."""

    rows: list[dict[str, Any]]
    train_skipped: int


def projection(
    encoder: Encoder,
    train: Captions,
    data: Captions,
    progress: ProgressCallback = no_progress,
    *,
    dims: Sequence[int] = DIMS,
    seed: int = 0,
    settings: Settings | None = None,
    kept: KeptVectors | None = None,
) -> Result:
    """Recall on `data` of the model's own vectors and, for each of `dims`, of heads trained on `train`, and, for fewer
    numbers than the model's, of its vectors truncated and along their principal axes (those of `train`).

    The effective dimension is the number of principal axes that hold 99% of the vectors' squared length. Details:
    `ProjectionDetails`. Raises `UsageError` for dimensions below 1 and if samples of `data` are in `train` too,
    `DataError` if nothing can be read.
    """
    from sightline.evaluate.heads import BATCH_SIZE, LR, STEPS, WEIGHT_DECAY, train_heads  # torch

    _check(train, data, dims)
    train_states, _ = encode_pairs(encoder, train, progress, project=False, kept=kept)
    train_vectors, train_skipped = encode_pairs(encoder, train, progress, kept=kept)
    states, _ = encode_pairs(encoder, data, progress, project=False, kept=kept)
    vectors, skipped = encode_pairs(encoder, data, progress, kept=kept)
    scale, (axes, shares) = learned_scale(encoder), principal_axes(train_vectors)
    rows = [_row("original", vectors)]
    ordered = sorted(set(dims))
    for number, dim in enumerate(ordered):

        def trained(step: int, before: int = number * STEPS) -> None:
            progress(Progress("training heads", before + step, len(ordered) * STEPS))

        if dim < encoder.dim:
            rows.append(_row("truncated", turned(vectors, np.eye(encoder.dim, dim, dtype=np.float32))))
            rows.append(_row("principal axes", turned(vectors, axes[:, :dim])))
        rows.append(_row("new heads", train_heads(train_states, dim, scale, seed, trained).project(states)))
    return Result(
        kind="projection",
        figures={f"{row['method']} {row['dimension']} mean recall": row["mean_recall"] for row in rows}
        | {"effective_dimension": float(np.searchsorted(shares.cumsum(), EFFECTIVE) + 1)},
        **describe_run(encoder, data),
        seed=seed,
        settings={
            "train": train.name,
            "train_fingerprint": train.fingerprint,
            "steps": STEPS,
            "batch_size": min(BATCH_SIZE, len(train_states.images)),
            "lr": LR,
            "weight_decay": WEIGHT_DECAY,
            **(settings or {}),
        },
        details=ProjectionDetails(rows=rows, train_skipped=len(train_skipped)),
        skipped=skipped,
    )


def _check(train: Captions, data: Captions, dims: Sequence[int]) -> None:
    if not dims or min(dims) < 1:
        raise UsageError(f"dimensions must be whole numbers above 0, not {', '.join(map(str, dims)) or 'none'}")
    both = {(s.key, s.captions) for s in train.samples} & {(s.key, s.captions) for s in data.samples}
    if both:
        raise UsageError(
            f"{len(both):,} samples of {data.name} are also in {train.name}, such as {min(both)[0]}: "
            "what a head was trained on tells nothing; give other data"
        )


def encode_pairs(
    encoder: Encoder,
    data: Captions,
    progress: ProgressCallback = no_progress,
    *,
    project: bool = True,
    kept: KeptVectors | None = None,
) -> tuple[PairVectors, list[Skipped]]:
    """Unit vectors of the images and texts that can be read, and the samples that cannot. With `project=False` the
    towers' pooled states before their projections, of unit length too: the vectors themselves where a tower has none.
    """
    encoded = encode(encoder, data.samples, progress, project=project, kept=kept)
    texts = list(chain.from_iterable(sample.captions for sample in encoded.samples))
    owner = np.repeat(np.arange(len(encoded.samples)), [len(sample.captions) for sample in encoded.samples])
    text = equal_texts(texts)
    different = unit(encode_different(encoder, texts, text, progress, project=project))
    return PairVectors(encoded.vectors, different[text], owner, text), encoded.skipped


def _row(method: str, pairs: PairVectors) -> dict[str, Any]:
    """The recalls of unit vectors."""
    first = np.unique(pairs.text, return_index=True)[1]
    of_images, of_texts = pair_ranks(exact_cosines(pairs.images, pairs.texts[first]), pairs.owner, pairs.text)
    figures = figures_of(rank_samples(of_images, of_texts, np.bincount(pairs.owner).tolist()))
    return {"method": method, "dimension": pairs.images.shape[1], **figures}
