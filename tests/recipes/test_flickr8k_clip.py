"""The recipe for Flickr8k, on drawn scenes: what it saves is a plain CLIP, and what it leaves out comes back."""

import importlib
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from transformers import CLIPModel as Reference

from sightline import CLIPModel, scenes
from sightline.train import train

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    lines = []
    for number, scene in enumerate(scenes.distinct(48, seed=3)):
        scene.draw(144).save(folder / f"{number}.png")
        lines.append(json.dumps({"file": f"{number}.png", "captions": list(scene.captions)}))
    (folder / "captions.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, drawn: Path) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent.parent / "recipes")
    found = importlib.import_module("flickr8k_clip")
    monkeypatch.setattr(found, "SHARDS", str(drawn / "captions.jsonl"))
    return found


def test_sees_no_more_pairs_than_it_may(module: ModuleType) -> None:
    recipe = module.recipe
    assert recipe.steps * recipe.batch_size * recipe.captions_per_image <= 301_824


def test_saves_a_plain_clip(module: ModuleType, tmp_path: Path) -> None:
    recipe = replace(
        module.recipe, data=module.SHARDS, steps=2, batch_size=8, checkpoint_every=2, workers=1, precision="float32"
    )
    path = train(recipe, tmp_path / "run").path
    ours = CLIPModel.from_pretrained(path, dtype="float32").eval()
    assert ours.num_parameters() < 16_316_225
    ends = ours.config.text_config
    ids = torch.tensor([[ends.bos_token_id, 40, 50, ends.eos_token_id]])
    pixels = torch.randn(2, 3, module.SIZE, module.SIZE)
    with torch.no_grad():
        found = ours(ids, pixels).logits_per_image
        expected = Reference.from_pretrained(path)(ids, pixels).logits_per_image
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_leaves_out_in_training_alone(module: ModuleType) -> None:
    torch.manual_seed(0)
    made, processor = module.model()
    inputs = processor(text=["a red circle"] * 2, images=torch.rand(2, 3, 144, 144), return_tensors="pt")
    lengths = []
    made.vision_model.encoder.layers[0].mlp.register_forward_hook(lambda *a: lengths.append(a[2].shape[1]))

    def both() -> torch.Tensor:
        embeddings = made.encode(inputs["pixel_values"], inputs["input_ids"])
        return torch.cat([*embeddings.images, *embeddings.texts])

    with torch.no_grad():
        whole = [made.eval() and both() for _ in range(2)]
        parts = [made.train() and both() for _ in range(2)]
    patches = (module.SIZE // module.PATCH) ** 2
    assert torch.equal(*whole)
    assert ((parts[0] - parts[1]).abs().amax(1) > 1e-3).all()
    assert lengths == [patches + 1] * 2 + [round(module.PATCHES_KEPT * patches) + 1] * 2


def test_start_and_end_of_a_text_stay(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORDS_LEFT_OUT", 1.0)
    words = torch.nn.Embedding(10, 4)
    words.register_forward_hook(module.some_words)
    ids = torch.tensor([[8, 1, 2, 9, 9]])
    left = words(ids)[0].abs().sum(-1) > 0
    assert left.tolist() == [True, False, False, True, True]
    assert (words.eval()(ids) != 0).all()


def test_patches_start_with_the_same_variance(module: ModuleType) -> None:
    torch.manual_seed(0)
    made, processor = module.model()
    photos = [scene.draw(144) for scene in scenes.distinct(40, seed=4)]
    pixels = processor(images=photos, return_tensors="pt")["pixel_values"]
    found = made.vision_model.embeddings.patch_embedding.rows(pixels).flatten(0, 1)
    power = torch.linalg.eigvalsh(found.T @ found / len(found)).flip(0).detach()
    # Of raw pixels through a random map, the first has hundreds of times the power of the twentieth.
    assert power[0] < 10 * power[20]


def test_words_of_the_same_pictures_start_alike(module: ModuleType) -> None:
    torch.manual_seed(0)
    data = module.captions(module.SHARDS)
    processor = module.made_processor(data)
    tokens = torch.nn.functional.normalize(module.meanings(data, processor), dim=1)
    ids = {word: processor.tokenizer.encode(word)[1] for word in ("at", "night", "circle")}
    night = tokens[ids["night"]]
    assert night @ tokens[ids["at"]] > night @ tokens[ids["circle"]]
