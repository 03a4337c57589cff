"""Texts in batches by what they cost: the tokens that a model computes, padding included."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import Any

from sightline.encoder.lists import as_list, check_texts
from sightline.errors import UsageError

WASTE = 0.125
"""The most padding in a batch, as a share of its tokens, unless the batch is small."""
SMALL = 256
"""Tokens, padding included, up to which a batch may hold any padding: reading the weights takes longer."""


def by_cost(lengths: Sequence[int], tokens: int, rows: int | None = None) -> Iterator[list[int]]:
    """The places of texts of these lengths in batches, shortest texts first.

    A batch, padded to its longest text, has at most `tokens` tokens and at most `rows` texts, and its padding is at
    most `WASTE` of its texts' tokens or it has at most `SMALL` tokens in all. A text longer than `tokens` has a batch
    to itself.
    """
    batch: list[int] = []
    filled = 0
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        length = lengths[place]
        padded = (len(batch) + 1) * length
        wasteful = padded > max(SMALL, (1 + WASTE) * (filled + length))
        if batch and (padded > tokens or wasteful or len(batch) == rows):
            yield batch
            batch, filled = [], 0
        batch.append(place)
        filled += length
    if batch:
        yield batch


def for_threads(lengths: Sequence[int], tokens: int, threads: int, rows: int | None = None) -> list[list[int]]:
    """`by_cost`, with work for each thread.

    Few texts are a batch for each thread, the largest as small as can be: one batch more, of whatever is left, would
    begin when the others end. They are few where those batches have at most `SMALL` tokens.
    """

    def are_enough(share: int) -> bool:
        return sum(lengths) <= threads * share and sum(1 for _ in by_cost(lengths, share, rows)) <= threads

    share = bisect_left(range(min(tokens, SMALL) + 1), True, key=are_enough)
    if share > min(tokens, SMALL):
        share = min(tokens, ceil(sum(lengths) * (1 + WASTE) / threads))
    return list(by_cost(lengths, share, rows))


def dynamic_batching(
    images: Iterable[Any], texts: Iterable[str], max_tokens: int = 512, *, tokenizer: Any = None
) -> list[dict[str, Any]]:
    """Pairs in batches, in order, whose texts have at most `max_tokens` tokens together.

    Each pair is in one batch; one with more tokens than that has a batch to itself. Returns `[{"images": [...],
    "texts": [...], "token_count": n}]`. `tokenizer`: the model's, or its processor, of ours or of `transformers`; start
    and end tokens count. Without one the packaged vocabulary of `mini` counts, which spells most words: rather more
    tokens than a large vocabulary needs. Raises `UsageError` for lists of different lengths, and for what is no text or
    no tokenizer.
    """
    if not isinstance(max_tokens, int) or max_tokens < 1:
        raise UsageError(f"max_tokens is {max_tokens!r}: give a whole number of at least 1")
    pictures, strings = as_list("dynamic_batching", "image", images), check_texts(texts)
    if len(pictures) != len(strings):
        raise UsageError(f"{len(pictures):,} images and {len(strings):,} texts: give a text for each image")
    batches: list[dict[str, Any]] = []
    for picture, text, count in zip(pictures, strings, _counts(tokenizer, strings), strict=True):
        if not batches or batches[-1]["token_count"] + count > max_tokens:
            batches.append({"images": [], "texts": [], "token_count": 0})
        batch = batches[-1]
        batch["images"].append(picture)
        batch["texts"].append(text)
        batch["token_count"] += count
    return batches


def _counts(tokenizer: Any, texts: list[str]) -> list[int]:
    """How many tokens each text has."""
    if not texts:
        return []
    if tokenizer is None:
        from sightline.models.tokenizer_kinds import CLIPTokenizer

        tokenizer = CLIPTokenizer.from_pretrained("mini")
    if hasattr(tokenizer, "image_processor"):
        tokenizer = tokenizer.tokenizer
    try:
        return [len(ids) for ids in tokenizer(texts)["input_ids"]]
    except (TypeError, KeyError, IndexError) as error:
        raise UsageError(
            f"tokenizer is a {type(tokenizer).__name__}: give a tokenizer or a processor, whose call returns input_ids"
        ) from error
