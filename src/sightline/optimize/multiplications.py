"""The multiplications of a model's towers, counted by torch's own rules on tensors without numbers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from sightline.models.pairs import PairModel


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the multiplications of products and convolutions, each with the addition after it."""

    count: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if (flops := flop_registry.get(func._overloadpacket)) is not None:
            self.count += flops(*args, **(kwargs or {}), out_val=out) // 2  # a sum counts beside each product
        return out


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
    with torch.no_grad(), _Counting() as counting:  # type: ignore[no-untyped-call]
        features(bare, tower, **inputs)
    return int(counting.count)
