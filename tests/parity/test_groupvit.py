"""GroupViT against `transformers`, through files on disk, on 50 random configs whose every parameter and buffer is
random; evaluation and training, the latter with the same Gumbel noise and dropout."""

from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

import sightline as ours
from sightline.models.groupvit import grouping
from sightline.models.groupvit.layouts import HUGGING_FACE
from support.configs.groupvit import inputs_of, random_config
from support.parity import both_ways, close, compare, compare_gradients, gradients_of
from support.weights import randomise

pytestmark = pytest.mark.parity

OUTPUTS = ["loss", "logits_per_image", "logits_per_text", "text_embeds", "image_embeds"]
TOWER = ["last_hidden_state", "pooler_output", "hidden_states"]


@pytest.mark.parametrize("seed", range(50))
def test_parity(seed: int, tmp_path: Path) -> None:
    reference = randomise(transformers.GroupViTModel(random_config(seed)), seed).eval()
    config = reference.config
    model = both_ways(reference, ours.GroupViTModel, tmp_path, attn_implementation=["sdpa", "eager"][seed % 2])
    generator = torch.Generator().manual_seed(seed)
    inputs = inputs_of(config, generator)
    segments = any(config.vision_config.num_group_tokens)
    want = {"output_hidden_states": True, "output_attentions": True, "output_segmentation": segments}
    with torch.no_grad():
        a, b = model(**inputs, return_loss=True, **want), reference(**inputs, return_loss=True, **want)
        compare(a, b, [*OUTPUTS, "segmentation_logits"] if segments else OUTPUTS)
        compare(a.vision_model_output, b.vision_model_output, [*TOWER, "attentions"])
        compare(a.text_model_output, b.text_model_output, TOWER[:2])
        texts = {key: inputs[key] for key in ("input_ids", "attention_mask")}
        asked = {"output_hidden_states": True, "output_attentions": True}
        compare(model.get_text_features(**texts, **asked), reference.get_text_features(**texts, **asked), TOWER)
        pixels = inputs["pixel_values"]
        compare(model.get_image_features(pixels), reference.get_image_features(pixels), TOWER[:2])

    model, reference = model.double(), reference.double()
    inputs["pixel_values"] = pixels.double()
    gradients = [gradients_of(m, lambda m: objective(m, inputs, segments)) for m in (model, reference)]
    compare_gradients(*gradients, HUGGING_FACE)


def objective(model: torch.nn.Module, inputs: dict[str, Tensor], segments: bool) -> Tensor:
    """The loss, and something of the segmentation, so that its gradient is compared as well."""
    torch.manual_seed(0)  # of dropout
    out = model(**inputs, return_loss=True, output_segmentation=segments)
    return out.loss + (out.segmentation_logits.square().mean() * 1e-3 if segments else 0.0)


@pytest.mark.parametrize("seed", range(50))
def test_training(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gumbel noise in the choice of groups, dropout, batches' own statistics in the heads and what these leave."""
    reference = randomise(transformers.GroupViTModel(random_config(seed)), seed).eval()
    model = both_ways(reference, ours.GroupViTModel, tmp_path, attn_implementation="eager")
    model, reference = model.double().train(), reference.double().train()
    generator = torch.Generator().manual_seed(seed)
    inputs = inputs_of(reference.config, generator, batch=6)
    inputs["pixel_values"] = inputs["pixel_values"].double()
    segments = any(reference.config.vision_config.num_group_tokens)
    drawn: list[int] = []

    def noise(shape: torch.Size) -> Tensor:
        uniform = torch.rand(shape, generator=torch.Generator().manual_seed(len(drawn)), dtype=torch.float64)
        drawn.append(uniform.numel())
        return -(-uniform.log()).log()

    monkeypatch.setattr(grouping, "gumbel_noise", lambda like: noise(like.shape))
    monkeypatch.setattr(torch.distributions.gumbel.Gumbel, "sample", lambda self, shape: noise(shape))
    gradients, outputs, draws = [], [], []
    for m in (model, reference):
        drawn.clear()
        gradients.append(gradients_of(m, lambda m: objective(m, inputs, segments)))
        torch.manual_seed(0)
        outputs.append(m(**inputs, return_loss=True))
        draws.append(list(drawn))
    assert draws[0] == draws[1]
    assert bool(draws[0]) == segments
    compare_gradients(*gradients, HUGGING_FACE)
    compare(*outputs, OUTPUTS, 1e-9)
    mine, theirs = model.state_dict(), reference.state_dict()
    for head in ("text_projection", "visual_projection"):
        for buffer in ("running_mean", "running_var", "num_batches_tracked"):
            close(mine[f"{head}.1.{buffer}"], theirs[f"{head}.1.{buffer}"], 1e-9)
