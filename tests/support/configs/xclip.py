"""X-CLIP."""

import random
from typing import Any

import torch
import transformers
from torch import Tensor


def random_config(seed: int) -> transformers.XCLIPConfig:
    pick = random.Random(seed).choice
    vocab = pick([60, 99, 200])
    text_heads, vision_heads, mit_heads, prompt_heads = (pick([1, 2, 4]) for _ in range(4))
    projection = pick([8, 16, 32])
    return transformers.XCLIPConfig(
        text_config={
            "vocab_size": vocab,
            "hidden_size": text_heads * pick([4, 8, 16]),
            "intermediate_size": pick([16, 37, 64]),
            "num_hidden_layers": pick([1, 2, 4]),
            "num_attention_heads": text_heads,
            "max_position_embeddings": pick([8, 16, 77]),
            "hidden_act": pick(["quick_gelu", "gelu", "gelu_new", "relu", "silu"]),
            "layer_norm_eps": pick([1e-5, 1e-6, 1e-3]),
            # Pooling is at the highest id whatever stands here.
            "eos_token_id": pick([2, vocab - 1, vocab - 3]),
            "attention_dropout": pick([0.0, 0.2]),
        },
        vision_config={
            "hidden_size": vision_heads * pick([4, 8, 16]),
            "intermediate_size": pick([16, 37, 64]),
            "num_hidden_layers": pick([1, 2, 4]),
            "num_attention_heads": vision_heads,
            "mit_hidden_size": projection,
            "mit_intermediate_size": pick([16, 37]),
            "mit_num_hidden_layers": pick([1, 2]),
            "mit_num_attention_heads": mit_heads,
            "num_frames": pick([1, 2, 3, 8]),
            "num_channels": pick([1, 3]),
            "image_size": pick([16, 24, 30]),
            "patch_size": pick([4, 7, 8]),
            "hidden_act": pick(["quick_gelu", "gelu", "gelu_pytorch_tanh"]),
            "layer_norm_eps": pick([1e-5, 1e-6, 1e-3]),
            "drop_path_rate": pick([0.0, 0.3]),
            "attention_dropout": pick([0.0, 0.2]),
        },
        projection_dim=projection,
        prompt_layers=pick([1, 2, 3]),
        prompt_hidden_act=pick(["quick_gelu", "gelu"]),
        prompt_num_attention_heads=prompt_heads,
        prompt_attention_dropout=pick([0.0, 0.3]),
        prompt_projection_dropout=pick([0.0, 0.1]),
        logit_scale_init_value=pick([0.0, 2.6592]),
    )


def random_inputs(config: Any, seed: int) -> dict[str, Tensor]:
    """Three films, and three texts of several lengths that end in the highest id, padded on the right."""
    generator = torch.Generator().manual_seed(seed)
    vision, text = config.vision_config, config.text_config
    shape = (vision.num_frames, vision.num_channels, vision.image_size, vision.image_size)
    length, end = min(12, text.max_position_embeddings), text.vocab_size - 1
    ids, mask = torch.zeros(3, length, dtype=torch.long), torch.zeros(3, length, dtype=torch.long)
    for row, n in enumerate([2, length // 2, length]):
        ids[row, : n - 1] = torch.randint(3, end, (n - 1,), generator=generator)
        ids[row, n - 1], mask[row, :n] = end, 1
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "pixel_values": torch.randn(3, *shape, generator=generator),
    }
