"""CLIP's tensors in the layouts of files that are in use, and open_clip's config.

Targets are the names in `CLIPModel`. One table a layout; each runs both ways.
"""

from collections.abc import Mapping
from typing import Any

from sightline.checkpoint.rules import Rule, drop, join, move, transpose
from sightline.errors import CheckpointError


def _norm(source: str, target: str) -> list[Rule]:
    return [move(f"{source}.{kind}", f"{target}.{kind}") for kind in ("weight", "bias")]


def _hugging_face_blocks(source: str, target: str) -> list[Rule]:
    s, t = f"{source}.encoder.layers.*", f"{target}.transformer.blocks.*"
    rules = [*_norm(f"{s}.layer_norm1", f"{t}.norm1"), *_norm(f"{s}.layer_norm2", f"{t}.norm2")]
    for kind in ("weight", "bias"):
        rules += [
            join(f"{s}.self_attn.{{q,k,v}}_proj.{kind}", f"{t}.attention.qkv.{kind}"),
            move(f"{s}.self_attn.out_proj.{kind}", f"{t}.attention.out.{kind}"),
            move(f"{s}.mlp.fc1.{kind}", f"{t}.mlp.fc1.{kind}"),
            move(f"{s}.mlp.fc2.{kind}", f"{t}.mlp.fc2.{kind}"),
        ]
    return rules


HUGGING_FACE = (
    move("logit_scale", "logit_scale"),
    move("text_projection.weight", "text_projection.weight"),
    move("visual_projection.weight", "visual_projection.weight"),
    move("text_model.embeddings.token_embedding.weight", "text_model.token_embedding.weight"),
    move("text_model.embeddings.position_embedding.weight", "text_model.position_embedding"),
    *_hugging_face_blocks("text_model", "text_model"),
    *_norm("text_model.final_layer_norm", "text_model.final_norm"),
    move("vision_model.embeddings.class_embedding", "vision_model.class_embedding"),
    move("vision_model.embeddings.patch_embedding.weight", "vision_model.patch_embedding.weight"),
    move("vision_model.embeddings.position_embedding.weight", "vision_model.position_embedding"),
    *_norm("vision_model.pre_layrnorm", "vision_model.pre_norm"),  # the reference's spelling
    *_hugging_face_blocks("vision_model", "vision_model"),
    *_norm("vision_model.post_layernorm", "vision_model.post_norm"),
    drop("text_model.embeddings.position_ids"),
    drop("vision_model.embeddings.position_ids"),
)


def _openai_blocks(source: str, target: str) -> list[Rule]:
    s, t = f"{source}transformer.resblocks.*", f"{target}.transformer.blocks.*"
    rules = [*_norm(f"{s}.ln_1", f"{t}.norm1"), *_norm(f"{s}.ln_2", f"{t}.norm2")]
    for kind in ("weight", "bias"):
        rules += [
            move(f"{s}.attn.in_proj_{kind}", f"{t}.attention.qkv.{kind}"),
            move(f"{s}.attn.out_proj.{kind}", f"{t}.attention.out.{kind}"),
            move(f"{s}.mlp.c_fc.{kind}", f"{t}.mlp.fc1.{kind}"),
            move(f"{s}.mlp.c_proj.{kind}", f"{t}.mlp.fc2.{kind}"),
        ]
    return rules


def _openai(text: str) -> tuple[Rule, ...]:
    """OpenAI's names; `text` stands before those of the text tower."""
    return (
        move("logit_scale", "logit_scale"),
        transpose(f"{text}text_projection", "text_projection.weight"),
        transpose("visual.proj", "visual_projection.weight"),
        move(f"{text}token_embedding.weight", "text_model.token_embedding.weight"),
        move(f"{text}positional_embedding", "text_model.position_embedding"),
        *_openai_blocks(text, "text_model"),
        *_norm(f"{text}ln_final", "text_model.final_norm"),
        move("visual.class_embedding", "vision_model.class_embedding"),
        move("visual.conv1.weight", "vision_model.patch_embedding.weight"),
        move("visual.positional_embedding", "vision_model.position_embedding"),
        *_norm("visual.ln_pre", "vision_model.pre_norm"),
        *_openai_blocks("visual.", "vision_model"),
        *_norm("visual.ln_post", "vision_model.post_norm"),
        *(drop(name) for name in ("input_resolution", "context_length", "vocab_size", f"{text}attn_mask")),
    )


OPENAI = _openai("")
OPEN_CLIP_CUSTOM_TEXT = _openai("text.")


def _bare(tower: str) -> tuple[Rule, ...]:
    """A tower saved alone by the reference since release 5: names without the prefix that they have in the whole."""
    return tuple(
        Rule(tuple(source.removeprefix(tower) for source in rule.sources), rule.target, rule.transposed)
        for rule in HUGGING_FACE
        if rule.sources[0].startswith(tower)
    )


# Each marked by keys that no other layout has; one of a tower's suffices, as a file may hold one tower alone.
TABLES: Mapping[str, tuple[Rule, ...]] = {
    "text_model.embeddings.token_embedding.weight": HUGGING_FACE,
    "vision_model.embeddings.class_embedding": HUGGING_FACE,
    "embeddings.token_embedding.weight": _bare("text_model."),
    "embeddings.class_embedding": _bare("vision_model."),
    "text.token_embedding.weight": OPEN_CLIP_CUSTOM_TEXT,
    "token_embedding.weight": OPENAI,
    "visual.class_embedding": OPENAI,
}


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
