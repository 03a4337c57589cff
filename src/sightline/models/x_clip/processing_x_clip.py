"""X-CLIP's processor in the place that the reference gives it."""

from sightline.models.xclip.processor import XCLIPProcessor

__all__ = ["XCLIPProcessor"]
