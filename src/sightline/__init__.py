"""Sightline finds images and videos with words, words with images, and images with images.

Public names are imported when first used, so that `import sightline` is quick and a script pays for what it calls.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sightline.distribution import VERSION as __version__
from sightline.distribution import clash

if TYPE_CHECKING:
    from sightline.encoder import Encoder, load
    from sightline.errors import SightlineError
    from sightline.models.align.config import AlignConfig, AlignTextConfig, AlignVisionConfig
    from sightline.models.align.model import AlignModel
    from sightline.models.align.processor import AlignProcessor
    from sightline.models.align.text import AlignTextModel
    from sightline.models.align.vision import AlignVisionModel
    from sightline.models.clip.config import CLIPConfig, CLIPTextConfig, CLIPVisionConfig
    from sightline.models.clip.model import CLIPModel
    from sightline.models.clip.processor import CLIPProcessor
    from sightline.models.clip.text import CLIPTextModel, CLIPTextModelWithProjection
    from sightline.models.clip.vision import CLIPVisionModel, CLIPVisionModelWithProjection
    from sightline.models.dual.bert import BertModel, RobertaModel
    from sightline.models.dual.config import BertConfig, RobertaConfig, VisionTextDualEncoderConfig
    from sightline.models.dual.model import VisionTextDualEncoderModel
    from sightline.models.dual.processor import VisionTextDualEncoderProcessor
    from sightline.models.groupvit.config import GroupViTConfig, GroupViTTextConfig, GroupViTVisionConfig
    from sightline.models.groupvit.model import GroupViTModel
    from sightline.models.groupvit.text import GroupViTTextModel
    from sightline.models.groupvit.vision import GroupViTVisionModel
    from sightline.models.xclip.config import XCLIPConfig, XCLIPTextConfig, XCLIPVisionConfig
    from sightline.models.xclip.model import XCLIPModel
    from sightline.models.xclip.processor import XCLIPProcessor
    from sightline.models.xclip.text import XCLIPTextModel
    from sightline.models.xclip.vision import XCLIPVisionModel
    from sightline.processing.image.reading import load_image
    from sightline.search import Query, Result, open_index, retrieve
    from sightline.segment import Segmentation, Segmenter

_HOMES = {
    "AlignConfig": "models.align.config",
    "AlignModel": "models.align.model",
    "AlignProcessor": "models.align.processor",
    "AlignTextConfig": "models.align.config",
    "AlignTextModel": "models.align.text",
    "AlignVisionConfig": "models.align.config",
    "AlignVisionModel": "models.align.vision",
    "BertConfig": "models.dual.config",
    "BertModel": "models.dual.bert",
    "Encoder": "encoder",
    "load": "encoder",
    "SightlineError": "errors",
    "CLIPConfig": "models.clip.config",
    "CLIPModel": "models.clip.model",
    "CLIPProcessor": "models.clip.processor",
    "CLIPTextConfig": "models.clip.config",
    "CLIPTextModel": "models.clip.text",
    "CLIPTextModelWithProjection": "models.clip.text",
    "CLIPVisionConfig": "models.clip.config",
    "CLIPVisionModel": "models.clip.vision",
    "CLIPVisionModelWithProjection": "models.clip.vision",
    "GroupViTConfig": "models.groupvit.config",
    "GroupViTModel": "models.groupvit.model",
    "GroupViTTextConfig": "models.groupvit.config",
    "GroupViTTextModel": "models.groupvit.text",
    "GroupViTVisionConfig": "models.groupvit.config",
    "GroupViTVisionModel": "models.groupvit.vision",
    "RobertaConfig": "models.dual.config",
    "RobertaModel": "models.dual.bert",
    "VisionTextDualEncoderConfig": "models.dual.config",
    "VisionTextDualEncoderModel": "models.dual.model",
    "VisionTextDualEncoderProcessor": "models.dual.processor",
    "XCLIPConfig": "models.xclip.config",
    "XCLIPModel": "models.xclip.model",
    "XCLIPProcessor": "models.xclip.processor",
    "XCLIPTextConfig": "models.xclip.config",
    "XCLIPTextModel": "models.xclip.text",
    "XCLIPVisionConfig": "models.xclip.config",
    "XCLIPVisionModel": "models.xclip.vision",
    "load_image": "processing.image.reading",
    "Query": "search",
    "Result": "search",
    "Segmentation": "segment",
    "Segmenter": "segment",
    "open_index": "search",
    "retrieve": "search",
}

__all__ = [
    "AlignConfig",
    "AlignModel",
    "AlignProcessor",
    "AlignTextConfig",
    "AlignTextModel",
    "AlignVisionConfig",
    "AlignVisionModel",
    "BertConfig",
    "BertModel",
    "CLIPConfig",
    "CLIPModel",
    "CLIPProcessor",
    "CLIPTextConfig",
    "CLIPTextModel",
    "CLIPTextModelWithProjection",
    "CLIPVisionConfig",
    "CLIPVisionModel",
    "CLIPVisionModelWithProjection",
    "Encoder",
    "GroupViTConfig",
    "GroupViTModel",
    "GroupViTTextConfig",
    "GroupViTTextModel",
    "GroupViTVisionConfig",
    "GroupViTVisionModel",
    "Query",
    "Result",
    "RobertaConfig",
    "RobertaModel",
    "Segmentation",
    "Segmenter",
    "SightlineError",
    "VisionTextDualEncoderConfig",
    "VisionTextDualEncoderModel",
    "VisionTextDualEncoderProcessor",
    "XCLIPConfig",
    "XCLIPModel",
    "XCLIPProcessor",
    "XCLIPTextConfig",
    "XCLIPTextModel",
    "XCLIPVisionConfig",
    "XCLIPVisionModel",
    "__version__",
    "load",
    "load_image",
    "open_index",
    "retrieve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sightline' has no attribute {name!r}")
    try:
        value = globals()[name] = getattr(import_module(f"sightline.{_HOMES[name]}"), name)
    except ImportError as error:
        if reason := clash():
            error.add_note(reason)
        raise
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
