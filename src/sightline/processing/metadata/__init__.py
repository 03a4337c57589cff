"""What the header of an image or a video says, and the files beside it."""

from sightline.processing.metadata.image import read_image_metadata
from sightline.processing.metadata.record import Metadata
from sightline.processing.metadata.video import read_video_metadata

__all__ = ["Metadata", "read_image_metadata", "read_video_metadata"]
