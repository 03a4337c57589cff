"""X-CLIP against `transformers`, through files on disk, on 50 random configs whose every parameter is random."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

import sightline as ours
from sightline.models.xclip.layouts import HUGGING_FACE
from sightline.models.xclip.prompts import XCLIPRescorer
from sightline.models.xclip.text import XCLIPTextTower
from sightline.models.xclip.vision import XCLIPVideoTower
from support.configs.xclip import random_config, random_inputs
from support.parity import both_ways, close, compare, compare_gradients, gradients_of
from support.weights import randomise

pytestmark = pytest.mark.parity

OUTPUTS = ["loss", "logits_per_video", "logits_per_text", "text_embeds", "video_embeds"]
TOWER = ["last_hidden_state", "pooler_output"]
ALL = [*TOWER, "hidden_states", "attentions"]


@pytest.mark.parametrize("seed", range(50))
def test_parity(seed: int, tmp_path: Path) -> None:
    config = random_config(seed)
    reference = randomise(transformers.XCLIPModel(config), seed).eval()
    model = both_ways(reference, ours.XCLIPModel, tmp_path, attn_implementation=["sdpa", "eager"][seed % 2])
    reference.set_attn_implementation("eager")
    inputs = random_inputs(config, seed)
    pixels, texts = inputs["pixel_values"], {key: inputs[key] for key in ("input_ids", "attention_mask")}
    with torch.no_grad():
        want = {"output_hidden_states": True, "output_attentions": True}
        a, b = model(**inputs, return_loss=True, **want), reference(**inputs, return_loss=True, **want)
        assert list(a.keys()) == list(b.keys())
        compare(a, b, OUTPUTS)
        compare(a.text_model_output, b.text_model_output, ALL)
        compare(a.vision_model_output, b.vision_model_output, ALL)
        compare(a.mit_output, b.mit_output, TOWER)
        compare(model.get_text_features(**texts, **want), reference.get_text_features(**texts, **want), ALL)
        compare(model.get_video_features(pixels, **want), reference.get_video_features(pixels, **want), ALL)
        if seed % 5 == 0:
            # Frames of another size: positions are interpolated.
            larger = torch.nn.functional.pad(pixels, (0, 2, 0, 9))
            compare(
                model.get_video_features(larger, interpolate_pos_encoding=True),
                reference.get_video_features(larger, interpolate_pos_encoding=True),
                TOWER,
            )
            # The towers alone, as an index opens them, and both steps of a search.
            folder = tmp_path / "theirs"
            towers = [kind.from_pretrained(folder) for kind in (XCLIPTextTower, XCLIPVideoTower, XCLIPRescorer)]
            text, film, rescorer = towers
            close(text.embed(texts["input_ids"]), reference.get_text_features(**texts).pooler_output)
            close(film.embed(pixels), reference.get_video_features(pixels).pooler_output)
            films = film.embed_with_extras(pixels)
            close(rescorer(text.embed(texts["input_ids"])[:2], *films), b.logits_per_video[:, :2])

    model, reference = model.double().train(), reference.double().train()
    reference.set_attn_implementation("sdpa")  # its eager softmax is computed in float32, whatever it is given
    inputs["pixel_values"] = pixels.double()

    def loss(model: Any) -> Tensor:
        torch.manual_seed(seed)  # of dropout; the same films keep or lose the same messages
        out = model(**inputs, return_loss=True)
        losses.append(out.loss.detach())
        return out.loss

    losses: list[Tensor] = []
    compare_gradients(*(gradients_of(m, loss) for m in (model, reference)), HUGGING_FACE)
    close(*losses, 1e-12)


def test_drop_path_is_there_in_training_alone() -> None:
    config = random_config(0)
    config.vision_config.drop_path_rate = 0.5
    model = randomise(ours.XCLIPModel(ours.XCLIPConfig.from_dict(config.to_dict())), 0)
    inputs = random_inputs(config, 0)
    with torch.no_grad():
        twice = [[model.train(mode)(**inputs).video_embeds for _ in range(2)] for mode in (True, False)]
    assert not torch.equal(*twice[0])
    assert torch.equal(*twice[1])


@pytest.mark.parametrize("frames", [1, 8])
@pytest.mark.parametrize("kind", ["XCLIPTextModel", "XCLIPVisionModel"])
def test_a_tower_alone(kind: str, frames: int, tmp_path: Path) -> None:
    """Saved alone by either, and opened from a whole model."""
    config = random_config(3)
    config.vision_config.num_frames = frames
    whole = randomise(transformers.XCLIPModel(config), 1).eval()
    whole.save_pretrained(tmp_path / "whole")
    part = "text_config" if "Text" in kind else "vision_config"
    reference = randomise(getattr(transformers, kind)(getattr(config, part)), 2).eval()
    reference.set_attn_implementation("eager")
    mine = both_ways(reference, getattr(ours, kind), tmp_path)
    inputs = random_inputs(config, 0)
    pixels = inputs.pop("pixel_values")
    inputs = inputs if "Text" in kind else {"pixel_values": pixels.flatten(0, 1)}
    with torch.no_grad():
        compare(mine(**inputs), reference(**inputs), TOWER)
        opened = getattr(ours, kind).from_pretrained(tmp_path / "whole")
        inner = whole.text_model if "Text" in kind else whole.vision_model
        compare(opened(**inputs), inner(**inputs), TOWER)


LARGE = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "mit_hidden_size": 768,
    "mit_intermediate_size": 3072,
}
LARGE_TEXT = {
    "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
    "projection_dim": 768,
}


@pytest.mark.parametrize(
    ("vision", "rest"),
    [({}, {}), (LARGE, LARGE_TEXT), (LARGE | {"image_size": 336, "num_frames": 16}, LARGE_TEXT)],
    ids=["base-patch32", "large-patch14", "large-patch14-16-frames"],
)
def test_the_public_configurations(vision: dict[str, Any], rest: dict[str, Any]) -> None:
    """All names of tensors and their shapes, as the files have them."""
    from sightline.checkpoint.rules import write

    config = transformers.XCLIPConfig(vision_config=vision, **rest)
    with torch.device("meta"):
        reference = transformers.XCLIPModel(config).state_dict()
        mine = write(HUGGING_FACE, ours.XCLIPModel(ours.XCLIPConfig.from_dict(config.to_dict())).state_dict())
    assert {k: t.shape for k, t in mine.items()} == {k: t.shape for k, t in reference.items()}
