"""The profile of an encoder: both towers part by part, and the way from files and strings to vectors."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sightline.encoder.encoder import Encoder
from sightline.encoder.text_batches import by_cost
from sightline.encoder.towers import Side as TowerSide
from sightline.errors import ImageError
from sightline.index.item import ImageItem
from sightline.optimize.profile import MB, ModelProfiler
from sightline.optimize.profile_clock import Clock
from sightline.optimize.profile_record import Profile, Side
from sightline.optimize.profile_stages import Stages, watch
from sightline.optimize.profile_work import peak
from sightline.progress import Progress, ProgressCallback, no_progress


class Batch(NamedTuple):
    """What a tower is given: "images", "videos" or "texts", the tower, and its arguments."""

    reads: str
    side: TowerSide
    inputs: tuple[Tensor, ...]


def profile_encoder(
    encoder: Encoder,
    images: Sequence[Path],
    texts: Sequence[str],
    iterations: int = 10,
    *,
    about: str = "",
    progress: ProgressCallback = no_progress,
) -> Profile:
    """Both towers in passes of a batch of the images and of the texts, and the encoder's threads on all of them.

    A batch is as large as the encoder's own; where there are fewer images or texts, they come several times. `about`:
    what the images and texts are, for the record. Raises `ImageError` for an image that cannot be read.
    """
    sides: list[Side] = []
    for done, batch in enumerate(batches(encoder, images, texts)):
        progress(Progress(f"measuring {batch.reads}", done, 2))
        pipeline = _texts(encoder, texts) if batch.reads == "texts" else _images(encoder, images)
        sides.append(_side(encoder, batch, iterations, pipeline))
    return Profile(
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        device=str(encoder.device),
        precision=encoder.precision,
        threads=torch.get_num_threads(),
        inputs=about,
        sides=sides,
    )


def batches(encoder: Encoder, images: Sequence[Path], texts: Sequence[str]) -> Iterator[Batch]:
    """What each tower is given: first the one for images."""
    side = encoder.image_side
    profile, config = encoder.profile, encoder.config
    chosen = [images[at % len(images)] for at in range(encoder.batch)]
    read = {path: profile.resize_and_crop(encoder.open_image(path)) for path in set(chosen)}
    pixels = torch.from_numpy(profile.normalize(np.stack([read[path] for path in chosen])))
    if config.takes_videos:  # an image is a still video
        pixels = pixels[:, None].expand(-1, config.frames, -1, -1, -1).contiguous()
    yield Batch("videos" if config.takes_videos else "images", side, (pixels.to(encoder.device, side.dtype),))
    tokens = encoder.tokens(texts)
    lengths = [len(ids) for ids in tokens]
    largest = max(by_cost(lengths, encoder.text_tokens), key=lambda rows: sum(lengths[at] for at in rows))
    ids, mask = encoder.tokenizer.pad([tokens[at] for at in largest])
    side = encoder.text_side
    yield Batch("texts", side, tuple(torch.from_numpy(each).to(encoder.device) for each in (ids, mask)))


def _side(encoder: Encoder, batch: Batch, iterations: int, pipeline: Stages) -> Side:
    profiler = ModelProfiler(batch.side.tower.embed)
    with torch.inference_mode():  # as the encoder computes: by other kernels than without gradients alone
        used = profiler.profile_inference(batch.inputs, iterations)
        parts = profiler.profile_parts(batch.inputs, iterations)
    return Side(
        reads=batch.reads,
        shape=list(batch.inputs[0].shape),
        dtype=str(batch.side.dtype).removeprefix("torch."),
        seconds=median(profiler.inference_times),
        times=profiler.inference_times,
        peak=peak(Clock(encoder.device), batch.side.dtype),
        memory=used["memory_usage_mb"] * MB,
        peak_memory=used["peak_memory_mb"] * MB,
        parts=parts,
        pipeline=pipeline,
    )


def _images(encoder: Encoder, images: Sequence[Path]) -> Stages:
    """As `sightline index` encodes them."""

    def read(item: ImageItem) -> tuple[Any, Any]:
        return item.read(encoder)

    def work() -> int:
        with closing(encoder.stream([ImageItem(path) for path in images], read)) as stream:
            for encoded in stream:
                if isinstance(encoded.vector, ImageError):
                    raise encoded.vector
        return len(images)

    return watch(work, encoder.threads)


def _texts(encoder: Encoder, texts: Sequence[str]) -> Stages:
    def work() -> int:
        return len(encoder.encode_text(texts))

    return watch(work, encoder.threads)
