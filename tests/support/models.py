"""The packaged models by family, and inputs for a model of any family."""

import torch

PACKAGED = {"clip": "mini", "align": "mini-align", "groupvit": "mini-groupvit", "xclip": "mini-xclip"}


def inputs(model, n):
    """Random images or videos (float64), and texts of several lengths with their mask, for a model of any family."""
    config = model.config
    frames = (config.vision_config.num_frames,) if config.model_type == "xclip" else ()
    size = config.vision_config.image_size
    pixels = torch.randn(n, *frames, 3, size, size, dtype=torch.float64)
    text = config.text_config
    ids = torch.randint(5, 300, (n, 9))
    ids[:, 0], mask = 2, torch.ones_like(ids)
    for row, length in zip(range(n), (9, 4, 7, 5, 9), strict=False):
        if text.model_type == "align_text_model":
            ids[row, length:], mask[row, length:] = text.pad_token_id, 0
        else:
            ids[row, length - 1 :] = text.eos_token_id
            mask[row, length:] = 0
    return pixels, ids, mask
