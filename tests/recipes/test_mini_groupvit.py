"""The GroupViT in the package knows what is where in its scenes; its recipe reads captions and rewards places."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from sightline import CLIPProcessor, GroupViTModel, scenes
from sightline.metrics import confusion, mean_iou

pytestmark = pytest.mark.system


def test_segments_scenes_it_never_saw() -> None:
    """By color, over all colors and the background: three times what "all is background" gives, which is all that a
    model can know that saw other pictures' captions. The recipe's `evaluate` says by how much, over more scenes.
    """
    model = GroupViTModel.from_pretrained("mini-groupvit", dtype="float32")
    processor = CLIPProcessor.from_pretrained("mini-groupvit")
    tests = scenes.distinct(60, seed=2)
    phrases = [background.phrase for background in scenes.BACKGROUNDS.values()]
    colors = list(scenes.COLORS)
    texts = [*phrases, *(f"something {color}" for color in colors)]
    inputs = processor(text=texts, images=[one.draw(224) for one in tests], padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs, output_segmentation=True).segmentation_logits
    side = logits.shape[-1]
    scores = torch.cat([logits[:, : len(phrases)].amax(1, keepdim=True), logits[:, len(phrases) :]], 1)
    matrix, nothing = np.zeros((2, len(colors) + 1, len(colors) + 1), np.int64)
    for one, found in zip(tests, scores.argmax(1).numpy(), strict=True):
        true = np.array([0, *(1 + colors.index(thing.color) for thing in one.things)])
        matrix += confusion(true[one.mask(side)], found, len(matrix))
        nothing += confusion(true[one.mask(side)], np.zeros_like(found), len(matrix))
    assert mean_iou(matrix) >= 3 * mean_iou(nothing)


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent.parent / "recipes")
    return importlib.import_module("mini_groupvit")


def test_reads_nouns_from_captions(recipe: ModuleType) -> None:
    for i in range(200):
        scene = scenes.unseen(3, i)
        expected = {scenes.BACKGROUNDS[scene.background].phrase}
        for thing in scene.things:
            expected.update(recipe.names(thing.color, thing.shape).values())
        assert {recipe.NOUNS[noun] for noun in recipe.nouns(scene.caption)} == expected


def test_the_loss_is_least_where_nouns_and_places_agree(recipe: ModuleType) -> None:
    """Ten patches, four of which must say noun 0; the others noun 2; noun 1 belongs to another picture."""
    named = torch.tensor([[True, False, True]])

    def loss(said: list[int]) -> float:
        logits = torch.nn.functional.one_hot(torch.tensor([said]), 3) * 20.0
        return float(recipe.placed(logits, named))

    right = loss([0] * 4 + [2] * 6)
    assert right < 1e-3
    assert loss([2] * 10) > 5, "noun 0 has no place"
    assert loss([0] * 4 + [2] * 5 + [1]) > right + 0.3, "a patch says what no one named"
    assert loss([0] * 2 + [2] * 8) == pytest.approx(np.log(2) / 2, abs=1e-3), "half of the places that noun 0 needs"
