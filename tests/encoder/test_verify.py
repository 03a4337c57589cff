"""`verify`: golden values, and what it says of a difference."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import sightline
from sightline import scenes
from sightline.checkpoint.names import PACKAGED
from sightline.encoder import verify as module
from sightline.encoder.verify import Check, verify

GOLDEN = json.loads((PACKAGED / "golden.json").read_text())["mini"]


def checks(name: str | Path, image: Path | None = None) -> dict[str, Check]:
    return {check.what: check for check in verify(name, image)}


@pytest.mark.parametrize("copied", [False, True])
def test_mini_equals_the_reference_s_golden_values(copied: bool, tmp_path: Path) -> None:
    """By name, and as a copy elsewhere, which is known by its weights' hash."""
    if copied:
        shutil.copytree(PACKAGED / "mini", tmp_path / "copy")
    found = checks(tmp_path / "copy" if copied else "mini")
    assert all(check.passed for check in found.values()), found
    for what in ("token ids", "pixels", "vectors", "logits"):
        assert found[what].against == GOLDEN["source"]
    assert found["weights"].against == found["precision"].against == "itself"


@pytest.mark.parametrize(
    ("key", "what"),
    [("token_ids", "token ids"), ("pixels", "pixels"), ("image_vector", "vectors"), ("logits_per_image", "logits")],
)
def test_a_difference_is_found(key: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = json.loads(json.dumps(GOLDEN))
    row = other[key][0] if isinstance(other[key][0], list) else other[key]
    row[1] += 1 if key == "token_ids" else 0.01
    monkeypatch.setattr(module, "_golden", lambda name, encoder: other)
    assert {check.what for check in verify("mini") if not check.passed} == {what}


def test_without_golden_values_it_is_held_against_itself(tmp_path: Path) -> None:
    model = sightline.CLIPModel.from_pretrained("mini", dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.01)
    model.save_pretrained(tmp_path)
    sightline.CLIPProcessor.from_pretrained("mini").save_pretrained(tmp_path)
    found = checks(tmp_path)
    assert all(check.passed for check in found.values()), found
    assert {check.against for what, check in found.items() if what != "image"} == {"itself"}
    # A weight file that is named is the one that is checked.
    (tmp_path / "model.safetensors").rename(tmp_path / "weights.safetensors")
    assert all(check.passed for check in checks(tmp_path / "weights.safetensors").values())


def test_another_image_is_recognized_by_its_hash(tmp_path: Path) -> None:
    scenes.sample(0).draw(64).save(tmp_path / "other.png")
    found = checks("mini", tmp_path / "other.png")
    assert "another image than that of golden values" in found["image"].result
    assert found["token ids"].against == GOLDEN["source"]
    assert found["logits"].against == "itself"
    assert all(check.passed for check in found.values())


@pytest.mark.parametrize("name", ["encode_text", "encode_images"])
def test_texts_or_images_that_all_get_one_vector_are_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = sightline.load("mini", precision="float32").encode_text(["a dog"])
    monkeypatch.setattr(module.Encoder, name, lambda self, items: one.repeat(len(items), axis=0))
    found = checks("mini")["distinct"]
    assert not found.passed
    assert "0.00000" in found.result
