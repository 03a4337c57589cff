"""CLIP's tensors in the layouts of files that are in use.

Targets are the names in `CLIPModel`. One table a layout; each runs both ways.
"""

from collections.abc import Mapping

from sightline.checkpoint.rules import Rule, drop, move, transpose
from sightline.models.layouts import bare, linear, text, vision

HUGGING_FACE = (
    move("logit_scale", "logit_scale"),
    move("text_projection.weight", "text_projection.weight"),
    move("visual_projection.weight", "visual_projection.weight"),
    *text("text_model", "text_model"),
    *vision("vision_model", "vision_model"),
    *linear("vision_model.pre_layrnorm", "vision_model.pre_layrnorm"),  # the reference's spelling
    drop("text_model.embeddings.position_ids"),
    drop("vision_model.embeddings.position_ids"),
)


def _openai_blocks(source: str, target: str) -> list[Rule]:
    s, t = f"{source}transformer.resblocks.*", f"{target}.encoder.layers.*"
    rules = [*linear(f"{s}.ln_1", f"{t}.layer_norm1"), *linear(f"{s}.ln_2", f"{t}.layer_norm2")]
    for kind in ("weight", "bias"):
        rules += [
            move(f"{s}.attn.in_proj_{kind}", f"{t}.self_attn.qkv.{kind}"),
            move(f"{s}.attn.out_proj.{kind}", f"{t}.self_attn.out_proj.{kind}"),
            move(f"{s}.mlp.c_fc.{kind}", f"{t}.mlp.fc1.{kind}"),
            move(f"{s}.mlp.c_proj.{kind}", f"{t}.mlp.fc2.{kind}"),
        ]
    return rules


def _openai(tower: str) -> tuple[Rule, ...]:
    """OpenAI's names; `tower` stands before those of the text tower."""
    return (
        move("logit_scale", "logit_scale"),
        transpose(f"{tower}text_projection", "text_projection.weight"),
        transpose("visual.proj", "visual_projection.weight"),
        move(f"{tower}token_embedding.weight", "text_model.embeddings.token_embedding.weight"),
        move(f"{tower}positional_embedding", "text_model.embeddings.position_embedding.weight"),
        *_openai_blocks(tower, "text_model"),
        *linear(f"{tower}ln_final", "text_model.final_layer_norm"),
        move("visual.class_embedding", "vision_model.embeddings.class_embedding"),
        move("visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"),
        move("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
        *linear("visual.ln_pre", "vision_model.pre_layrnorm"),
        *_openai_blocks("visual.", "vision_model"),
        *linear("visual.ln_post", "vision_model.post_layernorm"),
        *(drop(name) for name in ("input_resolution", "context_length", "vocab_size", f"{tower}attn_mask")),
    )


OPENAI = _openai("")
OPEN_CLIP_CUSTOM_TEXT = _openai("text.")


# Each marked by keys that no other layout has; one of a tower's suffices, as a file may hold one tower alone.
TABLES: Mapping[str, tuple[Rule, ...]] = {
    "text_model.embeddings.token_embedding.weight": HUGGING_FACE,
    "vision_model.embeddings.class_embedding": HUGGING_FACE,
    "embeddings.token_embedding.weight": bare(HUGGING_FACE, "text_model."),
    "embeddings.class_embedding": bare(HUGGING_FACE, "vision_model."),
    "text.token_embedding.weight": OPEN_CLIP_CUSTOM_TEXT,
    "token_embedding.weight": OPENAI,
    "visual.class_embedding": OPENAI,
}
CLASSIFIER_TABLES: Mapping[str, tuple[Rule, ...]] = {
    "classifier.weight": (*HUGGING_FACE, *linear("classifier", "classifier")),
    **TABLES,
}
