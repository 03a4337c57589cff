"""ALIGN's tensors in Hugging Face's files. Targets are the names in `AlignModel`. The table runs both ways."""

from collections.abc import Iterable, Mapping

from sightline.checkpoint.rules import Rule, move
from sightline.models.layouts import bare, bert, linear

_LAYER = ("weight", "bias")
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def _same(name: str, kinds: Iterable[str]) -> list[Rule]:
    """Tensors with the same name in files and in ours."""
    return [move(f"{name}.{kind}", f"{name}.{kind}") for kind in kinds]


def _vision(tower: str) -> list[Rule]:
    """An EfficientNet without its top."""
    block = f"{tower}.encoder.blocks.*"
    convolutions = {
        f"{tower}.embeddings": ("convolution", "batchnorm"),
        f"{block}.expansion": ("expand_conv", "expand_bn"),
        f"{block}.depthwise_conv": ("depthwise_conv", "depthwise_norm"),
        f"{block}.projection": ("project_conv", "project_bn"),
    }
    rules = [*_same(f"{block}.squeeze_excite.reduce", _LAYER), *_same(f"{block}.squeeze_excite.expand", _LAYER)]
    for layer, (conv, norm) in convolutions.items():
        rules += [*_same(f"{layer}.{conv}", ["weight"]), *_same(f"{layer}.{norm}", (*_LAYER, *_STATISTICS))]
    return rules


HUGGING_FACE = (
    move("temperature", "temperature"),
    *linear("text_projection", "text_projection"),
    *bert("text_model.", "text_model."),
    *_vision("vision_model"),
)

TABLES: Mapping[str, tuple[Rule, ...]] = {
    "text_model.embeddings.word_embeddings.weight": HUGGING_FACE,
    "vision_model.embeddings.convolution.weight": HUGGING_FACE,
}
# A tower alone: the reference opens it under no other names, and not from the whole model's file as we do.
TEXT_TABLES = {"embeddings.word_embeddings.weight": bare(HUGGING_FACE, "text_model."), **TABLES}
VISION_TABLES = {"embeddings.convolution.weight": bare(HUGGING_FACE, "vision_model."), **TABLES}
