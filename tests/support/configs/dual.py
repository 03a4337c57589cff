"""Two towers of one's choice: BERT, RoBERTa or CLIP's text tower beside CLIP's vision tower."""

import random

import torch
import transformers
from torch import Tensor


def random_text(kind: str, pick) -> transformers.PreTrainedConfig:
    heads, vocab = pick([1, 2, 4]), pick([60, 99])
    shape = {
        "vocab_size": vocab,
        "hidden_size": heads * pick([4, 8, 16]),
        "num_hidden_layers": pick([1, 2, 4]),
        "num_attention_heads": heads,
        "intermediate_size": pick([16, 37, 64]),
        "hidden_act": pick(["gelu", "quick_gelu", "gelu_new", "relu"]),
        "layer_norm_eps": pick([1e-12, 1e-5]),
        "max_position_embeddings": pick([14, 20, 64]),
    }
    if kind == "clip":
        return transformers.CLIPTextConfig(**shape, eos_token_id=vocab - 1, bos_token_id=vocab - 2, pad_token_id=1)
    dropout = {"hidden_dropout_prob": pick([0.0, 0.1, 0.5]), "attention_probs_dropout_prob": pick([0.0, 0.1])}
    types = {"type_vocab_size": pick([1, 2, 3])}
    if kind == "bert":
        return transformers.BertConfig(**shape, **dropout, **types, pad_token_id=pick([0, 1, None]))
    return transformers.RobertaConfig(**shape, **dropout, **types, pad_token_id=pick([0, 1, 3]))


def random_config(seed: int) -> transformers.VisionTextDualEncoderConfig:
    pick = random.Random(seed).choice
    text, heads = random_text(["bert", "roberta", "clip"][seed % 5 // 2], pick), pick([1, 2, 4])
    vision = transformers.CLIPVisionConfig(
        hidden_size=heads * pick([4, 8, 16]),
        intermediate_size=pick([16, 37, 64]),
        num_hidden_layers=pick([1, 2, 4]),
        num_attention_heads=heads,
        num_channels=pick([1, 3]),
        image_size=pick([16, 24, 30]),
        patch_size=pick([4, 7, 8]),
        hidden_act=pick(["quick_gelu", "gelu", "gelu_pytorch_tanh"]),
        layer_norm_eps=pick([1e-5, 1e-6]),
        attention_dropout=pick([0.0, 0.2]),
    )
    return transformers.VisionTextDualEncoderConfig.from_vision_text_configs(
        vision, text, projection_dim=pick([8, 12, 32]), logit_scale_init_value=pick([0.0, 2.6592])
    )


def random_inputs(config, seed: int) -> dict[str, Tensor]:
    """Texts of several lengths, padded, some with token types or places of their own, and pictures."""
    generator, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    text, vision, length = config.text_config, config.vision_config, 10
    ids = torch.randint(4, text.vocab_size - 2, (4, length), generator=generator)
    lengths = torch.tensor([[2], [5], [9], [length]])
    mask = (torch.arange(length) < lengths).long()
    ids[mask == 0] = text.pad_token_id or 0
    clip = text.model_type == "clip_text_model"
    if clip:
        ids[range(4), lengths[:, 0] - 1] = text.eos_token_id
    size = vision.image_size
    pixels = torch.randn(4, vision.num_channels, size, size, generator=generator)
    inputs = {"input_ids": ids, "attention_mask": mask, "pixel_values": pixels}
    if rng.random() < 0.5 and not clip:
        inputs["token_type_ids"] = torch.randint(0, text.type_vocab_size, ids.shape, generator=generator)
    if rng.random() < 0.5:
        inputs["position_ids"] = torch.randint(0, text.max_position_embeddings, ids.shape, generator=generator)
    return inputs
