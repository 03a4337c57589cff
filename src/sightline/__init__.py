"""Sightline finds images and videos with words, words with images, and images with images.

Public names are imported when first used, so that `import sightline` is quick and a script pays for what it calls.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sightline.distribution import VERSION, clash

if TYPE_CHECKING:
    from sightline.compat import logging as logging
    from sightline.compat.auto import (
        AutoConfig as AutoConfig,
        AutoModel as AutoModel,
        AutoModelForImageClassification as AutoModelForImageClassification,
        AutoModelForZeroShotImageClassification as AutoModelForZeroShotImageClassification,
    )
    from sightline.compat.auto_processor import (
        AutoFeatureExtractor as AutoFeatureExtractor,
        AutoImageProcessor as AutoImageProcessor,
        AutoProcessor as AutoProcessor,
        AutoVideoProcessor as AutoVideoProcessor,
    )
    from sightline.compat.base_classes import (
        PreTrainedConfig as PreTrainedConfig,
        PretrainedConfig as PretrainedConfig,
        PreTrainedModel as PreTrainedModel,
    )
    from sightline.compat.image_processors import (
        CLIPFeatureExtractor as CLIPFeatureExtractor,
        CLIPImageProcessorFast as CLIPImageProcessorFast,
        CLIPImageProcessorPil as CLIPImageProcessorPil,
        EfficientNetImageProcessorFast as EfficientNetImageProcessorFast,
        EfficientNetImageProcessorPil as EfficientNetImageProcessorPil,
        VideoMAEFeatureExtractor as VideoMAEFeatureExtractor,
        VideoMAEImageProcessorFast as VideoMAEImageProcessorFast,
        VideoMAEImageProcessorPil as VideoMAEImageProcessorPil,
    )
    from sightline.compat.open_clip import get_tokenizer as get_tokenizer
    from sightline.compat.pipelines import (
        ImageClassificationPipeline as ImageClassificationPipeline,
        ImageFeatureExtractionPipeline as ImageFeatureExtractionPipeline,
        Pipeline as Pipeline,
        ZeroShotImageClassificationPipeline as ZeroShotImageClassificationPipeline,
        pipeline as pipeline,
    )
    from sightline.compat.seeds import set_seed as set_seed
    from sightline.compat.tensor_types import TensorType as TensorType
    from sightline.compat.tokenizers import (
        AddedToken as AddedToken,
        AutoTokenizer as AutoTokenizer,
        BertTokenizerFast as BertTokenizerFast,
        CLIPTokenizerFast as CLIPTokenizerFast,
        PreTrainedTokenizerBase as PreTrainedTokenizerBase,
        PreTrainedTokenizerFast as PreTrainedTokenizerFast,
        RobertaTokenizerFast as RobertaTokenizerFast,
        TokenizersBackend as TokenizersBackend,
    )
    from sightline.encoder import Encoder as Encoder, load as load
    from sightline.encoder.text_batches import dynamic_batching as dynamic_batching
    from sightline.errors import SightlineError as SightlineError
    from sightline.models.align.config import (
        AlignConfig as AlignConfig,
        AlignTextConfig as AlignTextConfig,
        AlignVisionConfig as AlignVisionConfig,
    )
    from sightline.models.align.model import AlignModel as AlignModel, AlignOutput as AlignOutput
    from sightline.models.align.modeling_align import (
        AlignPreTrainedModel as AlignPreTrainedModel,
        AlignTextAttention as AlignTextAttention,
        AlignTextEncoder as AlignTextEncoder,
        AlignTextIntermediate as AlignTextIntermediate,
        AlignTextLayer as AlignTextLayer,
        AlignTextOutput as AlignTextOutput,
        AlignVisionBlock as AlignVisionBlock,
        AlignVisionDepthwiseConv2d as AlignVisionDepthwiseConv2d,
        AlignVisionDepthwiseLayer as AlignVisionDepthwiseLayer,
        AlignVisionEncoder as AlignVisionEncoder,
        AlignVisionExpansionLayer as AlignVisionExpansionLayer,
        AlignVisionFinalBlockLayer as AlignVisionFinalBlockLayer,
        AlignVisionSqueezeExciteLayer as AlignVisionSqueezeExciteLayer,
    )
    from sightline.models.align.processor import AlignProcessor as AlignProcessor
    from sightline.models.align.text import AlignTextModel as AlignTextModel
    from sightline.models.align.vision import AlignVisionModel as AlignVisionModel
    from sightline.models.batch_encoding import BatchEncoding as BatchEncoding
    from sightline.models.clip.classifier import CLIPForImageClassification as CLIPForImageClassification
    from sightline.models.clip.config import (
        CLIPConfig as CLIPConfig,
        CLIPTextConfig as CLIPTextConfig,
        CLIPVisionConfig as CLIPVisionConfig,
    )
    from sightline.models.clip.model import CLIPModel as CLIPModel
    from sightline.models.clip.modeling_clip import (
        CLIPEncoder as CLIPEncoder,
        CLIPPreTrainedModel as CLIPPreTrainedModel,
        CLIPTextEmbeddings as CLIPTextEmbeddings,
        CLIPTextTransformer as CLIPTextTransformer,
        CLIPVisionEmbeddings as CLIPVisionEmbeddings,
        CLIPVisionTransformer as CLIPVisionTransformer,
    )
    from sightline.models.clip.processor import CLIPProcessor as CLIPProcessor
    from sightline.models.clip.text import (
        CLIPTextModel as CLIPTextModel,
        CLIPTextModelOutput as CLIPTextModelOutput,
        CLIPTextModelWithProjection as CLIPTextModelWithProjection,
    )
    from sightline.models.clip.vision import (
        CLIPVisionModel as CLIPVisionModel,
        CLIPVisionModelOutput as CLIPVisionModelOutput,
        CLIPVisionModelWithProjection as CLIPVisionModelWithProjection,
    )
    from sightline.models.dual.bert import BertModel as BertModel, RobertaModel as RobertaModel
    from sightline.models.dual.config import (
        BertConfig as BertConfig,
        RobertaConfig as RobertaConfig,
        VisionTextDualEncoderConfig as VisionTextDualEncoderConfig,
    )
    from sightline.models.dual.model import VisionTextDualEncoderModel as VisionTextDualEncoderModel
    from sightline.models.dual.processor import VisionTextDualEncoderProcessor as VisionTextDualEncoderProcessor
    from sightline.models.features import BatchFeature as BatchFeature
    from sightline.models.groupvit.config import (
        GroupViTConfig as GroupViTConfig,
        GroupViTTextConfig as GroupViTTextConfig,
        GroupViTVisionConfig as GroupViTVisionConfig,
    )
    from sightline.models.groupvit.model import (
        GroupViTModel as GroupViTModel,
        GroupViTModelOutput as GroupViTModelOutput,
    )
    from sightline.models.groupvit.modeling_groupvit import (
        GroupViTAssignAttention as GroupViTAssignAttention,
        GroupViTCrossAttentionLayer as GroupViTCrossAttentionLayer,
        GroupViTMixerMLP as GroupViTMixerMLP,
        GroupViTPreTrainedModel as GroupViTPreTrainedModel,
        GroupViTStage as GroupViTStage,
        GroupViTTokenAssign as GroupViTTokenAssign,
        GroupViTVisionEncoder as GroupViTVisionEncoder,
    )
    from sightline.models.groupvit.text import GroupViTTextModel as GroupViTTextModel
    from sightline.models.groupvit.vision import GroupViTVisionModel as GroupViTVisionModel
    from sightline.models.image_processors import (
        CLIPImageProcessor as CLIPImageProcessor,
        EfficientNetImageProcessor as EfficientNetImageProcessor,
    )
    from sightline.models.pairs import CLIPOutput as CLIPOutput
    from sightline.models.quantization_config import (
        BitsAndBytesConfig as BitsAndBytesConfig,
        TorchAoConfig as TorchAoConfig,
    )
    from sightline.models.tokenizer_kinds import (
        BertTokenizer as BertTokenizer,
        CLIPTokenizer as CLIPTokenizer,
        RobertaTokenizer as RobertaTokenizer,
    )
    from sightline.models.video_processor import VideoMAEImageProcessor as VideoMAEImageProcessor
    from sightline.models.x_clip.modeling_x_clip import (
        XCLIPAttention as XCLIPAttention,
        XCLIPEncoder as XCLIPEncoder,
        XCLIPMultiframeIntegrationTransformer as XCLIPMultiframeIntegrationTransformer,
        XCLIPPreTrainedModel as XCLIPPreTrainedModel,
        XCLIPVisionEncoderLayer as XCLIPVisionEncoderLayer,
    )
    from sightline.models.xclip.config import (
        XCLIPConfig as XCLIPConfig,
        XCLIPTextConfig as XCLIPTextConfig,
        XCLIPVisionConfig as XCLIPVisionConfig,
    )
    from sightline.models.xclip.model import XCLIPModel as XCLIPModel, XCLIPOutput as XCLIPOutput
    from sightline.models.xclip.processor import XCLIPProcessor as XCLIPProcessor
    from sightline.models.xclip.text import XCLIPTextModel as XCLIPTextModel
    from sightline.models.xclip.vision import XCLIPVisionModel as XCLIPVisionModel
    from sightline.nn.outputs import (
        BaseModelOutput as BaseModelOutput,
        BaseModelOutputWithNoAttention as BaseModelOutputWithNoAttention,
        BaseModelOutputWithPooling as BaseModelOutputWithPooling,
        BaseModelOutputWithPoolingAndNoAttention as BaseModelOutputWithPoolingAndNoAttention,
        ImageClassifierOutput as ImageClassifierOutput,
        ModelOutput as ModelOutput,
    )
    from sightline.optimize import ModelProfiler as ModelProfiler, prune_model as prune_model
    from sightline.processing.image.reading import load_image as load_image, load_image_async as load_image_async
    from sightline.search import Index as Index, Query as Query, Result as Result, open_index as open_index
    from sightline.search.retrieve import retrieve as retrieve
    from sightline.segment import Segmentation as Segmentation, Segmenter as Segmenter

__version__ = VERSION

# Which names are public, by the module that holds them. `TYPE_CHECKING` above shows the same names to type checkers.
_NAMES = {
    "compat.auto": "AutoConfig AutoModel AutoModelForImageClassification AutoModelForZeroShotImageClassification",
    "compat": "logging",
    "compat.base_classes": "PretrainedConfig PreTrainedConfig PreTrainedModel",
    "compat.open_clip": "get_tokenizer",
    "compat.auto_processor": "AutoFeatureExtractor AutoImageProcessor AutoProcessor AutoVideoProcessor",
    "compat.image_processors": (
        "CLIPFeatureExtractor CLIPImageProcessorFast CLIPImageProcessorPil EfficientNetImageProcessorFast "
        "EfficientNetImageProcessorPil VideoMAEFeatureExtractor VideoMAEImageProcessorFast VideoMAEImageProcessorPil"
    ),
    "compat.tokenizers": (
        "AddedToken AutoTokenizer BertTokenizerFast CLIPTokenizerFast PreTrainedTokenizerBase PreTrainedTokenizerFast "
        "RobertaTokenizerFast TokenizersBackend"
    ),
    "compat.seeds": "set_seed",
    "compat.tensor_types": "TensorType",
    "compat.pipelines": (
        "ImageClassificationPipeline ImageFeatureExtractionPipeline Pipeline ZeroShotImageClassificationPipeline "
        "pipeline"
    ),
    "encoder": "Encoder load",
    "encoder.text_batches": "dynamic_batching",
    "errors": "SightlineError",
    "models.align.config": "AlignConfig AlignTextConfig AlignVisionConfig",
    "models.align.model": "AlignModel AlignOutput",
    "models.align.modeling_align": (
        "AlignPreTrainedModel AlignTextAttention AlignTextEncoder AlignTextIntermediate AlignTextLayer "
        "AlignTextOutput "
        "AlignVisionBlock AlignVisionDepthwiseConv2d AlignVisionDepthwiseLayer AlignVisionEncoder "
        "AlignVisionExpansionLayer AlignVisionFinalBlockLayer AlignVisionSqueezeExciteLayer"
    ),
    "models.align.processor": "AlignProcessor",
    "models.align.text": "AlignTextModel",
    "models.align.vision": "AlignVisionModel",
    "models.clip.classifier": "CLIPForImageClassification",
    "models.batch_encoding": "BatchEncoding",
    "models.clip.config": "CLIPConfig CLIPTextConfig CLIPVisionConfig",
    "models.clip.model": "CLIPModel",
    "models.clip.modeling_clip": (
        "CLIPEncoder CLIPPreTrainedModel CLIPTextEmbeddings CLIPTextTransformer CLIPVisionEmbeddings "
        "CLIPVisionTransformer"
    ),
    "models.clip.processor": "CLIPProcessor",
    "models.clip.text": "CLIPTextModel CLIPTextModelOutput CLIPTextModelWithProjection",
    "models.clip.vision": "CLIPVisionModel CLIPVisionModelOutput CLIPVisionModelWithProjection",
    "models.dual.bert": "BertModel RobertaModel",
    "models.dual.config": "BertConfig RobertaConfig VisionTextDualEncoderConfig",
    "models.dual.model": "VisionTextDualEncoderModel",
    "models.dual.processor": "VisionTextDualEncoderProcessor",
    "models.features": "BatchFeature",
    "models.groupvit.config": "GroupViTConfig GroupViTTextConfig GroupViTVisionConfig",
    "models.groupvit.model": "GroupViTModel GroupViTModelOutput",
    "models.groupvit.modeling_groupvit": (
        "GroupViTAssignAttention GroupViTCrossAttentionLayer GroupViTMixerMLP GroupViTPreTrainedModel GroupViTStage "
        "GroupViTTokenAssign GroupViTVisionEncoder"
    ),
    "models.groupvit.text": "GroupViTTextModel",
    "models.groupvit.vision": "GroupViTVisionModel",
    "models.pairs": "CLIPOutput",
    "models.image_processors": "CLIPImageProcessor EfficientNetImageProcessor",
    "models.quantization_config": "BitsAndBytesConfig TorchAoConfig",
    "models.tokenizer_kinds": "BertTokenizer CLIPTokenizer RobertaTokenizer",
    "models.video_processor": "VideoMAEImageProcessor",
    "models.x_clip.modeling_x_clip": (
        "XCLIPAttention XCLIPEncoder XCLIPMultiframeIntegrationTransformer XCLIPPreTrainedModel XCLIPVisionEncoderLayer"
    ),
    "models.xclip.config": "XCLIPConfig XCLIPTextConfig XCLIPVisionConfig",
    "models.xclip.model": "XCLIPModel XCLIPOutput",
    "models.xclip.processor": "XCLIPProcessor",
    "models.xclip.text": "XCLIPTextModel",
    "models.xclip.vision": "XCLIPVisionModel",
    "nn.outputs": "BaseModelOutput BaseModelOutputWithNoAttention BaseModelOutputWithPooling"
    " BaseModelOutputWithPoolingAndNoAttention ImageClassifierOutput ModelOutput",
    "optimize": "ModelProfiler prune_model",
    "processing.image.reading": "load_image load_image_async",
    "search": "Index Query Result open_index",
    "search.retrieve": "retrieve",
    "segment": "Segmentation Segmenter",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted([*_MODULES, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'sightline' has no attribute {name!r}")
    try:
        value = globals()[name] = getattr(import_module(f"sightline.{_MODULES[name]}"), name)
    except ImportError as error:
        if reason := clash():
            error.add_note(reason)
        raise
    return value


def __dir__() -> list[str]:
    return __all__
