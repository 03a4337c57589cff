"""Checkpoints of random weights."""

import shutil
from pathlib import Path

import torch

from sightline import GroupViTConfig, GroupViTModel
from sightline.checkpoint.names import PACKAGED
from sightline.models.clip.config import CLIPConfig
from support.weights import randomise


def groupvit_checkpoint(folder: Path) -> Path:
    """A GroupViT with the tokenizer of the packaged CLIP: two stages over 8 x 8 patches of pictures of 64 pixels."""
    text = CLIPConfig.from_folder(PACKAGED / "mini").text_config
    config = GroupViTConfig(
        text_config={
            "vocab_size": text.vocab_size,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": text.max_position_embeddings,
            "eos_token_id": text.eos_token_id,
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 48,
            "depths": [1, 1],
            "num_hidden_layers": 2,
            "num_group_tokens": [8, 5],
            "num_output_groups": [8, 5],
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 8,
        },
        projection_dim=16,
        projection_intermediate_dim=24,
    )
    model = randomise(GroupViTModel(config), 8)
    with torch.no_grad():
        for head in (model.text_projection, model.visual_projection):
            head[3].bias.zero_()
        for stage in model.vision_model.encoder.stages:  # groups that differ more than random ones do
            stage.group_token *= 3
            stage.downsample.assign.q_proj.weight *= 5
        model.logit_scale.fill_(2.0)
    model.save_pretrained(folder)
    for file in (PACKAGED / "mini").iterdir():
        if file.suffix in (".json", ".txt") and file.name != "config.json":
            shutil.copy(file, folder)
    return folder
