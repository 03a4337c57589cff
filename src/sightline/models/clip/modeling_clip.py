"""CLIP's modules by the names and in the place that the reference gives them: all ours, under one roof."""

import torch
from torch import Tensor
from torch.nn import functional

from sightline.models.clip.classifier import CLIPForImageClassification
from sightline.models.clip.model import CLIPModel
from sightline.models.clip.text import CLIPTextModel, CLIPTextModelOutput, CLIPTextModelWithProjection
from sightline.models.clip.vision import CLIPVisionModel, CLIPVisionModelOutput, CLIPVisionModelWithProjection
from sightline.models.pairs import CLIPOutput
from sightline.models.pretrained import PretrainedModel as CLIPPreTrainedModel
from sightline.nn.attention import SelfAttention as CLIPAttention
from sightline.nn.loss import contrastive_loss as image_text_contrastive_loss
from sightline.nn.text import TextEmbeddings as CLIPTextEmbeddings, TextTransformer as CLIPTextTransformer
from sightline.nn.transformer import Block as CLIPEncoderLayer, BlockMlp as CLIPMLP, Encoder as CLIPEncoder
from sightline.nn.vision import VisionEmbeddings as CLIPVisionEmbeddings, VisionTransformer as CLIPVisionTransformer

__all__ = [
    "CLIPMLP",
    "CLIPAttention",
    "CLIPEncoder",
    "CLIPEncoderLayer",
    "CLIPForImageClassification",
    "CLIPModel",
    "CLIPOutput",
    "CLIPPreTrainedModel",
    "CLIPTextEmbeddings",
    "CLIPTextModel",
    "CLIPTextModelOutput",
    "CLIPTextModelWithProjection",
    "CLIPTextTransformer",
    "CLIPVisionEmbeddings",
    "CLIPVisionModel",
    "CLIPVisionModelOutput",
    "CLIPVisionModelWithProjection",
    "CLIPVisionTransformer",
    "contrastive_loss",
    "image_text_contrastive_loss",
]


def contrastive_loss(logits: Tensor) -> Tensor:
    """The cross entropy of each row (B, B) with its own column as the right one."""
    return functional.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
