"""CLIP against `transformers`, through files on disk, on 50 random configs whose every parameter is random."""

import random
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

import sightline as ours
from sightline.models.clip.layouts import HUGGING_FACE
from support.parity import both_ways, close, compare, compare_gradients, gradients_of
from support.weights import randomise


def random_config(seed: int) -> transformers.CLIPConfig:
    pick = random.Random(seed).choice
    vocab = pick([60, 99, 200])
    text_heads, vision_heads = pick([1, 2, 4]), pick([1, 2, 4])
    eos = pick([2, vocab - 1, vocab - 3])  # 2: pool at the highest id
    return transformers.CLIPConfig(
        text_config={
            "vocab_size": vocab,
            "hidden_size": text_heads * pick([4, 8, 16]),
            "intermediate_size": pick([16, 37, 64]),
            "num_hidden_layers": pick([1, 2, 4]),
            "num_attention_heads": text_heads,
            "max_position_embeddings": pick([8, 16, 77]),
            "hidden_act": pick(["quick_gelu", "gelu", "gelu_new", "relu", "silu"]),
            "layer_norm_eps": pick([1e-5, 1e-6, 1e-3]),
            "eos_token_id": eos,
            "bos_token_id": vocab - 2,
            "pad_token_id": pick([0, 1]),
        },
        vision_config={
            "hidden_size": vision_heads * pick([4, 8, 16]),
            "intermediate_size": pick([16, 37, 64]),
            "num_hidden_layers": pick([1, 2, 4]),
            "num_attention_heads": vision_heads,
            "num_channels": pick([1, 3]),
            "image_size": pick([16, 24, 30]),
            "patch_size": pick([4, 7, 8]),
            "hidden_act": pick(["quick_gelu", "gelu", "gelu_pytorch_tanh"]),
            "layer_norm_eps": pick([1e-5, 1e-6]),
        },
        projection_dim=pick([8, 12, 32]),
        logit_scale_init_value=pick([0.0, 2.6592]),
    )


def tokens(config: transformers.CLIPConfig, padding: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Texts of several lengths with their end token, padded on the right with `padding`."""
    text = config.text_config
    end = text.vocab_size - 1 if text.eos_token_id == 2 else text.eos_token_id
    length = min(12, text.max_position_embeddings)
    ids = torch.full((4, length), padding)
    mask = torch.zeros(4, length, dtype=torch.long)
    for row, n in enumerate([2, length // 2, length - 1, length]):
        ids[row, : n - 1] = torch.randint(3, end, (n - 1,), generator=generator)
        ids[row, n - 1] = end
        mask[row, :n] = 1
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("seed", range(50))
def test_parity(seed: int, tmp_path: Path) -> None:
    config = random_config(seed)
    implementation = ["sdpa", "eager"][seed % 2]
    reference = randomise(transformers.CLIPModel(config), seed).eval()
    model = both_ways(reference, ours.CLIPModel, tmp_path, attn_implementation=implementation)
    reference.set_attn_implementation("eager")

    generator = torch.Generator().manual_seed(seed)
    vision = config.vision_config
    pixels = torch.randn(4, vision.num_channels, vision.image_size, vision.image_size, generator=generator)
    ends = [
        0,
        config.text_config.vocab_size - 1 if config.text_config.eos_token_id == 2 else config.text_config.eos_token_id,
    ]
    outputs = ["loss", "logits_per_image", "logits_per_text", "text_embeds", "image_embeds"]
    for padding in ends:
        inputs = tokens(config, padding, generator) | {"pixel_values": pixels}
        want = {"output_hidden_states": True, "output_attentions": True}
        with torch.no_grad():
            a, b = model(**inputs, return_loss=True, **want), reference(**inputs, return_loss=True, **want)
            compare(a, b, outputs)
            for tower in ("text_model_output", "vision_model_output"):
                compare(
                    getattr(a, tower),
                    getattr(b, tower),
                    ["last_hidden_state", "pooler_output", "hidden_states", "attentions"],
                )
            # Causal attention: without a mask the pooled text is the same, so an encoder needs none.
            unmasked = model.get_text_features(inputs["input_ids"]).pooler_output
            close(
                unmasked,
                reference.get_text_features(**{k: inputs[k] for k in ("input_ids", "attention_mask")}).pooler_output,
            )
            other = torch.randn(
                2, vision.num_channels, vision.image_size + 9, vision.image_size + 2, generator=generator
            )
            close(
                model.get_image_features(other, interpolate_pos_encoding=True).pooler_output,
                reference.get_image_features(other, interpolate_pos_encoding=True).pooler_output,
            )

    model, reference = model.double(), reference.double()
    reference.set_attn_implementation("sdpa")  # its eager softmax is computed in float32, whatever it is given
    inputs = tokens(config, ends[1], generator) | {"pixel_values": pixels.double()}
    gradients = [gradients_of(m, lambda m: m(**inputs, return_loss=True).loss) for m in (model, reference)]
    compare_gradients(*gradients, HUGGING_FACE)
