"""GroupViT's tensors in the Hub's files. Targets are the names in `GroupViTModel`."""

from collections.abc import Mapping

from sightline.checkpoint.rules import Rule, drop, join, move
from sightline.models.layouts import block, linear, text


def _stage(source: str, target: str) -> list[Rule]:
    grouping, new = f"{source}.downsample", f"{target}.downsample"
    attention, attend = f"{grouping}.pre_assign_attn", f"{new}.pre_assign_attn"
    rules = [
        move(f"{source}.group_token", f"{target}.group_token"),
        *block(f"{source}.layers.*", f"{target}.layers.*"),
        *linear(f"{attention}.attn.q_proj", f"{attend}.attn.q_proj"),
        *linear(f"{attention}.attn.out_proj", f"{attend}.attn.out_proj"),
    ]
    for kind in ("weight", "bias"):
        rules.append(join(f"{attention}.attn.{{k,v}}_proj.{kind}", f"{attend}.attn.kv.{kind}"))
        rules.append(join(f"{grouping}.assign.{{k,v}}_proj.{kind}", f"{new}.assign.kv.{kind}"))
    for same in ("norm2", "mlp.fc1", "mlp.fc2", "norm_post"):
        rules += linear(f"{attention}.{same}", f"{attend}.{same}")
    for same in ("0", "1.fc1", "1.fc2"):
        rules += linear(f"{source}.group_projector.{same}", f"{target}.group_projector.{same}")
    for same in ("norm_tokens", "norm_post_tokens", "norm_x", "norm_new_x", "assign.q_proj", "assign.proj"):
        rules += linear(f"{grouping}.{same}", f"{new}.{same}")
    for same in ("mlp_inter.fc1", "mlp_inter.fc2", "mlp_channels.fc1", "mlp_channels.fc2"):
        rules += linear(f"{grouping}.{same}", f"{new}.{same}")
    return rules


def _head(name: str) -> list[Rule]:
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    return [*linear(f"{name}.*", f"{name}.*"), *(move(f"{name}.1.{kind}", f"{name}.1.{kind}") for kind in buffers)]


_PATCHES = "vision_model.embeddings.patch_embeddings.projection"
HUGGING_FACE = (
    move("logit_scale", "logit_scale"),
    *_head("text_projection"),
    *_head("visual_projection"),
    *text("text_model", "text_model"),
    *linear(_PATCHES, _PATCHES),
    move("vision_model.embeddings.position_embeddings", "vision_model.embeddings.position_embeddings"),
    *linear("vision_model.embeddings.layernorm", "vision_model.embeddings.layernorm"),
    *_stage("vision_model.encoder.stages.*", "vision_model.encoder.stages.*"),
    *linear("vision_model.layernorm", "vision_model.layernorm"),
    drop("text_model.embeddings.position_ids"),
    drop("multi_label_logit_scale"),  # of the authors' second loss
)

TABLES: Mapping[str, tuple[Rule, ...]] = {
    "text_model.embeddings.token_embedding.weight": HUGGING_FACE,
    "vision_model.embeddings.position_embeddings": HUGGING_FACE,
}
