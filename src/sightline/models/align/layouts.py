"""ALIGN's tensors in Hugging Face's files. Targets are the names in `AlignModel`. The table runs both ways."""

from collections.abc import Mapping

from sightline.checkpoint.rules import Rule, move
from sightline.models.layouts import bare, bert, linear


def _norm(source: str, target: str) -> list[Rule]:
    """A batch norm's tensors, its running statistics among them."""
    names = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return [move(f"{source}.{name}", f"{target}.norm.{name}") for name in names]


def _vision(source: str, target: str) -> list[Rule]:
    """An EfficientNet without its top."""
    s, t = f"{source}.encoder.blocks.*", f"{target}.blocks.*"
    return [
        move(f"{source}.embeddings.convolution.weight", f"{target}.stem.conv.weight"),
        *_norm(f"{source}.embeddings.batchnorm", f"{target}.stem"),
        move(f"{s}.expansion.expand_conv.weight", f"{t}.expand.conv.weight"),
        *_norm(f"{s}.expansion.expand_bn", f"{t}.expand"),
        move(f"{s}.depthwise_conv.depthwise_conv.weight", f"{t}.depthwise.conv.weight"),
        *_norm(f"{s}.depthwise_conv.depthwise_norm", f"{t}.depthwise"),
        *linear(f"{s}.squeeze_excite.reduce", f"{t}.squeeze_excite.reduce"),
        *linear(f"{s}.squeeze_excite.expand", f"{t}.squeeze_excite.expand"),
        move(f"{s}.projection.project_conv.weight", f"{t}.project.conv.weight"),
        *_norm(f"{s}.projection.project_bn", f"{t}.project"),
    ]


HUGGING_FACE = (
    move("temperature", "temperature"),
    *linear("text_projection", "text_projection"),
    *bert("text_model.", "text_model."),
    *_vision("vision_model", "vision_model"),
)

TABLES: Mapping[str, tuple[Rule, ...]] = {
    "text_model.embeddings.word_embeddings.weight": HUGGING_FACE,
    "vision_model.embeddings.convolution.weight": HUGGING_FACE,
}
# A tower alone: the reference opens it under no other names, and not from the whole model's file as we do.
TEXT_TABLES = {"embeddings.word_embeddings.weight": bare(HUGGING_FACE, "text_model."), **TABLES}
VISION_TABLES = {"embeddings.convolution.weight": bare(HUGGING_FACE, "vision_model."), **TABLES}
