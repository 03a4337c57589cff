"""Further names of image processors: those with which the reference chooses between its implementations of one."""

from sightline.models.image_processors import CLIPImageProcessor, EfficientNetImageProcessor
from sightline.models.video_processor import VideoMAEImageProcessor

CLIPImageProcessorFast = CLIPImageProcessorPil = CLIPImageProcessor
EfficientNetImageProcessorFast = EfficientNetImageProcessorPil = EfficientNetImageProcessor
VideoMAEImageProcessorFast = VideoMAEImageProcessorPil = VideoMAEImageProcessor
