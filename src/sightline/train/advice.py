"""What a run says of its data and settings before the first step, and what to change where memory runs out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import numpy as np

from sightline.data import Captions, Sample, equal_captions
from sightline.encoder.memory import is_out_of_memory
from sightline.errors import SightlineError
from sightline.processing.text_counts import TextCounts
from sightline.processing.tokenizer import Tokenizer
from sightline.train.recipe import Recipe

_LOOKED_AT = 100_000
"""Captions that are tokenized to count those that are cut: a second or two."""
_SPELLED_AMONG = 1_000
"""Captions, from all over, of which those are counted whose words the vocabulary lacks."""


def remarks(dataset: Captions, tokenizer: Tokenizer, recipe: Recipe) -> list[str]:
    """What is to be known of the data: what they lack, captions that are equal, that are cut, or that the model's
    vocabulary spells for want of words."""
    said = [f"left out of the data: {dataset.left_out}"] if dataset.left_out else []
    said += _evaluated_too(dataset.samples, recipe)
    said += [*_equal_captions(dataset.samples, recipe), *_cut_captions(dataset.samples, tokenizer)]
    return [*said, *_spelled_captions(dataset.samples, tokenizer, recipe)]


def _evaluated_too(samples: Sequence[Sample], recipe: Recipe) -> list[str]:
    """Samples that a run learns from and is chosen by: the same file, or the same name with the same captions."""
    evaluated: Sequence[Sample] = getattr(recipe.evaluate, "samples", ())
    files, pairs = {sample.media for sample in evaluated}, {(sample.key, sample.captions) for sample in evaluated}
    both = [sample for sample in samples if sample.media in files or (sample.key, sample.captions) in pairs]
    if not both:
        return []
    return [
        f"{len(both):,} of {len(samples):,} samples of --data are also in --evaluate, such as {both[0].key}: the best "
        "checkpoint will be the one that learned them by heart; evaluate on data that are not trained on"
    ]


def _equal_captions(samples: Sequence[Sample], recipe: Recipe) -> list[str]:
    if (counts := equal_captions(samples)) is None:
        return []
    if recipe.loss is not None:
        return [f"{counts}: to the recipe's loss they may be wrong answers"]
    if recipe.equal_captions == "ignored":
        return [f"{counts}: in a batch they are not compared with each other"]
    return [
        f"{counts}: in a batch they count as wrong answers for each other; --equal-captions ignored does not compare "
        "them with each other"
    ]


def _cut_captions(samples: Sequence[Sample], tokenizer: Tokenizer) -> list[str]:
    """Captions with more tokens than the model takes. Of very many captions some are counted, from all over."""
    captions = list(chain.from_iterable(sample.captions for sample in samples))
    looked_at = captions
    if len(captions) > _LOOKED_AT:
        looked_at = [captions[i] for i in np.linspace(0, len(captions) - 1, _LOOKED_AT, dtype=np.int64)]
    limit = tokenizer.max_length
    # A token has at least one character: short texts need no counting. Other scripts may take several for one.
    long = [text for text in looked_at if not text.isascii() or len(text) > limit - 3]
    lengths = chain.from_iterable(map(len, tokenizer.token_ids(long[i : i + 4096])) for i in range(0, len(long), 4096))
    if not (cut := sum(length > limit for length in lengths)):
        return []
    of = (
        f"{len(captions):,}"
        if looked_at is captions
        else f"{_LOOKED_AT:,} (of {len(captions):,}, as many were counted)"
    )
    return [f"{cut:,} of {of} captions are longer than the model's {limit} tokens and are cut there"]


def _spelled_captions(samples: Sequence[Sample], tokenizer: Tokenizer, recipe: Recipe) -> list[str]:
    captions, counts = list(chain.from_iterable(sample.captions for sample in samples)), TextCounts()
    tokenizer.encode(captions[:: -(-len(captions) // _SPELLED_AMONG)], counts)
    return list(counts.spelled_warning(str(recipe.settings()["text_model"] or recipe.settings()["model"]), "captions"))


@contextmanager
def memory_advice(recipe: Recipe, step: int, images: int) -> Iterator[None]:
    """Where memory runs out in a step of so many images in this process, the error says which settings to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        now = recipe.micro_batch_size or images
        ways = [f"--micro-batch-size {now // 2}, which keeps the gradient of the whole batch"] if now > 1 else []
        ways += [] if recipe.grad_checkpointing else ["--grad-checkpointing"]
        ways += [] if recipe.precision == "bfloat16" else ["--precision bfloat16"]
        way = f"add {', or '.join(ways)}; with that the same command goes on from the last checkpoint"
        if not ways:
            way = "train a smaller model, or lock a tower (--freeze) in another run"
        raise SightlineError(f"step {step}: not enough memory for {now} images at a time: {way}") from error
