"""What is quantised is not trained as a whole."""

from pathlib import Path

import pytest

import sightline
from sightline.errors import UsageError
from sightline.train.recipe import Recipe


def test_a_quantised_checkpoint_is_one_line(tmp_path: Path) -> None:
    sightline.CLIPModel.from_pretrained("mini", load_in_4bit=True).save_pretrained(tmp_path / "four")
    sightline.CLIPProcessor.from_pretrained("mini").save_pretrained(tmp_path / "four")
    with pytest.raises(UsageError, match=r"four: its weights were quantised by bitsandbytes; .*dequantize") as told:
        Recipe(model=tmp_path / "four", data="x.csv", steps=1).start()
    assert "\n" not in str(told.value)
