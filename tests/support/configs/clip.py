"""CLIP."""

import random

import torch
import transformers
from torch import Tensor


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
