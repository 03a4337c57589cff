"""GroupViT."""

import random

import torch
import transformers
from torch import Tensor


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
