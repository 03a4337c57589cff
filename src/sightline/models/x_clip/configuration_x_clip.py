"""X-CLIP's configs in the place that the reference gives them."""

from sightline.models.xclip.config import XCLIPConfig, XCLIPTextConfig, XCLIPVisionConfig

__all__ = ["XCLIPConfig", "XCLIPTextConfig", "XCLIPVisionConfig"]
