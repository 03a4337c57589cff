"""open_clip's config in our terms."""

from collections.abc import Mapping
from typing import Any

from sightline.errors import CheckpointError


def from_open_clip(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The `model_cfg` of open_clip's `open_clip_config.json` as the dictionary that `CLIPConfig.from_dict` reads.

    Raises `CheckpointError` naming the first setting that stands for an architecture other than CLIP's own.
    """
    try:
        vision, text = dict(cfg.get("vision_cfg") or {}), dict(cfg.get("text_cfg") or {})
        dim = cfg["embed_dim"]
        vision_width, text_width = vision.pop("width"), text.pop("width")
        vision_shape = {
            "image_size": vision.pop("image_size"),
            "patch_size": vision.pop("patch_size"),
            "num_hidden_layers": vision.pop("layers"),
            "num_attention_heads": vision_width // vision.pop("head_width", 64),
            "intermediate_size": int(vision_width * vision.pop("mlp_ratio", 4)),
        }
        text_shape = {
            "vocab_size": text.pop("vocab_size", 49408),
            "max_position_embeddings": text.pop("context_length", 77),
            "num_attention_heads": text.pop("heads"),
            "num_hidden_layers": text.pop("layers"),
            "intermediate_size": int(text_width * text.pop("mlp_ratio", 4)),
        }
    except KeyError as error:
        raise CheckpointError(f"open_clip config: has no {error} for its towers; only its ViTs can be opened") from None
    except (AttributeError, TypeError, ValueError, ArithmeticError) as error:
        raise CheckpointError(f"open_clip config: its towers make no sense ({error})") from None
    known = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "init_logit_scale", "custom_text"}
    rest = {key: value for key, value in cfg.items() if key not in known}
    for place, left in (("model_cfg", rest), ("vision_cfg", vision), ("text_cfg", text)):
        for key, value in left.items():
            if value not in (None, False, *_OPEN_CLIP_NEUTRAL.get(key, ())):
                raise CheckpointError(
                    f"open_clip config: {place} sets {key} to {value!r}, which is another architecture"
                )
    act = {"hidden_act": "quick_gelu" if cfg.get("quick_gelu") else "gelu"}
    # 2 is the convention for pooling at the highest id, as open_clip does.
    tokens = {"pad_token_id": 0, "eos_token_id": 2}
    return {
        "text_config": {"hidden_size": text_width, **text_shape, **act, **tokens},
        "vision_config": {"hidden_size": vision_width, **vision_shape, **act},
        "projection_dim": dim,
    }


# Settings that change nothing at these values, or only in training.
_OPEN_CLIP_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "pool_type": ("tok", "argmax"),
    "attentional_pool": (False,),
    "patch_dropout": (0, 0.0),
    "final_ln_after_pool": (False,),
    "proj_type": ("linear",),
    "no_causal_mask": (False,),
    "pad_id": (0,),
    "pos_embed_type": ("learnable",),
}
