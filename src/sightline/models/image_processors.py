"""The image processors that checkpoints name, and which of them a checkpoint takes."""

from pathlib import Path
from typing import ClassVar

from sightline.errors import CheckpointError
from sightline.models.image_processor import ImageProcessor
from sightline.models.video_processor import VideoMAEImageProcessor
from sightline.processing.image.preprocessor_config import InvalidSettingError, find_settings, kind_of


class CLIPImageProcessor(ImageProcessor):
    """CLIP's and GroupViT's: to the shortest edge, the middle of it."""

    kind: ClassVar[str] = "CLIP"


class EfficientNetImageProcessor(ImageProcessor):
    """ALIGN's: to both sides, whatever the picture's shape."""

    kind: ClassVar[str] = "EfficientNet"
    default_to_square: ClassVar[bool] = True


_CLASSES: dict[str, type[ImageProcessor]] = {
    kind.kind: kind for kind in (CLIPImageProcessor, EfficientNetImageProcessor, VideoMAEImageProcessor)
}


def image_processor_class(folder: Path) -> type[ImageProcessor]:
    """The class that the checkpoint in a folder names. Raises CheckpointError for none, and for an unknown one."""
    path, data = find_settings(folder)
    try:
        return _CLASSES[kind_of(data)]
    except InvalidSettingError as error:
        raise CheckpointError(f"{path}: {error}") from None
