"""ALIGN."""

import random

import torch
import transformers
from torch import Tensor
from transformers.models.align.modeling_align import round_filters


def random_config(seed: int) -> transformers.AlignConfig:
    rng = random.Random(seed)
    pick = rng.choice
    heads, stages = pick([1, 2, 4]), pick([1, 2, 3])
    widths = [pick([8, 16, 24, 40]) for _ in range(stages + 1)]
    vision = transformers.AlignVisionConfig(
        num_channels=pick([1, 3]),
        image_size=pick([33, 64]),
        width_coefficient=pick([0.3, 0.5, 1.0, 1.1]),
        depth_coefficient=pick([1.0, 1.2, 2.1]),
        depth_divisor=pick([4, 8]),
        kernel_sizes=[pick([1, 3, 5]) for _ in range(stages)],
        in_channels=[32, *widths[1:-1]] if stages > 1 else [32],
        out_channels=widths[1:],
        depthwise_padding=rng.sample(range(6), pick([0, 2, 4])),
        strides=[pick([1, 2]) for _ in range(stages)],
        num_block_repeats=[pick([1, 2]) for _ in range(stages)],
        expand_ratios=[pick([1, 2, 6]) for _ in range(stages)],
        squeeze_expansion_ratio=pick([0.05, 0.25, 0.5]),
        hidden_act=pick(["swish", "gelu", "relu", "quick_gelu"]),
        hidden_dim=pick([64, 100]),
        pooling_type=pick(["mean", "max"]),
        batch_norm_eps=pick([1e-3, 1e-5]),
        batch_norm_momentum=pick([0.99, 0.1, 0.01]),
        drop_connect_rate=pick([0.0, 0.2, 0.8]),
    )
    text = {
        "vocab_size": pick([60, 99]),
        "hidden_size": heads * pick([4, 8, 16]),
        "num_hidden_layers": pick([1, 2, 4]),
        "num_attention_heads": heads,
        "intermediate_size": pick([16, 37, 64]),
        "hidden_act": pick(["gelu", "quick_gelu", "gelu_new", "relu"]),
        "hidden_dropout_prob": pick([0.0, 0.1, 0.5]),
        "attention_probs_dropout_prob": pick([0.0, 0.1]),
        "max_position_embeddings": pick([12, 16, 64]),
        "type_vocab_size": pick([1, 2, 3]),
        "layer_norm_eps": pick([1e-12, 1e-5]),
        "pad_token_id": pick([0, 1, None]),
    }
    width = round_filters(vision, vision.out_channels[-1])
    return transformers.AlignConfig(
        text_config=text, vision_config=vision, projection_dim=width, temperature_init_value=pick([1.0, 0.07])
    )


def random_inputs(config: transformers.AlignConfig, seed: int) -> dict[str, Tensor]:
    """Texts of several lengths, some with token types or places of their own, and pictures of any size."""
    generator, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    text, length = config.text_config, 10
    ids = torch.randint(2, text.vocab_size, (4, length), generator=generator)
    mask = (torch.arange(length) < torch.tensor([[2], [5], [9], [length]])).long()
    ids[mask == 0] = text.pad_token_id or 0
    size = [rng.choice([32, 33, 41, 50]) for _ in range(2)]
    pixels = torch.randn(4, config.vision_config.num_channels, *size, generator=generator)
    inputs = {"input_ids": ids, "attention_mask": mask, "pixel_values": pixels}
    if rng.random() < 0.5:
        inputs["token_type_ids"] = torch.randint(0, text.type_vocab_size, ids.shape, generator=generator)
    if rng.random() < 0.5:
        inputs["position_ids"] = torch.randint(0, text.max_position_embeddings, ids.shape, generator=generator)
    return inputs
