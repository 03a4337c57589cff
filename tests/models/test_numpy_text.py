"""The shared text tower in numpy against the same in torch, through files on disk."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import sightline
from sightline import CLIPConfig, CLIPModel, CLIPTextModelWithProjection, XCLIPConfig, XCLIPModel
from sightline.checkpoint.weight_files import weight_paths
from sightline.encoder import TextEncoder
from sightline.errors import UsageError
from sightline.models.numpy_text import NumpyTextTower
from sightline.models.xclip.numpy_text import XCLIPNumpyTextTower
from sightline.models.xclip.text import XCLIPTextTower
from support.weights import randomise

TEXTS = ([5, 9, 63], [63], [7, 8, 9, 10, 11, 12, 13, 14, 63])


def save(folder: Path, dtype: torch.dtype = torch.float32, **text: object) -> CLIPConfig:
    shape = {"vocab_size": 64, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3}
    shape |= {"num_attention_heads": 3, "max_position_embeddings": 9, "eos_token_id": 63}
    vision = {"hidden_size": 8, "num_attention_heads": 1, "num_hidden_layers": 1, "image_size": 8, "patch_size": 4}
    config = CLIPConfig(text_config=shape | text, vision_config=vision, projection_dim=16)
    randomise(CLIPModel(config), 0).to(dtype).save_pretrained(folder)
    return config


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("end", [2, 63])
def test_equals_the_tower_in_torch(act: str, dtype: torch.dtype, end: int, tmp_path: Path) -> None:
    config = save(tmp_path, dtype, hidden_act=act, eos_token_id=end)
    words = NumpyTextTower.open(config, weight_paths(tmp_path))
    assert words is not None
    tower = CLIPTextModelWithProjection.from_pretrained(tmp_path, dtype=torch.float64)
    for ids in TEXTS:
        with torch.inference_mode():
            expected = tower.embed(torch.tensor([ids]))[0].numpy()
        # Sums of tens of numbers in float32, through three layers, against float64.
        np.testing.assert_allclose(words.embed(np.array(ids)), expected, atol=1e-6 * np.linalg.norm(expected))


@pytest.mark.parametrize("end", [2, 7])
def test_x_clip_s_pools_at_the_highest_id(end: int, tmp_path: Path) -> None:
    text = {"vocab_size": 64, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "eos_token_id": end}
    vision = {"hidden_size": 8, "num_attention_heads": 1, "num_hidden_layers": 1, "image_size": 8, "patch_size": 4}
    vision |= {"mit_hidden_size": 16}
    config = XCLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    randomise(XCLIPModel(config), 0).save_pretrained(tmp_path)
    words = XCLIPNumpyTextTower.open(config, weight_paths(tmp_path))
    assert words is not None
    tower = XCLIPTextTower.from_pretrained(tmp_path, dtype=torch.float64)
    for ids in TEXTS:
        with torch.inference_mode():
            expected = tower.embed(torch.tensor([ids]))[0].numpy()
        np.testing.assert_allclose(words.embed(np.array(ids)), expected, atol=1e-6 * np.linalg.norm(expected))


def test_leaves_to_torch_what_it_cannot_do(tmp_path: Path) -> None:
    config = save(tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    assert NumpyTextTower.open(config, [path]) is not None
    assert NumpyTextTower.open(config, [tmp_path / "pytorch_model.bin"]) is None
    tensors = load_file(path)
    norm = "text_model.final_layer_norm.bias"
    for other in (
        {key: tensor for key, tensor in tensors.items() if key != norm},
        tensors | {norm: tensors[norm].bfloat16()},
        tensors | {"text_projection.weight": torch.zeros(2, 2)},
        tensors | {"text_model.encoder.layers.3.layer_norm1.bias": tensors[norm].clone()},
    ):
        save_file(other, path)
        assert NumpyTextTower.open(config, [path]) is None
    path.write_bytes(whole[:1000])
    assert NumpyTextTower.open(config, [path]) is None
    assert NumpyTextTower.open(save(tmp_path / "silu", hidden_act="silu"), weight_paths(tmp_path / "silu")) is None


def test_takes_what_the_encoder_takes(tmp_path: Path) -> None:
    words, encoder = TextEncoder("mini"), sightline.load("mini", precision="float32")
    assert words.usable
    texts = ["a red circle", "", "so long " * 200, "Ein Hund läuft 🐕"]
    np.testing.assert_allclose(words.encode_text(texts), encoder.encode_text(texts), atol=1e-6)
    assert words.encode_text([]).shape == (0, encoder.dim)
    assert words.fingerprint == encoder.fingerprint
    with pytest.raises(UsageError, match="list of strings"):
        words.encode_text("a red circle")


@pytest.mark.system
def test_a_search_by_words_does_without_torch(tmp_path: Path) -> None:
    """And finds what the encoder in torch would: a real index, in processes of their own."""
    script = """
import sys
import numpy as np
import sightline
from sightline import scenes
from sightline.index.sync import sync
folder = sys.argv[1]
if sys.argv[2] == "make":
    for i in range(12):
        scenes.sample(5, i).draw(96).save(f"{folder}/{i}.png")
    sync(folder + "/index", [folder], sightline.load("mini"))
else:
    index = sightline.open_index(folder + "/index")
    found = index.search("a red circle", 12)
    assert "torch" not in sys.modules
    encoder = sightline.load("mini", precision="float32")
    again = sightline.open_index(folder + "/index", encoder).search("a red circle", 12)
    assert [r.id for r in found] == [r.id for r in again], (found, again)
    np.testing.assert_allclose([r.score for r in found], [r.score for r in again], atol=1e-6)
"""
    for step in ("make", "search"):
        subprocess.run([sys.executable, "-c", script, tmp_path, step], check=True)
