"""The fifth family of docs/adding-a-family.md, from its own words: one folder, one line."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard

import sightline
from sightline import models, scenes
from sightline.checkpoint.names import PACKAGED
from sightline.data import captions as open_captions
from sightline.evaluate import projection, retrieval
from sightline.index.sync import sync
from sightline.models import Family
from sightline.train import Lora, Recipe, train

pytestmark = pytest.mark.system

PAGE = Path(__file__).parent.parent / "docs/adding-a-family.md"


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's files as a package beside the other families, and its line in the table."""
    text = PAGE.read_text(encoding="utf-8")
    for name, code in re.findall(r"```python (duo/\w+\.py)\n(.*?)```", text, re.DOTALL):
        path = tmp_path / "families" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path / "families")])
    line = re.search(r'"duo": (Family\(.*?\)),\n', text, re.DOTALL)
    assert line
    monkeypatch.setitem(models.FAMILIES, "duo", eval(line[1], {"Family": Family}))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("sightline.models.duo")]:
        del sys.modules[name]


@pytest.fixture
def checkpoint(family: Path, tmp_path: Path) -> Path:
    """A new Duo with mini's tokenizer."""
    from sightline.models.duo.config import DuoConfig
    from sightline.models.duo.model import DuoModel

    torch.manual_seed(0)
    mini = json.loads((PACKAGED / "mini/config.json").read_text())["text_config"]
    model = DuoModel(DuoConfig(text_config={key: mini[key] for key in ("vocab_size", "eos_token_id")}))
    folder = tmp_path / "checkpoint"
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        shutil.copy(PACKAGED / "mini" / name, folder)
    again = DuoModel.from_pretrained(folder)
    assert all(torch.equal(tensor, again.state_dict()[key]) for key, tensor in model.state_dict().items())
    return folder


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """Six captioned images and the table that names them, two of them to test with."""
    rows = ["file,caption,split"]
    for number in range(6):
        scene = scenes.sample(2, number)
        scene.draw(64).save(tmp_path / f"{number}.png")
        rows.append(f'{number}.png,"{scene.caption}",{"test" if number < 2 else "train"}')
    (tmp_path / "captions.csv").write_text("\n".join(rows))
    return tmp_path / "captions.csv"


@pytest.mark.parametrize("lora", [None, Lora(rank=2)], ids=["all weights", "LoRA"])
def test_it_trains_and_has_a_card(checkpoint: Path, captions: Path, tmp_path: Path, lora: Lora | None) -> None:
    recipe = Recipe(model=checkpoint, data=str(captions), steps=2, batch_size=4, layer_decay=0.8, lora=lora)
    path = train(recipe, tmp_path / "run").path
    before, after = (sightline.load(folder).encode_text(["a red ring"]) for folder in (checkpoint, path))
    assert before.shape == after.shape == (1, 64)
    assert not np.array_equal(before, after)
    assert (path / "adapter").is_dir() == (lora is not None)
    card = ModelCard((path / "README.md").read_text())
    assert card.data.pipeline_tag == "zero-shot-image-classification"
    assert card.data.tags == ["sightline", "duo", "contrastive"]


def test_it_freezes_a_tower(checkpoint: Path, captions: Path, tmp_path: Path) -> None:
    recipe = Recipe(model=checkpoint, data=str(captions), steps=2, batch_size=4, freeze=("image",), precision="float32")
    path = train(recipe, tmp_path / "run").path
    before, after = (sightline.load(folder, precision="float32") for folder in (checkpoint, path))
    image = tmp_path / "0.png"
    assert np.array_equal(before.encode_images([image]), after.encode_images([image]))
    assert not np.array_equal(before.encode_text(["a red ring"]), after.encode_text(["a red ring"]))


def test_it_indexes_searches_and_is_evaluated(checkpoint: Path, captions: Path, tmp_path: Path) -> None:
    encoder = sightline.load(checkpoint, precision="float32")
    sync(tmp_path / "index", [tmp_path / "1.png", tmp_path / "2.png"], encoder)
    found = sightline.open_index(tmp_path / "index", encoder).search(tmp_path / "1.png")
    assert [Path(found[0].uri).name, round(found[0].score, 3)] == ["1.png", 1.0]
    data, training = (open_captions(captions, split=split) for split in ("test", "train"))
    assert retrieval(encoder, data).figures["text_to_image_R@10"] == 1.0
    assert projection(encoder, training, data, dims=[4]).figures
