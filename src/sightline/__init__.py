"""Sightline finds images and videos with words, words with images, and images with images.

Public names are imported when first used, so that `import sightline` is quick and a script pays for what it calls.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sightline.distribution import VERSION, clash

if TYPE_CHECKING:
    from sightline.compat.pipelines import (
        ImageClassificationPipeline as ImageClassificationPipeline,
        ImageFeatureExtractionPipeline as ImageFeatureExtractionPipeline,
        Pipeline as Pipeline,
        ZeroShotImageClassificationPipeline as ZeroShotImageClassificationPipeline,
        pipeline as pipeline,
    )
    from sightline.encoder import Encoder as Encoder, load as load
    from sightline.errors import SightlineError as SightlineError
    from sightline.models.align.config import (
        AlignConfig as AlignConfig,
        AlignTextConfig as AlignTextConfig,
        AlignVisionConfig as AlignVisionConfig,
    )
    from sightline.models.align.model import AlignModel as AlignModel
    from sightline.models.align.processor import AlignProcessor as AlignProcessor
    from sightline.models.align.text import AlignTextModel as AlignTextModel
    from sightline.models.align.vision import AlignVisionModel as AlignVisionModel
    from sightline.models.clip.config import (
        CLIPConfig as CLIPConfig,
        CLIPTextConfig as CLIPTextConfig,
        CLIPVisionConfig as CLIPVisionConfig,
    )
    from sightline.models.clip.model import CLIPModel as CLIPModel
    from sightline.models.clip.processor import CLIPProcessor as CLIPProcessor
    from sightline.models.clip.text import (
        CLIPTextModel as CLIPTextModel,
        CLIPTextModelWithProjection as CLIPTextModelWithProjection,
    )
    from sightline.models.clip.vision import (
        CLIPVisionModel as CLIPVisionModel,
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
    from sightline.models.groupvit.config import (
        GroupViTConfig as GroupViTConfig,
        GroupViTTextConfig as GroupViTTextConfig,
        GroupViTVisionConfig as GroupViTVisionConfig,
    )
    from sightline.models.groupvit.model import GroupViTModel as GroupViTModel
    from sightline.models.groupvit.text import GroupViTTextModel as GroupViTTextModel
    from sightline.models.groupvit.vision import GroupViTVisionModel as GroupViTVisionModel
    from sightline.models.xclip.config import (
        XCLIPConfig as XCLIPConfig,
        XCLIPTextConfig as XCLIPTextConfig,
        XCLIPVisionConfig as XCLIPVisionConfig,
    )
    from sightline.models.xclip.model import XCLIPModel as XCLIPModel
    from sightline.models.xclip.processor import XCLIPProcessor as XCLIPProcessor
    from sightline.models.xclip.text import XCLIPTextModel as XCLIPTextModel
    from sightline.models.xclip.vision import XCLIPVisionModel as XCLIPVisionModel
    from sightline.processing.image.reading import load_image as load_image, load_image_async as load_image_async
    from sightline.search import Index as Index, Query as Query, Result as Result, open_index as open_index
    from sightline.search.retrieve import retrieve as retrieve
    from sightline.segment import Segmentation as Segmentation, Segmenter as Segmenter

__version__ = VERSION

# Which names are public, by the module that holds them. `TYPE_CHECKING` above shows the same names to type checkers.
_NAMES = {
    "compat.pipelines": (
        "ImageClassificationPipeline ImageFeatureExtractionPipeline Pipeline ZeroShotImageClassificationPipeline "
        "pipeline"
    ),
    "encoder": "Encoder load",
    "errors": "SightlineError",
    "models.align.config": "AlignConfig AlignTextConfig AlignVisionConfig",
    "models.align.model": "AlignModel",
    "models.align.processor": "AlignProcessor",
    "models.align.text": "AlignTextModel",
    "models.align.vision": "AlignVisionModel",
    "models.clip.config": "CLIPConfig CLIPTextConfig CLIPVisionConfig",
    "models.clip.model": "CLIPModel",
    "models.clip.processor": "CLIPProcessor",
    "models.clip.text": "CLIPTextModel CLIPTextModelWithProjection",
    "models.clip.vision": "CLIPVisionModel CLIPVisionModelWithProjection",
    "models.dual.bert": "BertModel RobertaModel",
    "models.dual.config": "BertConfig RobertaConfig VisionTextDualEncoderConfig",
    "models.dual.model": "VisionTextDualEncoderModel",
    "models.dual.processor": "VisionTextDualEncoderProcessor",
    "models.groupvit.config": "GroupViTConfig GroupViTTextConfig GroupViTVisionConfig",
    "models.groupvit.model": "GroupViTModel",
    "models.groupvit.text": "GroupViTTextModel",
    "models.groupvit.vision": "GroupViTVisionModel",
    "models.xclip.config": "XCLIPConfig XCLIPTextConfig XCLIPVisionConfig",
    "models.xclip.model": "XCLIPModel",
    "models.xclip.processor": "XCLIPProcessor",
    "models.xclip.text": "XCLIPTextModel",
    "models.xclip.vision": "XCLIPVisionModel",
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
