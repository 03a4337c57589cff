"""A tokenizer that is another model's: refused wherever a checkpoint is opened."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sightline
from sightline.checkpoint.names import PACKAGED
from sightline.encoder import TextEncoder
from sightline.encoder.verify import verify
from sightline.errors import CheckpointError
from sightline.models import family_of
from sightline.processing.tokenizer import Tokenizer
from sightline.segment import Segmenter
from sightline.train import Recipe

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json")
OPENERS: dict[str, Callable[[Path], Any]] = {
    "load": sightline.load,
    "text encoder": TextEncoder,
    "processor": lambda folder: family_of(folder).processor.from_pretrained(folder),
    "training": lambda folder: Recipe(model=folder, data="none.csv", steps=1).start(),
    "verify": lambda folder: list(verify(folder)),
    "segmenter": lambda folder: Segmenter(folder),
}


def copy(name: str, folder: Path) -> Path:
    return shutil.copytree(PACKAGED / name, folder)


def give_tokenizer(folder: Path, source: Path) -> None:
    for name in TOKENIZER_FILES:
        (folder / name).unlink(missing_ok=True)
        if (source / name).is_file():
            shutil.copy(source / name, folder)


def change(folder: Path, **text: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= text
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("opener", OPENERS)
def test_one_that_ends_texts_in_another_token_is_refused_by_all_that_open(tmp_path: Path, opener: str) -> None:
    folder = copy("mini-groupvit" if opener == "segmenter" else "mini", tmp_path / "mixed")
    change(folder, eos_token_id=102)
    with pytest.raises(CheckpointError, match="mixed: its tokenizer ends a text in token 835, the model looks for 102"):
        OPENERS[opener](folder)


@pytest.mark.parametrize("name", ["mini", "mini-align", "mini-groupvit", "mini-xclip"])
def test_every_family_refuses_another_end(tmp_path: Path, name: str) -> None:
    folder = copy(name, tmp_path / "mixed")
    change(folder, eos_token_id=102)
    with pytest.raises(CheckpointError, match="the model looks for 102"):
        sightline.load(folder)


@pytest.mark.parametrize(
    ("model", "source", "end", "message"),
    [
        ("mini", "mini-align", 835, "has only 427|the model looks for 835"),  # a BERT's in a CLIP
        ("mini", "mini-align", 2, "the model looks for the highest of 427"),  # which 2 stands for
        ("mini-align", "mini", None, "has 836 tokens, the model 427"),  # a CLIP's in an ALIGN
        ("mini-xclip", "mini", 907, "token 835, the model looks for 907"),
        ("mini", "mini-xclip", 835, "has 908 tokens, the model 836"),
        ("mini", "mini-xclip", 2, "has 908 tokens, the model 836"),
    ],
)
def test_another_models(tmp_path: Path, model: str, source: str, end: int | None, message: str) -> None:
    folder = copy(model, tmp_path / "mixed")
    give_tokenizer(folder, PACKAGED / source)
    change(folder, eos_token_id=end)
    with pytest.raises(CheckpointError, match=f"({message}).* so it is another model's tokenizer"):
        sightline.load(folder)


def test_one_with_far_fewer_words_than_the_model(tmp_path: Path) -> None:
    folder = copy("mini", tmp_path / "mixed")
    change(folder, eos_token_id=2, vocab_size=49408)
    with pytest.raises(CheckpointError, match="has only 836 tokens, the model 49408"):
        sightline.load(folder)


def test_one_that_fills_up_with_other_tokens(tmp_path: Path) -> None:
    """A BERT's padding has an embedding of its own; a token beyond the table has none in any family."""
    folder = copy("mini-align", tmp_path / "mixed")
    change(folder, pad_token_id=7)
    with pytest.raises(CheckpointError, match="fills up texts with token 0, the model with 7"):
        sightline.load(folder)
    folder = copy("mini", tmp_path / "padded")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"pad_token": "<pad>"}))
    with pytest.raises(CheckpointError, match="puts token 836 around texts, the model knows 836"):
        sightline.load(folder)


def test_one_without_start_and_end(tmp_path: Path) -> None:
    folder = copy("mini", tmp_path / "bare")
    pipeline = json.loads((folder / "tokenizer.json").read_text())
    pipeline["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(pipeline))
    with pytest.raises(CheckpointError, match="puts no start and end around a text"):
        sightline.load(folder)


def test_one_without_padding_is_no_fault(tmp_path: Path) -> None:
    folder = copy("mini", tmp_path / "unpadded")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("pad_token")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    assert not Tokenizer.from_folder(folder, 64).has_pad
    texts = ["a red ring", "two blue squares and a red ring"]
    assert (sightline.load(folder).encode_text(texts) == sightline.load("mini").encode_text(texts)).all()


def test_without_a_tokenizer_images_can_still_be_encoded(tmp_path: Path) -> None:
    folder = copy("mini", tmp_path / "images")
    for name in TOKENIZER_FILES:
        (folder / name).unlink(missing_ok=True)
    encoder = sightline.load(folder)
    assert encoder.dim == sightline.load("mini").dim
    with pytest.raises(CheckpointError, match="no tokenizer in it"):
        encoder.encode_text(["a dog"])
