"""Outputs by the names and in the place that the reference gives them."""

from sightline.nn.outputs import (
    BaseModelOutput,
    BaseModelOutputWithNoAttention,
    BaseModelOutputWithPooling,
    BaseModelOutputWithPoolingAndNoAttention,
    ImageClassifierOutput,
    ModelOutput,
)

__all__ = [
    "BaseModelOutput",
    "BaseModelOutputWithNoAttention",
    "BaseModelOutputWithPooling",
    "BaseModelOutputWithPoolingAndNoAttention",
    "ImageClassifierOutput",
    "ModelOutput",
]
