"""Each family's model in a few thousand numbers, all at random, and batches for it."""

from dataclasses import replace

import torch

from sightline.models import FAMILIES as MODELS
from sightline.models.groupvit.grouping import GroupViTAssignAttention
from sightline.train.batch import Batch
from sightline.train.step import freeze_batch_norms
from support.models import inputs
from support.weights import randomise

FAMILIES = "clip", "align", "groupvit", "xclip"
TEXT = {
    "vocab_size": 300,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 12,
    "eos_token_id": 4,
}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}
ALIGN = {
    "hidden_dim": 32,
    "image_size": 32,
    "in_channels": [32, 64],
    "out_channels": [64, 64],
    "kernel_sizes": [3, 3],
    "strides": [2, 2],
    "num_block_repeats": [1, 2],
    "expand_ratios": [1, 2],
    "width_coefficient": 0.5,
    "depthwise_padding": [],
}
GROUPVIT = {
    "depths": [1, 1],
    "patch_size": 4,
    "num_group_tokens": [4, 0],
    "num_output_groups": [4, 0],
}
XCLIP = {
    "num_frames": 3,
    "mit_hidden_size": 16,
    "mit_intermediate_size": 32,
    "mit_num_attention_heads": 2,
    "mit_num_hidden_layers": 1,
}


def config(family, drop):
    """With everything that drops in training dropping `drop` of it."""
    text, vision, more = TEXT | {"attention_dropout": drop}, VISION | {"attention_dropout": drop}, {}
    if family == "align":
        text = {name: value for name, value in text.items() if name not in ("eos_token_id", "attention_dropout")}
        text |= {"hidden_dropout_prob": drop, "attention_probs_dropout_prob": drop}
        vision = ALIGN | {"drop_connect_rate": drop}
    if family == "groupvit":
        vision, more = vision | GROUPVIT, {"projection_intermediate_dim": 24}
    if family == "xclip":
        vision = vision | XCLIP | {"drop_path_rate": drop}
        more = {
            "prompt_layers": 1,
            "prompt_num_attention_heads": 2,
            "prompt_attention_dropout": drop,
            "prompt_projection_dropout": drop,
        }
    width = 32 if family == "align" else 16
    return MODELS[family].config(text_config=text, vision_config=vision, projection_dim=width, **more)


def model(family, drop=0.0, dtype=torch.float64):
    """In training mode, but for ALIGN's batch norms, which are frozen, and GroupViT's noise if nothing is to drop."""
    found = randomise(MODELS[family].model(config(family, drop)), 3).to(dtype).train()
    freeze_batch_norms(found)
    for module in found.modules():
        if isinstance(module, GroupViTAssignAttention) and not drop:
            module.eval()
    return found


def batch(model, owner, seed):
    """Random pictures and texts, so many as `owner` (T,) tells."""
    torch.manual_seed(seed)
    pixels, ids, mask = inputs(model, len(owner))
    return Batch(pixels[: max(owner) + 1].to(model.dtype), ids, mask, torch.tensor(list(owner)))


def with_equal_captions(batch):
    """The same batch, texts 4 and 7 equal to text 1, and the last to text 3."""
    order = torch.arange(len(batch.owner))
    order[[4, 7]], order[-1] = 1, 3
    return replace(batch, input_ids=batch.input_ids[order], attention_mask=batch.attention_mask[order])
