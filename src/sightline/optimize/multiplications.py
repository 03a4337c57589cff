"""The multiplications of a model's towers, counted by torch's own rules on tensors without numbers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sightline.models.pairs import PairModel
from sightline.optimize.profile_work import Counting


def features(model: PairModel, tower: str, **inputs: Tensor) -> Tensor:
    """A tower's embeddings (B, P), not of unit length, by the functions that scripts call: `inputs` are theirs."""
    calls = {"text": "get_text_features", "image": "get_image_features"}
    call = "get_video_features" if tower == "image" and hasattr(model, "get_video_features") else calls[tower]
    found: Tensor = getattr(model, call)(**inputs, return_dict=True).pooler_output
    return found


def multiplications(kind: type[PairModel], config: Any, tower: str, shape: Sequence[int]) -> int:
    """Those of one image, video or text in a model of this class and config. `shape` is the input's, without the batch:
    (C, H, W), (F, C, H, W) or (L,).

    All tokens count, as where all states are asked for. For embeddings Sightline computes of the last block only what
    is pooled, in the whole model as in a pruned one.
    """
    with torch.device("meta"):
        bare = kind(config).eval()
        names = ("input_ids", "attention_mask") if tower == "text" else ("pixel_values",)
        dtype = torch.long if tower == "text" else torch.float32
        inputs = {name: torch.zeros((1, *shape), dtype=dtype) for name in names}
    counting = Counting()
    with torch.no_grad(), counting:
        features(bare, tower, **inputs)
    return counting.multiplications
