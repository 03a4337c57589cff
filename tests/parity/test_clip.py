"""CLIP against `transformers`, through files on disk, on 50 random configs whose every parameter is random."""

from pathlib import Path

import pytest
import torch
import transformers

import sightline as ours
from sightline.models.clip.layouts import HUGGING_FACE
from support.configs.clip import random_config, tokens
from support.parity import both_ways, close, compare, compare_gradients, gradients_of
from support.weights import randomise

pytestmark = pytest.mark.parity


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
