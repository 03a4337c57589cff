"""The tensors of any two towers in Hugging Face's files, and those of BERT's files."""

from collections.abc import Collection, Mapping

from sightline.checkpoint.rules import Rule, drop, move
from sightline.models.layouts import bert, linear, text, vision

_HEAD = tuple(move(name, name) for name in ("logit_scale", "text_projection.weight", "visual_projection.weight"))


def _clip_text(source: str) -> tuple[Rule, ...]:
    return (*text(source, "text_model"), drop(f"{source}.embeddings.position_ids"))


def _clip_vision(source: str) -> tuple[Rule, ...]:
    return (
        *vision(source, "vision_model"),
        *linear(f"{source}.pre_layrnorm", "vision_model.pre_layrnorm"),  # the reference's spelling
        drop(f"{source}.embeddings.position_ids"),
    )


# By a key that tells the tower's layout. Before its release 5 the reference had CLIP's towers under two names.
_TEXTS = {
    "text_model.embeddings.word_embeddings.weight": tuple(bert("text_model.", "text_model.")),
    "text_model.embeddings.token_embedding.weight": _clip_text("text_model"),
    "text_model.text_model.embeddings.token_embedding.weight": _clip_text("text_model.text_model"),
}
_IMAGES = {
    "vision_model.embeddings.class_embedding": _clip_vision("vision_model"),
    "vision_model.vision_model.embeddings.class_embedding": _clip_vision("vision_model.vision_model"),
}
_BY_KIND = {
    "bert": "text_model.embeddings.word_embeddings.weight",
    "roberta": "text_model.embeddings.word_embeddings.weight",
    "clip_text_model": "text_model.embeddings.token_embedding.weight",
    "clip_vision_model": "vision_model.embeddings.class_embedding",
}


def table_of(keys: Collection[str]) -> tuple[Rule, ...] | None:
    """The table for a file with these tensors; None for an unknown layout."""
    texts, images = (next((layouts[key] for key in layouts if key in keys), None) for layouts in (_TEXTS, _IMAGES))
    return None if texts is None or images is None else (*_HEAD, *texts, *images)


def table_for(*kinds: str) -> tuple[Rule, ...]:
    """The table by which two towers of these `model_type`s are saved."""
    table = table_of([_BY_KIND[kind] for kind in kinds])
    assert table is not None
    return table


# The heads of the models that BERTs were trained in, which are not part of the tower.
_HEADS = (
    *(f"cls.predictions.{name}" for name in ("bias", "decoder.weight", "decoder.bias")),
    *(f"cls.predictions.transform.dense.{kind}" for kind in ("weight", "bias")),
    *(f"cls.predictions.transform.LayerNorm.{kind}" for kind in ("weight", "bias", "gamma", "beta")),
    *(f"cls.seq_relationship.{kind}" for kind in ("weight", "bias")),
    *(f"lm_head.{name}.{kind}" for name in ("dense", "layer_norm", "decoder") for kind in ("weight", "bias")),
    "lm_head.bias",
    *(f"{name}.{kind}" for name in ("classifier", "qa_outputs") for kind in ("weight", "bias")),
    *(f"classifier.{name}.{kind}" for name in ("dense", "out_proj") for kind in ("weight", "bias")),
)

# The norms' tensors were called gamma and beta in the first files.
BERT_TABLES: Mapping[str, tuple[Rule, ...]] = {
    f"{prefix}embeddings.LayerNorm.{scale}": (*bert(prefix, "", scale, shift), *map(drop, _HEADS))
    for prefix in ("", "bert.", "roberta.")
    for scale, shift in (("weight", "bias"), ("gamma", "beta"))
}
