"""X-CLIP's tensors in Hugging Face's files. Targets are the names in `XCLIPModel`."""

from collections.abc import Mapping

from sightline.checkpoint.rules import Rule, drop, join, move
from sightline.models.layouts import attention, bare, block, linear, text, vision

_BLOCK = "vision_model.encoder.layers.*"
_PROMPT = "prompts_generator.decoder.*"

HUGGING_FACE = (
    move("logit_scale", "logit_scale"),
    move("text_projection.weight", "text_projection.weight"),
    move("visual_projection.weight", "visual_projection.weight"),
    *text("text_model", "text_model"),
    *vision("vision_model", "vision_model"),
    *linear("vision_model.pre_layernorm", "vision_model.pre_layernorm"),
    *linear(f"{_BLOCK}.message_fc", f"{_BLOCK}.message_fc"),
    *linear(f"{_BLOCK}.message_ln", f"{_BLOCK}.message_ln"),
    *attention(f"{_BLOCK}.message_attn", f"{_BLOCK}.message_attn"),
    move("mit.position_embedding", "mit.position_embedding"),
    *block("mit.encoder.layers.*", "mit.encoder.layers.*"),
    *linear("prompts_visual_layernorm", "prompts_visual_layernorm"),
    move("prompts_visual_projection", "prompts_visual_projection"),
    *linear("prompts_generator.layernorm", "prompts_generator.layernorm"),
    move("prompts_generator.alpha", "prompts_generator.alpha"),
    move(f"{_PROMPT}.cross_attn.q_proj.weight", f"{_PROMPT}.cross_attn.q_proj.weight"),
    join(f"{_PROMPT}.cross_attn.{{k,v}}_proj.weight", f"{_PROMPT}.cross_attn.kv.weight"),
    *linear(f"{_PROMPT}.cross_attn.proj", f"{_PROMPT}.cross_attn.proj"),
    *linear(f"{_PROMPT}.norm1", f"{_PROMPT}.norm1"),
    *linear(f"{_PROMPT}.norm3", f"{_PROMPT}.norm3"),
    *linear(f"{_PROMPT}.mlp.0", f"{_PROMPT}.mlp.0"),
    *linear(f"{_PROMPT}.mlp.3", f"{_PROMPT}.mlp.3"),
    drop("text_model.embeddings.position_ids"),
    drop("vision_model.embeddings.position_ids"),
)

# Each marked by a key that no other layout has; a file may hold one tower alone.
_WHOLE: Mapping[str, tuple[Rule, ...]] = {
    "text_model.embeddings.token_embedding.weight": HUGGING_FACE,
    "vision_model.embeddings.class_embedding": HUGGING_FACE,
}
_TEXT = {"embeddings.token_embedding.weight": bare(HUGGING_FACE, "text_model.")}
_VISION = {"embeddings.class_embedding": bare(HUGGING_FACE, "vision_model.")}
# The first is the one that is written. The reference opens a tower by its bare names only.
TABLES = {**_WHOLE, **_TEXT, **_VISION}
TEXT_TABLES = {**_TEXT, **_WHOLE}
VISION_TABLES = {**_VISION, **_WHOLE}
