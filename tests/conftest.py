"""What several test folders need."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

import sightline
import support.examples  # noqa: F401 (its profiles must be known before one is chosen)
from support.datasets import tar
from support.images import as_bytes

START, END = "<|startoftext|>", "<|endoftext|>"


def pytest_collection_modifyitems(items):
    """What has none of the other marks is a unit test."""
    for item in items:
        if not any(item.get_closest_marker(name) for name in ("system", "parity", "shared")):
            item.add_marker(pytest.mark.unit)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of pictures, vocabularies and the checkpoint beside the repository."""
    folder = Path(__file__).parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("no ../shared beside the repository")
    return folder


@pytest.fixture(scope="package")
def one_thread():
    """Torch computes in one thread: small models' second thread would mostly wait for the first."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory) -> Path:
    """A folder with a small `vocab.json` and `merges.txt` in CLIP's layout, trained here: every byte, some merges."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    trained.normalizer = normalizers.Lowercase()
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=900, show_progress=False, end_of_word_suffix="</w>", min_frequency=1)
    trained.train_from_iterator(
        [
            "a photo of a red cat and two dogs, the dog's ball isn't there",
            "café naïve Straße",
            "кошка и собака",
            "猫と犬",
        ],
        trainer,
    )
    merges = json.loads(trained.to_str())["model"]["merges"]
    words = [*alphabet, *(letter + "</w>" for letter in alphabet), *("".join(pair) for pair in merges), START, END]
    folder = tmp_path_factory.mktemp("vocabulary")
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(dict.fromkeys(words))}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    return folder


@pytest.fixture(scope="session")
def word_pieces(tmp_path_factory) -> Path:
    """A folder with a small `vocab.txt` in BERT's layout: words, letters that begin one and letters that go on."""
    letters = [*"abcdefghijklmnopqrstuvwxyzABCDEé0123456789!?.,'-", *"кошатня", "猫", "犬"]
    words = ["a", "photo", "of", "cat", "dog", "red", "##s", "##ing", "cafe", "café", "hund", "Hund", "läuft", "lauft"]
    rows = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{x}" for x in letters), *words]
    folder = tmp_path_factory.mktemp("word_pieces")
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(rows)) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def byte_pairs(tmp_path_factory) -> Path:
    """A folder with a small `vocab.json` and `merges.txt` in RoBERTa's layout, trained here."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        show_progress=False,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    trained.train_from_iterator(
        ["a photo of a red cat and two dogs", "the dog's ball isn't there", "café кошка"], trainer
    )
    model = json.loads(trained.to_str())["model"]
    folder = tmp_path_factory.mktemp("byte_pairs")
    (folder / "vocab.json").write_text(json.dumps(model["vocab"] | {"<mask>": len(model["vocab"])}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in model["merges"]))
    return folder


@pytest.fixture(scope="session")
def drawn():
    """Twelve scenes."""
    from sightline.scenes import distinct

    return distinct(12, 3)


@pytest.fixture(scope="session")
def shard(tmp_path_factory, drawn) -> Path:
    """A tar of the scenes with one to three captions each, the fifth picture cut short."""
    files = []
    for number, scene in enumerate(drawn):
        content = as_bytes(scene.draw(64))
        said = {"captions": scene.captions[: 1 + number % 3]}
        files += [
            (f"{number:02d}.png", content[:200] if number == 4 else content),
            (f"{number:02d}.json", json.dumps(said).encode()),
        ]
    return tar(tmp_path_factory.mktemp("drawn") / "scenes.tar", files)


@pytest.fixture(scope="session")
def mini():
    """The packaged CLIP."""
    return sightline.load("mini", precision="float32")


@pytest.fixture(scope="session")
def mini_xclip():
    """The packaged X-CLIP."""
    return sightline.load("mini-xclip", precision="float32")


@pytest.fixture
def make_table(tmp_path):
    """A table of these vectors, one row each, in an index folder of its own."""

    from sightline.index.schema import ModelRecord
    from sightline.index.table import Table
    from support.tables import rows_of

    def make(vectors, **more):
        vectors = np.asarray(vectors, np.float32).reshape(-1, np.shape(vectors)[-1])
        folder = tmp_path / f"index-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        table = Table.create(folder, ModelRecord("names", "f00d", vectors.shape[1]))
        if len(vectors):
            table.append(rows_of(vectors, **more))
        return table

    return make
