"""GroupViT against `transformers`, through files on disk, on 50 random configs whose every parameter and buffer is
random; evaluation and training, the latter with the same Gumbel noise and dropout."""

import random
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

import sightline as ours
from sightline.models.groupvit import grouping
from sightline.models.groupvit.layouts import HUGGING_FACE
from support.parity import both_ways, close, compare, compare_gradients, gradients_of
from support.weights import randomise


def random_config(seed: int) -> transformers.GroupViTConfig:
    pick = random.Random(seed).choice
    vocab = pick([60, 99, 200])
    text_heads, vision_heads = pick([1, 2, 4]), pick([1, 2, 4])
    # Stages: depth, group tokens, output groups. The groups that a next stage's tokens look at are as many as tokens.
    stages = pick(
        [
            [(3, 5, 5)],
            [(1, 6, 2)],  # grouped into fewer than there are group tokens
            [(2, 0, 0)],  # a ViT that pools by the mean
            [(1, 8, 8), (3, 3, 2)],
            [(2, 4, 3), (1, 0, 3)],
            [(1, 0, 0), (2, 5, 4)],
            [(3, 8, 8), (1, 3, 3), (1, 0, 3)],
            [(1, 4, 4), (3, 7, 7), (2, 2, 5)],
            [(1, 6, 2), (1, 0, 0), (1, 3, 3)],
        ]
    )
    depths, tokens, groups = ([stage[i] for stage in stages] for i in range(3))
    return transformers.GroupViTConfig(
        text_config={
            "vocab_size": vocab,
            "hidden_size": text_heads * pick([4, 8, 16]),
            "intermediate_size": pick([16, 37, 64]),
            "num_hidden_layers": pick([1, 2, 3]),
            "num_attention_heads": text_heads,
            "max_position_embeddings": pick([8, 16, 77]),
            "hidden_act": pick(["quick_gelu", "gelu", "gelu_new", "relu", "silu"]),
            "layer_norm_eps": pick([1e-5, 1e-6, 1e-3]),
            "eos_token_id": pick([2, vocab - 1, vocab - 3]),  # 2: pool at the highest id
            "bos_token_id": vocab - 2,
            "pad_token_id": pick([0, 1]),
            "attention_dropout": pick([0.0, 0.3]),
        },
        vision_config={
            "hidden_size": vision_heads * pick([6, 8, 16]),
            "intermediate_size": pick([16, 37, 64]),
            "num_hidden_layers": sum(depths),
            "depths": depths,
            "num_group_tokens": tokens,
            "num_output_groups": groups,
            "num_attention_heads": vision_heads,
            "num_channels": pick([1, 3]),
            "image_size": pick([16, 24, 32]),
            "patch_size": pick([4, 8]),
            "hidden_act": pick(["gelu", "quick_gelu", "gelu_pytorch_tanh"]),
            "layer_norm_eps": pick([1e-5, 1e-6]),
            "assign_eps": pick([1.0, 0.5]),
            "assign_mlp_ratio": pick([[0.5, 4], [1, 2.5]]),
            "dropout": pick([0.0, 0.2]),
            "attention_dropout": pick([0.0, 0.3]),
        },
        projection_dim=pick([8, 12, 32]),
        projection_intermediate_dim=pick([10, 24]),
        logit_scale_init_value=pick([0.0, 2.6592]),
    )


def inputs_of(config: transformers.GroupViTConfig, generator: torch.Generator, batch: int = 4) -> dict[str, Tensor]:
    """Texts of several lengths with their end token, padded on the right, and pictures."""
    text, vision = config.text_config, config.vision_config
    end = text.vocab_size - 1 if text.eos_token_id == 2 else text.eos_token_id
    length = min(12, text.max_position_embeddings)
    ids = torch.zeros(batch, length, dtype=torch.long)
    mask = torch.zeros(batch, length, dtype=torch.long)
    for row in range(batch):
        n = [2, length // 2, length - 1, length][row % 4]
        ids[row, : n - 1] = torch.randint(3, end, (n - 1,), generator=generator)
        ids[row, n - 1] = end
        mask[row, :n] = 1
    pixels = torch.randn(batch, vision.num_channels, vision.image_size, vision.image_size, generator=generator)
    return {"input_ids": ids, "attention_mask": mask, "pixel_values": pixels}


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

    monkeypatch.setattr(grouping, "gumbel", lambda like: noise(like.shape))
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
