"""A checkpoint's tokenizer as scripts for open_clip call it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sightline.checkpoint.hub import resolve
from sightline.errors import UsageError
from sightline.models.families import family_of
from sightline.processing.tokenizer import Tokenizer


class OpenClipTokenizer:
    """Texts to int64 (n, context_length), cut where they are longer; the last token kept is the text's end."""

    def __init__(self, tokenizer: Tokenizer, context_length: int | None = None) -> None:
        self.tokenizer = tokenizer
        self.context_length = tokenizer.max_length if context_length is None else context_length
        self.vocab_size = len(tokenizer)
        self.sot_token_id, self.eot_token_id = tokenizer.bos_id, tokenizer.eos_id

    def __call__(self, texts: str | Sequence[str], context_length: int | None = None) -> Tensor:
        """A text or several; filled up with 0 as open_clip does, where a BERT's padding with the BERT's own. Raises
        `UsageError`."""
        length = self.context_length if context_length is None else context_length
        if not isinstance(length, int) or length < 2:
            raise UsageError(f"context_length={length!r} leaves no room for the start and the end of a text")
        tokenizer = self.tokenizer
        rows = tokenizer.beginnings([texts] if isinstance(texts, str) else list(texts), length)[1]
        ids = torch.full((len(rows), length), tokenizer.pad_id if tokenizer.has_token_types else 0)
        for row, tokens in zip(ids, rows, strict=True):
            cut = tokenizer.truncate(tokens, length)
            row[: len(cut)] = torch.from_numpy(cut)
        return ids

    def encode(self, text: str) -> list[int]:
        """The ids of one text, without start and end."""
        return [int(i) for i in self.tokenizer.token_ids([text])[0][1:-1]]

    def decode(self, tokens: Any) -> str:
        """The text of a sequence of ids."""
        return self.tokenizer.decode([int(i) for i in tokens])


def get_tokenizer(
    model_name: str | os.PathLike[str],
    context_length: int | None = None,
    cache_dir: str | Path | None = None,
    **where: Any,
) -> OpenClipTokenizer:
    """The tokenizer of a checkpoint: a folder, a packaged model, or a Hub name as open_clip writes it ("hf-hub:...").

    `context_length`: the tokens of a text, by default those that the model takes. `where`: `resolve`'s arguments.
    Raises `CheckpointError`, `UsageError`.
    """
    path = resolve(model_name, cache_dir=cache_dir, weights=False, **where)
    folder = path if path.is_dir() else path.parent
    processor = family_of(folder).processor.from_pretrained(folder)
    return OpenClipTokenizer(processor.tokenizer.tokenizer, context_length)
