"""How many tokens of a text the model beside a tokenizer takes."""

from collections.abc import Mapping
from pathlib import Path

from sightline.files import read_checkpoint_json
from sightline.models.families import TOWERS
from sightline.models.shared_configs import SharedBertConfig


def text_length(folder: Path) -> int | None:
    """The text tower's length as the model's config, of any age, has it; None where no config says it.

    A text tower that counts its positions from another number than 0, as RoBERTa's does, takes fewer than it has.
    Raises CheckpointError.
    """
    path = folder / "config.json"
    config = read_checkpoint_json(path) if path.is_file() else {}
    towers = [tower for key in ("text_config_dict", "text_config") if isinstance(tower := config.get(key), Mapping)]
    for tower in [*towers, config]:
        length, kind = tower.get("max_position_embeddings"), TOWERS.get(str(tower.get("model_type")))
        is_text = kind is not None and kind.part == "text_config"
        if kind is not None and is_text and (length is None or issubclass(kind.config, SharedBertConfig)):
            return int(kind.config.from_dict(tower).max_tokens)
        if isinstance(length, int):
            return length
    return None
