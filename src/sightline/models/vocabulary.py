"""Whether a tokenizer is that of the model: with another one, texts become other texts, or all the same."""

import warnings
from pathlib import Path
from typing import Any

from sightline.checkpoint.weight_files import WEIGHT_FILES
from sightline.errors import CheckpointError
from sightline.models.families import FAMILIES, TOWERS, model_type
from sightline.models.shared_configs import SharedBertConfig, SharedTextConfig
from sightline.processing.tokenizer import Tokenizer


def check_tokenizer(config: Any, tokenizer: Tokenizer, where: str | Path) -> None:
    """`config`: that of the text tower; `where` names the checkpoint in errors.

    Raises `CheckpointError` for a tokenizer that ends or fills up texts with other tokens than the model knows, that
    has more tokens than the model, or less than half as many.
    """
    known, size, end = tokenizer.vocab_size, config.vocab_size, getattr(config, "eos_token_id", None)
    problem = None
    if known > size:
        problem = f"its tokenizer has {known} tokens, the model {size}"
    elif 2 * len(tokenizer) < size:
        problem = f"its tokenizer has only {len(tokenizer)} tokens, the model {size}"
    elif end not in (None, 2) and end != tokenizer.eos_id:
        problem = f"its tokenizer ends a text in token {tokenizer.eos_id}, the model looks for {end} (eos_token_id)"
    elif (special := max(tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id)) >= size:
        problem = f"its tokenizer puts token {special} around texts, the model knows {size}"
    elif isinstance(config, SharedTextConfig) and config.pools_at_highest and tokenizer.eos_id < known - 1:
        problem = f"its tokenizer ends a text in token {tokenizer.eos_id}, the model looks for the highest of {known}"
    elif isinstance(config, SharedBertConfig) and tokenizer.has_pad and config.pad_token_id != tokenizer.pad_id:
        problem = f"its tokenizer fills up texts with token {tokenizer.pad_id}, the model with {config.pad_token_id}"
    if problem:
        raise CheckpointError(f"{where}: {problem}, so it is another model's tokenizer; fetch this model's own")


def check_folder(folder: Path, tokenizer: Tokenizer) -> None:
    """`check_tokenizer` by the config in `folder`, if a model that can be opened lies there with its weights."""
    if not any((folder / name).is_file() for name in WEIGHT_FILES):
        return
    try:
        kind = model_type(folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown keys: the model says so
            if kind in FAMILIES:
                config = FAMILIES[kind].config.from_folder(folder).text_config
            elif kind in TOWERS and TOWERS[kind].part == "text_config":
                config = TOWERS[kind].config.from_folder(folder)
            else:
                return
    except CheckpointError:  # without a config, or with a broken one, which the model tells
        return
    check_tokenizer(config, tokenizer, folder)
