"""X-CLIP's modules by the names and in the place that the reference gives them: all ours, under one roof."""

from sightline.models.pretrained import PretrainedModel as XCLIPPreTrainedModel
from sightline.models.xclip.model import XCLIPModel, XCLIPOutput
from sightline.models.xclip.prompts import PromptGeneratorLayer, XCLIPCrossAttention, XCLIPPromptGenerator
from sightline.models.xclip.text import XCLIPTextModel
from sightline.models.xclip.vision import (
    XCLIPDropPath,
    XCLIPMultiframeIntegrationTransformer,
    XCLIPVisionEncoder,
    XCLIPVisionEncoderLayer,
    XCLIPVisionModel,
)
from sightline.nn.attention import SelfAttention as XCLIPAttention
from sightline.nn.text import TextEmbeddings as XCLIPTextEmbeddings
from sightline.nn.transformer import Block as XCLIPEncoderLayer, BlockMlp as XCLIPMLP, Encoder as XCLIPEncoder
from sightline.nn.vision import VisionEmbeddings as XCLIPVisionEmbeddings

__all__ = [
    "XCLIPMLP",
    "PromptGeneratorLayer",
    "XCLIPAttention",
    "XCLIPCrossAttention",
    "XCLIPDropPath",
    "XCLIPEncoder",
    "XCLIPEncoderLayer",
    "XCLIPModel",
    "XCLIPMultiframeIntegrationTransformer",
    "XCLIPOutput",
    "XCLIPPreTrainedModel",
    "XCLIPPromptGenerator",
    "XCLIPTextEmbeddings",
    "XCLIPTextModel",
    "XCLIPVisionEmbeddings",
    "XCLIPVisionEncoder",
    "XCLIPVisionEncoderLayer",
    "XCLIPVisionModel",
]
