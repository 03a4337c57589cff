"""Further names of image processors: release 4's, and those by which the reference tells its implementations apart."""

from sightline.models.image_processors import CLIPImageProcessor, EfficientNetImageProcessor
from sightline.models.video_processor import VideoMAEImageProcessor

CLIPImageProcessorFast = CLIPImageProcessorPil = CLIPImageProcessor
EfficientNetImageProcessorFast = EfficientNetImageProcessorPil = EfficientNetImageProcessor
VideoMAEImageProcessorFast = VideoMAEImageProcessorPil = VideoMAEImageProcessor
CLIPFeatureExtractor, VideoMAEFeatureExtractor = CLIPImageProcessor, VideoMAEImageProcessor
