"""The fifth family of docs/adding-a-family.md, from its own words: one folder, one line."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import sightline
from sightline import models, scenes
from sightline.checkpoint.names import PACKAGED
from sightline.index.sync import sync
from sightline.models import Family

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


def test_a_fifth_family_opens_trains_indexes_and_searches(family: Path, tmp_path: Path) -> None:
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
    end = mini["eos_token_id"]
    ids, pixels = torch.tensor([[5, 6, end], [7, end, end]]), torch.randn(2, 3, 64, 64)
    loss = again.train()(ids, pixels, return_loss=True).loss
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in again.parameters())

    encoder = sightline.load(folder, precision="float32")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for seed in range(3):
        scenes.sample(seed).draw(64).save(pictures / f"{seed}.png")
    sync(tmp_path / "index", [pictures], encoder)
    found = sightline.open_index(tmp_path / "index", encoder).search(pictures / "1.png")
    assert [Path(found[0].uri).name, round(found[0].score, 3)] == ["1.png", 1.0]
